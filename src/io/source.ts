/** A file of which pieces can be read. */
export interface OpenFile {
  /** Bytes. */
  readonly size: number;
  /** A copy of a piece. @throws Error if the file ends before it does */
  read(position: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Its path where it lies on this machine, whole and as it is: a device may map it. */
  readonly path?: string;
  close(): Promise<void>;
}

/** Where files are read by name: a folder, an address on the web, or memory. */
export interface FileSource {
  /** The path or address of a file, for messages. */
  pathOf(name: string): string;
  /** Undefined where there is no such file. @throws Error naming the file that cannot be read */
  open(name: string): Promise<OpenFile | undefined>;
}

/** A file as text, or undefined where there is none. */
export async function readText(source: FileSource, name: string): Promise<string | undefined> {
  return withFile(source, name, async (file) => {
    return new TextDecoder('utf-8', { fatal: true }).decode(await file.read(0, file.size));
  });
}

/** A JSON file, or undefined where there is none. @throws Error naming a file that is not JSON */
export async function readJsonFrom(source: FileSource, name: string): Promise<unknown> {
  const text = await readText(source, name);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    const path = JSON.stringify(source.pathOf(name));
    throw new Error(`file ${path} is not JSON: ${(error as Error).message}`);
  }
}

async function withFile<T>(
  source: FileSource,
  name: string,
  body: (file: OpenFile) => Promise<T>,
): Promise<T | undefined> {
  const file = await source.open(name);
  if (!file) return undefined;
  try {
    return await body(file);
  } catch (error) {
    throw unreadable(source.pathOf(name), error);
  } finally {
    await file.close();
  }
}

/** Says which file could not be read, and why. */
export function unreadable(path: string, error: unknown): Error {
  const message = error instanceof Error ? error.message : String(error);
  return new Error(`${JSON.stringify(path)} could not be read: ${message}`, { cause: error });
}

/** Bytes in memory as a file. */
export function memoryFile(bytes: Uint8Array): OpenFile {
  return {
    size: bytes.length,
    read: async (position, length) => {
      if (position + length > bytes.length) throw endOfFile(bytes.length, position + length);
      return new Uint8Array(bytes.subarray(position, position + length));
    },
    close: async () => {},
  };
}

export function endOfFile(size: number, wanted: number): Error {
  return new Error(`it has ${size} bytes; expected at least ${wanted}`);
}

/** Files in memory: what a page was given by its user, for one. */
export function memorySource(
  files: ReadonlyMap<string, Uint8Array | ArrayBuffer | string>,
): FileSource {
  return {
    pathOf: (name) => name,
    open: async (name) => {
      const content = files.get(name);
      if (content === undefined) return undefined;
      if (typeof content === 'string') return memoryFile(new TextEncoder().encode(content));
      return memoryFile(content instanceof Uint8Array ? content : new Uint8Array(content));
    },
  };
}
