import { encodeSafetensors, openSafetensors, type StoredTensor } from './safetensors.ts';
import { crypto, fs, path as paths } from './slow-modules.ts';
import { endOfFile, type FileSource, type OpenFile } from './source.ts';

/** What a file is made of: text, or its bytes in pieces, which may be made as they are written. */
type FileContent = string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/**
 * Writes a file so that it is there whole or not at all, also if the process or the machine stops
 * meanwhile: to a temporary file in the same folder, which then takes the name.
 */
export async function writeFileAtomic(path: string, content: FileContent): Promise<void> {
  const { rename, rm, open } = fs();
  const { basename, dirname, join } = paths();
  const folder = dirname(path);
  const temporary = join(
    folder,
    `.${basename(path)}.${crypto().randomBytes(6).toString('hex')}.tmp`,
  );
  const parts = typeof content === 'string' ? [new TextEncoder().encode(content)] : content;
  try {
    const file = await open(temporary, 'wx');
    try {
      for await (const part of parts) await writeAll(file, part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw explain('written', path, error);
  }
  await syncFolder(folder);
}

/** @internal A single write may take less than it is given. */
export async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await file.write(bytes, at, Math.min(bytes.length - at, 2 ** 30))).bytesWritten;
  }
}

/** @internal Makes the new name itself durable. Not every system lets a folder be opened for that. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await fs().open(folder, 'r');
    await handle.sync().finally(() => handle.close());
  } catch {
    // The file is complete under its name; only a power failure now could lose the name.
  }
}

/** Makes a folder with the folders above it, if it is not there. */
export async function ensureFolder(path: string): Promise<void> {
  try {
    await fs().mkdir(path, { recursive: true });
  } catch (error) {
    throw explain('made as a folder', path, error);
  }
}

/** A JSON file. @throws Error naming the file if it is missing or not JSON */
export async function readJson(path: string): Promise<unknown> {
  const text = await fs()
    .readFile(path, 'utf8')
    .catch((error) => {
      throw explain('read', path, error);
    });
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`file ${JSON.stringify(path)} is not JSON: ${(error as Error).message}`);
  }
}

/** Writes a safetensors file; see `writeFileAtomic`. */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata?: Readonly<Record<string, string>>,
): Promise<void> {
  await writeFileAtomic(path, encodeSafetensors(tensors, metadata));
}

/**
 * Reads a safetensors file, one array at a time.
 *
 * @throws Error naming the file if it is missing or damaged
 */
export async function readSafetensors(path: string): Promise<{
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: Map<string, StoredTensor>;
}> {
  try {
    const file = await openFile(path);
    try {
      const { metadata, entries, read } = await openSafetensors(file);
      const tensors = new Map<string, StoredTensor>();
      for (const name of entries.keys()) tensors.set(name, await read(name));
      return { metadata, tensors };
    } finally {
      await file.close();
    }
  } catch (error) {
    throw explain('read', path, error);
  }
}

type FileHandle = Awaited<ReturnType<ReturnType<typeof fs>['open']>>;

/** Pieces are read where they lie in the file; nothing is kept. */
async function openFile(path: string): Promise<OpenFile> {
  const handle = await fs().open(path, 'r');
  try {
    const facts = await handle.stat();
    if (facts.isDirectory()) throw Object.assign(new Error('a folder'), { code: 'EISDIR' });
    const read = async (position: number, length: number) => {
      if (position + length > facts.size) throw endOfFile(facts.size, position + length);
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; ) {
        const part = Math.min(length - at, 2 ** 30);
        const { bytesRead } = await handle.read(bytes, at, part, position + at);
        if (bytesRead === 0) throw new Error('the file ended while it was read');
        at += bytesRead;
      }
      return bytes;
    };
    return { size: facts.size, read, path: paths().resolve(path), close: () => handle.close() };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The files of a folder. */
export function folderSource(folder: string): FileSource {
  const pathOf = (name: string) => paths().join(folder, name);
  return {
    pathOf,
    open: async (name) => {
      const path = pathOf(name);
      try {
        return await openFile(path);
      } catch (error) {
        if ((error as { code?: unknown }).code === 'ENOENT') return undefined;
        throw explain('read', path, error);
      }
    },
  };
}

/** Whether a path is a folder. */
export async function isFolder(path: string): Promise<boolean> {
  return fs()
    .stat(path)
    .then(
      (facts) => facts.isDirectory(),
      () => false,
    );
}

/** Deletes files that are there; the folder itself stays. */
export async function removeFiles(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) await fs().rm(paths().join(folder, name), { force: true });
}

/** The names in a folder. */
export async function listFolder(folder: string): Promise<string[]> {
  return fs()
    .readdir(folder)
    .catch((error) => {
      throw explain('read', folder, error);
    });
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist; check the path',
  ENOTDIR: 'a part of the path is no folder; check the path',
  EEXIST: 'a file of that name is in the way; choose another name',
  EISDIR: 'it is a folder; choose another name',
  EACCES: 'permission is denied; choose another place or change its permissions',
  EPERM: 'permission is denied; choose another place or change its permissions',
  EROFS: 'the file system is read-only; choose another place',
  ENOSPC: 'the disk is full; free some space or choose another place',
  EDQUOT: 'your share of the disk is used up; free some space or choose another place',
  EFBIG: 'the file is larger than this process may write; raise the limit (ulimit -f)',
};

/** @internal An error of the file system in words: what could not be done, why, and what to do. */
export function explain(what: string, path: string, error: unknown): Error {
  const { code, message } = error as { code?: unknown; message: string };
  const reason = typeof code === 'string' ? (REASONS[code] ?? code) : message;
  return new Error(`${JSON.stringify(path)} could not be ${what}: ${reason}`, { cause: error });
}
