import { readFile } from 'node:fs/promises';
import { zlib } from '../io/slow-modules.ts';

/** Bytes in rows and columns: images [count, height, width], labels [count]. */
export interface IdxArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** The code of unsigned bytes in an idx header. */
const UBYTE = 0x08;

/**
 * Reads an idx file of unsigned bytes, as MNIST comes in; gzip is seen by its first bytes.
 *
 * The format: two zero bytes, the type, the number of axes, their sizes as big-endian u32, the data
 * row by row (LeCun, yann.lecun.com/exdb/mnist).
 *
 * @throws Error where the file cannot be read, RangeError where it is not such a file
 */
export async function readIdx(path: string): Promise<IdxArray> {
  const stored = await readFile(path);
  const zipped = stored[0] === 0x1f && stored[1] === 0x8b;
  return parseIdx(path, zipped ? zlib().gunzipSync(stored) : stored);
}

/** The contents of an idx file. */
export function parseIdx(name: string, bytes: Uint8Array): IdxArray {
  const bad = (found: string, expected: string) =>
    new RangeError(`${name}: ${found}; expected ${expected}, as in an idx file of unsigned bytes`);
  if (bytes.length < 4) throw bad(`${bytes.length} bytes`, 'a header of at least 4');
  const [zero, nought, type, axes] = bytes as unknown as [number, number, number, number];
  if (zero !== 0 || nought !== 0) throw bad(`starts with ${zero}, ${nought}`, '0, 0');
  if (type !== UBYTE) throw bad(`type 0x${type.toString(16)}`, '0x8');
  const start = 4 + 4 * axes;
  if (bytes.length < start) throw bad(`${bytes.length} bytes`, `sizes of ${axes} axes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const shape = Array.from({ length: axes }, (_, i) => view.getUint32(4 + 4 * i));
  const size = shape.reduce((a, b) => a * b, 1);
  if (bytes.length !== start + size) {
    throw bad(`${bytes.length - start} bytes of data`, `${size} (${shape.join(' x ')})`);
  }
  return { shape, data: bytes.slice(start) };
}
