import { existsSync, statSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureFolder } from '../../io/index.ts';
import { RUN_FILES } from '../../train/index.ts';

const PLACE = join('runs', 'start');
const MOST = 1000;

function nameOf(i: number): string {
  return i === 1 ? PLACE : `${PLACE}-${i}`;
}

export const runFileOf = (folder: string) => join(folder, 'model', RUN_FILES.config);

/**
 * A new folder for the demonstration: the one that is named, else the first free one of runs/start,
 * runs/start-2 and so on; where nothing may be written here a temporary one.
 */
export async function newFolder(named: string | undefined, warn: (what: string) => void) {
  if (named !== undefined) {
    if (existsSync(runFileOf(named))) {
      throw new Error(
        `--out ${JSON.stringify(named)} holds an earlier run; go on with it by --resume, or name ` +
          'another folder',
      );
    }
    await ensureFolder(named);
    return named;
  }
  let i = 1;
  while (i < MOST && existsSync(nameOf(i))) i++;
  try {
    await ensureFolder(nameOf(i));
    return nameOf(i);
  } catch (error) {
    const folder = await mkdtemp(join(tmpdir(), 'tersor-start-'));
    warn(
      `${(error as Error).message}\nEverything goes to ${folder} instead; --out names a folder.`,
    );
    return folder;
  }
}

/** The folder of the run to go on with: the one that is named, else the newest. */
export function folderToResume(named: string | undefined): string {
  const folders =
    named === undefined ? Array.from({ length: MOST }, (_, i) => nameOf(i + 1)) : [named];
  const [newest] = folders
    .filter((folder) => existsSync(runFileOf(folder)))
    .sort((a, b) => statSync(runFileOf(b)).mtimeMs - statSync(runFileOf(a)).mtimeMs);
  if (newest !== undefined) return newest;
  const place = named === undefined ? `${PLACE} and its like` : JSON.stringify(named);
  throw new Error(`--resume: there is no run in ${place}; leave out --resume to begin one`);
}
