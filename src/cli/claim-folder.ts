import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ensureFolder } from '../io/index.ts';

/** What `tersor start` leaves beside its model: the settings that it was made with. */
export const START_FILE = 'start.json';

/** Makes the folder before the training, so that its end is not the moment to find out. */
export async function claimFolder(folder: string): Promise<void> {
  await ensureFolder(folder);
  if (!existsSync(join(folder, 'config.json')) || existsSync(join(folder, START_FILE))) return;
  throw new Error(
    `--out ${JSON.stringify(folder)} holds another model (config.json without ${START_FILE}); ` +
      'expected a new folder, or one of an earlier tersor start to replace',
  );
}
