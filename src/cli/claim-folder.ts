import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ensureFolder } from '../io/index.ts';

/** Makes the folder before the training, so that its end is not the moment to find out. */
export async function claimFolder(folder: string): Promise<void> {
  await ensureFolder(folder);
  const foreign =
    existsSync(join(folder, 'config.json')) && !existsSync(join(folder, 'characters.json'));
  if (!foreign) return;
  throw new Error(
    `--out ${JSON.stringify(folder)} holds another model (config.json without characters.json); ` +
      'expected a new folder, or one with a model of tersor to replace',
  );
}
