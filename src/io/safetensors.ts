import { arrayClass, DTYPES, type DType, type TypedArray } from '../ir/dtype.ts';
import { sizeOf } from '../ir/shape.ts';
import type { OpenFile } from './source.ts';

/** An array in a safetensors file. Floats below 32 bits are raw bits. */
export interface StoredTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

/** Where an array lies in the data part of a file, in bytes. */
export interface StoredEntry {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  readonly entries: ReadonlyMap<string, StoredEntry>;
}

const NAMES: { readonly [D in DType]: string } = {
  f64: 'F64',
  f32: 'F32',
  f16: 'F16',
  bf16: 'BF16',
  f8e4m3: 'F8_E4M3',
  f8e5m2: 'F8_E5M2',
  i32: 'I32',
  u32: 'U32',
  i8: 'I8',
  u8: 'U8',
  bool: 'BOOL',
};
const DTYPE_OF = new Map(Object.entries(NAMES).map(([dtype, name]) => [name, dtype as DType]));

/** The format's own limit, against headers that would fill the memory. */
export const LARGEST_HEADER = 100_000_000;

/**
 * What stands before the arrays of a safetensors file: the length of the header (u64, little endian)
 * and the header as JSON, padded by spaces to a multiple of 8 bytes. The arrays follow in `order`:
 * larger element types come first, as the format's own writer has it, so that every array is aligned
 * to its elements.
 *
 * @see https://huggingface.co/docs/safetensors
 */
export function layOutSafetensors(
  tensors: ReadonlyMap<string, Omit<StoredTensor, 'data'>>,
  metadata: Readonly<Record<string, string>> = {},
): { readonly start: Uint8Array; readonly order: readonly string[] } {
  const header: Record<string, unknown> = {};
  if (Object.keys(metadata).length > 0) header['__metadata__'] = metadata;
  const sorted = [...tensors].sort(
    ([a, x], [b, y]) => DTYPES[y.dtype].bytes - DTYPES[x.dtype].bytes || (a < b ? -1 : 1),
  );
  let offset = 0;
  for (const [name, { dtype, shape }] of sorted) {
    if (name === '__metadata__') {
      throw new TypeError(
        'safetensors: a tensor is named "__metadata__", which the format reserves',
      );
    }
    const end = offset + storedBytes({ dtype, shape });
    header[name] = { dtype: NAMES[dtype], shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const start = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(start.buffer).setBigUint64(0, BigInt(start.length - 8), true);
  start.set(json, 8);
  return { start, order: sorted.map(([name]) => name) };
}

/** Bytes that an array takes in a file. */
export function storedBytes({ dtype, shape }: Omit<StoredTensor, 'data'>): number {
  return sizeOf(shape) * DTYPES[dtype].bytes;
}

/** The bytes of an array. @throws TypeError where they do not fit type and shape */
export function bytesOf(name: string, { dtype, shape, data }: StoredTensor): Uint8Array {
  const expected = storedBytes({ dtype, shape });
  if (data.byteLength === expected) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  throw new TypeError(
    `safetensors: the data of ${name} has ${data.byteLength} bytes; expected ` +
      `${expected} for ${dtype}[${shape.join(', ')}]`,
  );
}

/** A safetensors file in pieces; see `layOutSafetensors`. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array[] {
  const { start, order } = layOutSafetensors(tensors, metadata);
  return [start, ...order.map((name) => bytesOf(name, tensors.get(name) as StoredTensor))];
}

/** A safetensors file whose arrays are read one at a time. */
export interface OpenSafetensors extends SafetensorsHeader {
  /** @throws RangeError for a name that the file does not have */
  readonly read: (name: string) => Promise<StoredTensor>;
  /** Where the bytes of an array lie in the file. @throws RangeError likewise */
  readonly locate: (name: string) => { readonly offset: number; readonly bytes: number };
}

/** Reads and checks the header. The file stays the caller's: it closes it when all is read. */
export async function openSafetensors(file: OpenFile): Promise<OpenSafetensors> {
  const length = headerLength(await file.read(0, Math.min(8, file.size)), file.size);
  const dataAt = 8 + length;
  const header = parseHeader(await file.read(8, length), file.size - dataAt);
  const entryOf = (name: string): StoredEntry => {
    const entry = header.entries.get(name);
    if (entry) return entry;
    throw new RangeError(`safetensors: there is no tensor ${JSON.stringify(name)}`);
  };
  const locate = (name: string) => {
    const { begin, end } = entryOf(name);
    return { offset: dataAt + begin, bytes: end - begin };
  };
  const read = async (name: string) => {
    const { dtype, shape } = entryOf(name);
    const { offset, bytes } = locate(name);
    return { dtype, shape, data: typed(dtype, await file.read(offset, bytes)) };
  };
  return { ...header, read, locate };
}

/** Reads the length of the header, the first 8 bytes of a file of `fileBytes` bytes. */
export function headerLength(start: Uint8Array, fileBytes: number): number {
  if (fileBytes < 8) throw damaged(`it has ${fileBytes} bytes; expected at least 8`);
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  const length = Number(view.getBigUint64(0, true));
  if (length > LARGEST_HEADER || length > fileBytes - 8) {
    throw damaged(`its header claims ${length} bytes; the file has ${fileBytes}`);
  }
  return length;
}

/** Reads and checks a header: every array must lie inside the data, without gap or overlap. */
export function parseHeader(json: Uint8Array, dataBytes: number): SafetensorsHeader {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
  } catch {
    throw damaged('its header is not JSON');
  }
  if (!isRecord(parsed)) throw damaged('its header is not a JSON object');
  const { __metadata__: metadata = {}, ...rest } = parsed;
  if (!isRecord(metadata) || Object.values(metadata).some((v) => typeof v !== 'string')) {
    throw damaged('its __metadata__ is not an object of texts');
  }
  const entries = new Map(
    Object.entries(rest).map(([name, entry]) => [name, checkEntry(name, entry)]),
  );
  let at = 0;
  for (const [name, { begin, end }] of [...entries].sort(
    ([, a], [, b]) => a.begin - b.begin || a.end - b.end,
  )) {
    if (begin !== at) throw damaged(`${name} begins at byte ${begin}; expected ${at}`);
    at = end;
  }
  if (at !== dataBytes) throw damaged(`its tensors take ${at} bytes; the file holds ${dataBytes}`);
  return { metadata: metadata as Record<string, string>, entries };
}

function checkEntry(name: string, entry: unknown): StoredEntry {
  const { dtype: code, shape, data_offsets: offsets } = isRecord(entry) ? entry : {};
  const dtype = DTYPE_OF.get(String(code));
  if (!dtype) {
    throw damaged(
      `${name} has dtype ${String(code)}; expected one of ${[...DTYPE_OF.keys()].join(', ')}`,
    );
  }
  if (!isCounts(shape)) throw damaged(`the shape of ${name} is not a list of sizes`);
  if (!isCounts(offsets) || offsets.length !== 2)
    throw damaged(`${name} has no pair of data_offsets`);
  const [begin, end] = offsets;
  const bytes = sizeOf(shape) * DTYPES[dtype].bytes;
  if (end - begin !== bytes) {
    throw damaged(
      `${name} takes ${end - begin} bytes; expected ${bytes} for ${code}[${shape.join(', ')}]`,
    );
  }
  return { dtype, shape, begin, end };
}

/** Reads a whole file that is in memory. */
export function decodeSafetensors(file: Uint8Array): {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: Map<string, StoredTensor>;
} {
  const length = headerLength(file, file.length);
  const data = file.subarray(8 + length);
  const { metadata, entries } = parseHeader(file.subarray(8, 8 + length), data.length);
  const tensors = new Map<string, StoredTensor>();
  for (const [name, { dtype, shape, begin, end }] of entries) {
    // A copy, and aligned. (`slice` of a Buffer would be neither.)
    const bytes = new Uint8Array(data.subarray(begin, end));
    tensors.set(name, { dtype, shape, data: typed(dtype, bytes) });
  }
  return { metadata, tensors };
}

/** Bytes that own their buffer as elements of a type. */
export function typed(dtype: DType, bytes: Uint8Array<ArrayBuffer>): TypedArray {
  return new (arrayClass(dtype))(bytes.buffer, 0, bytes.length / DTYPES[dtype].bytes);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

function damaged(what: string): Error {
  return new Error(`not a valid safetensors file: ${what}`);
}
