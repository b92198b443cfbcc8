import { endOfFile, type FileSource, memoryFile, type OpenFile, unreadable } from './source.ts';

export interface FetchOptions {
  /**
   * Asks for pieces of large files by HTTP ranges (RFC 9110), one request for each array, so that no
   * file is ever in memory as a whole (default: each file by one request). Where the server does not
   * know ranges the file comes whole.
   */
  readonly ranges?: boolean;
  /** Headers of every request, such as an authorization. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/** Files below an address. @param base ends in a slash, or one is added */
export function fetchSource(base: string | URL, options: FetchOptions = {}): FileSource {
  const folder = String(base).replace(/\/*$/, '/');
  const pathOf = (name: string) => `${folder}${name.split('/').map(encodeURIComponent).join('/')}`;
  return {
    pathOf,
    open: async (name) => {
      const url = pathOf(name);
      try {
        return await openUrl(url, options);
      } catch (error) {
        throw unreadable(url, error);
      }
    },
  };
}

async function openUrl(url: string, options: FetchOptions): Promise<OpenFile | undefined> {
  const { ranges = false, headers = {}, signal } = options;
  const request = (range?: string) =>
    fetch(url, {
      headers: range === undefined ? headers : { ...headers, range },
      ...(signal && { signal }),
    });
  const response = await request(ranges ? 'bytes=0-7' : undefined);
  if (response.status === 404) return undefined;
  const size = response.status === 206 ? totalOf(response) : undefined;
  if (size === undefined) return memoryFile(await bodyOf(response));
  await response.body?.cancel();
  return {
    size,
    read: async (position, length) => {
      if (position + length > size) throw endOfFile(size, position + length);
      if (length === 0) return new Uint8Array(0);
      const piece = await bodyOf(await request(`bytes=${position}-${position + length - 1}`));
      if (piece.length === length) return piece;
      throw new Error(`the server gave ${piece.length} bytes from ${position}; expected ${length}`);
    },
    close: async () => {},
  };
}

/** The size of the whole file as a partial answer tells it. */
function totalOf(response: Response): number {
  const range = response.headers.get('content-range');
  const total = Number(/\/(\d+)$/.exec(range ?? '')?.[1]);
  if (Number.isSafeInteger(total)) return total;
  throw new Error(
    `the server's content-range is ${JSON.stringify(range)}; expected one with the file's size. ` +
      'Load without ranges.',
  );
}

async function bodyOf(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  if (!response.ok) throw new Error(`the server answers ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}
