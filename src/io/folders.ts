import { open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ensureFolder, explain, syncFolder, writeAll } from './files.ts';
import { crypto } from './slow-modules.ts';

/** Hashes of a folder's files, one a line, as `sha256sum -c` reads them. */
export const HASHES = 'SHA256SUMS';

/** A file's content, in pieces or as text. */
export type FileContent = string | readonly Uint8Array[];

/** Begins the names of folders that are not complete, or that are being removed. */
const UNFINISHED = '.unfinished-';

/**
 * Writes a folder so that it is there whole or not at all, also if the process or the machine stops
 * meanwhile: under another name, every file on the disk, with a list of their hashes, then renamed.
 * A folder that is there already is replaced.
 *
 * @throws Error naming the file; then nothing has changed
 */
export async function writeFolderAtomic(
  path: string,
  files: ReadonlyMap<string, FileContent>,
): Promise<void> {
  const parent = dirname(path);
  await ensureFolder(parent);
  const temporary = join(parent, unfinished(basename(path)));
  try {
    await ensureFolder(temporary);
    const hashes: string[] = [];
    for (const [name, content] of files) {
      hashes.push(`${await writeHashed(join(temporary, name), content)}  ${name}\n`);
    }
    await writeHashed(join(temporary, HASHES), hashes.join(''));
    await syncFolder(temporary);
    await removeFolder(path);
    await rename(temporary, path).catch((error) => {
      throw explain('written', path, error);
    });
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  }
  await syncFolder(parent);
}

/** Writes a file to the disk itself; its hash. */
async function writeHashed(path: string, content: FileContent): Promise<string> {
  const parts = typeof content === 'string' ? [new TextEncoder().encode(content)] : content;
  const hash = crypto().createHash('sha256');
  try {
    const file = await open(path, 'wx');
    try {
      for (const part of parts) {
        hash.update(part);
        await writeAll(file, part);
      }
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw explain('written', path, error);
  }
  return hash.digest('hex');
}

/** Removes a folder: what is there under its name is whole at any time. */
export async function removeFolder(path: string): Promise<void> {
  const aside = join(dirname(path), unfinished(basename(path)));
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw explain('removed', path, error);
  }
  await rm(aside, { recursive: true, force: true });
}

/** Removes what stopped processes have left behind in a folder of such folders. */
export async function removeUnfinished(parent: string): Promise<void> {
  const names = await readdir(parent).catch(() => []);
  for (const name of names) {
    if (name.startsWith(UNFINISHED)) await rm(join(parent, name), { recursive: true, force: true });
  }
}

/**
 * Compares every file of a folder with its hash.
 *
 * @returns why the folder is damaged, naming the file, or undefined if it is whole
 */
export async function damageOf(path: string): Promise<string | undefined> {
  const list = await readFile(join(path, HASHES), 'utf8').catch(() => undefined);
  if (list === undefined) return `${HASHES} is missing`;
  const lines = list.split('\n').filter((line) => line !== '');
  if (lines.length === 0) return `${HASHES} is empty`;
  for (const line of lines) {
    const [, hash, name] = /^([0-9a-f]{64}) {2}([^/]+)$/.exec(line) ?? [];
    if (hash === undefined || name === undefined) return `${HASHES} is not a list of hashes`;
    const found = await hashOf(join(path, name));
    if (found === undefined) return `${name} is missing`;
    if (found !== hash) return `${name} does not have the hash that ${HASHES} gives it`;
  }
  return undefined;
}

async function hashOf(path: string): Promise<string | undefined> {
  if (!(await stat(path).catch(() => undefined))?.isFile()) return undefined;
  const hash = crypto().createHash('sha256');
  const file = await open(path, 'r');
  try {
    for await (const part of file.createReadStream({ autoClose: false })) hash.update(part);
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

function unfinished(name: string): string {
  return `${UNFINISHED}${name}-${crypto().randomBytes(6).toString('hex')}`;
}
