import { existsSync, statSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureFolder, readJson, writeFileAtomic } from '../../io/index.ts';
import { newestCheckpoint, RUN_FILES } from '../../train/index.ts';

const PLACE = join('runs', 'start');
const MOST = 1000;

function nameOf(i: number): string {
  return i === 1 ? PLACE : `${PLACE}-${i}`;
}

/** What the demonstration was asked for, beside what its run says. */
export interface DemoFile {
  readonly seed: number;
  readonly quick: boolean;
}

const DEMO_FILE = 'start.json';

export async function writeDemoFile(folder: string, content: DemoFile): Promise<void> {
  await writeFileAtomic(join(folder, DEMO_FILE), `${JSON.stringify(content, null, 2)}\n`);
}

export async function readDemoFile(folder: string): Promise<DemoFile> {
  const { seed, quick } = (await readJson(join(folder, DEMO_FILE))) as Partial<DemoFile>;
  if (typeof seed === 'number' && typeof quick === 'boolean') return { seed, quick };
  throw new Error(`file ${JSON.stringify(join(folder, DEMO_FILE))} has no seed and quick`);
}

/** The newest checkpoint of a folder that is whole. */
export function checkpointIn(folder: string): Promise<string | undefined> {
  return newestCheckpoint(join(folder, 'model', RUN_FILES.checkpoints), () => {});
}

export const runFileOf = (folder: string) => join(folder, 'model', RUN_FILES.config);

/**
 * A new folder for the demonstration: the one that is named, else the first free one of runs/start,
 * runs/start-2 and so on; where nothing may be written here a temporary one.
 */
export async function newFolder(named: string | undefined, warn: (what: string) => void) {
  if (named !== undefined) {
    if ((await checkpointIn(named)) !== undefined) {
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
