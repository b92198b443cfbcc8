import { readFile } from 'node:fs/promises';
import { readJson, readSafetensors, writeFileAtomic, writeSafetensors } from '../io/files.ts';
import type { StoredTensor } from '../io/safetensors.ts';
import { documentCount, type TokenArray, type TokenDocuments } from './documents.ts';

/** What a .bin file of tokens needs beside it, in NAME.bin.json. */
interface Sidecar {
  readonly format: 'tersor-tokens';
  readonly dtype: 'u16' | 'u32';
  readonly tokens: number;
  /** Tokens of each document, in order. */
  readonly documents: readonly number[];
  /** One more than the largest id that the tokenizer has. */
  readonly vocabSize: number;
}

/**
 * Writes documents as tokens, so that a training need not encode them again.
 *
 * - `.bin`: the ids as u16, or u32 for vocabularies beyond 65,536, little endian, and `PATH.json`
 *   with type, counts and the documents' lengths. It has no place for weights.
 * - `.safetensors`: `tokens` u32 [tokens], `lengths` u32 [documents] and, if there are weights,
 *   `weights` u8 [tokens]; `vocab_size` is in the metadata.
 *
 * @throws Error for another ending, for weights in a .bin, for ids beyond `vocabSize`
 */
export async function writeTokens(
  path: string,
  documents: TokenDocuments,
  options: { readonly vocabSize: number },
): Promise<void> {
  const { tokens, starts, weights } = documents;
  const { vocabSize } = options;
  checkIds(path, tokens, vocabSize);
  const lengths = Array.from(
    { length: documentCount(documents) },
    (_, index) => starts[index + 1] - starts[index],
  );
  if (path.endsWith('.safetensors')) {
    const u32 = (values: ArrayLike<number>): StoredTensor => ({
      dtype: 'u32',
      shape: [values.length],
      data: Uint32Array.from(values),
    });
    const tensors = new Map([
      ['tokens', u32(tokens)],
      ['lengths', u32(lengths)],
    ]);
    if (weights !== undefined) {
      tensors.set('weights', { dtype: 'u8', shape: [weights.length], data: weights });
    }
    await writeSafetensors(path, tensors, { vocab_size: String(vocabSize) });
    return;
  }
  if (!path.endsWith('.bin')) {
    throw new RangeError(
      `path is ${JSON.stringify(path)}; expected a name that ends with .bin or .safetensors.`,
    );
  }
  if (weights !== undefined) {
    throw new RangeError(
      `path is ${JSON.stringify(path)}, and a .bin file has no place for weights; expected a name ` +
        'that ends with .safetensors, as these documents have some.',
    );
  }
  const dtype = vocabSize <= 0x10000 ? 'u16' : 'u32';
  await writeFileAtomic(path, [littleEndian(tokens, dtype)]);
  const about: Sidecar = {
    format: 'tersor-tokens',
    dtype,
    tokens: tokens.length,
    documents: lengths,
    vocabSize,
  };
  await writeFileAtomic(`${path}.json`, `${JSON.stringify(about)}\n`);
}

/**
 * Reads what `writeTokens` writes. Of a .safetensors file only `tokens` is needed, of integers;
 * without `lengths` it is one document.
 *
 * @throws Error naming file and field for what is missing or does not fit together
 */
export async function readTokens(
  path: string,
  options: { readonly vocabSize: number },
): Promise<TokenDocuments> {
  const documents = path.endsWith('.safetensors') ? await readTensors(path) : await readBin(path);
  checkIds(path, documents.tokens, options.vocabSize);
  return documents;
}

async function readBin(path: string): Promise<TokenDocuments> {
  const name = `${path}.json`;
  const about = (await readJson(name)) as Partial<Sidecar> | null;
  if (about?.format !== 'tersor-tokens') fail(name, 'format', about?.format, '"tersor-tokens"');
  const { dtype, tokens: count, documents } = about as Partial<Sidecar>;
  if (dtype !== 'u16' && dtype !== 'u32') fail(name, 'dtype', dtype, '"u16" or "u32"');
  const bytes = await readFile(path).catch((error: Error) => {
    throw new Error(`${JSON.stringify(path)} could not be read: ${error.message}`);
  });
  const width = dtype === 'u16' ? 2 : 4;
  if (bytes.length !== (count ?? -1) * width) {
    fail(name, 'tokens', count, `${bytes.length / width}, as ${path} has bytes of ${dtype}`);
  }
  if (!Array.isArray(documents)) fail(name, 'documents', documents, 'a list of lengths');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const tokens = width === 2 ? new Uint16Array(count as number) : new Uint32Array(count as number);
  for (let index = 0; index < tokens.length; index += 1) {
    tokens[index] = width === 2 ? view.getUint16(2 * index, true) : view.getUint32(4 * index, true);
  }
  return { tokens, starts: startsOf(name, documents as number[], tokens.length) };
}

async function readTensors(path: string): Promise<TokenDocuments> {
  const { tensors } = await readSafetensors(path);
  const values = (name: string, dtypes: readonly string[]): StoredTensor | undefined => {
    const stored = tensors.get(name);
    if (stored !== undefined && (!dtypes.includes(stored.dtype) || stored.shape.length !== 1)) {
      const found = `${stored.dtype} [${stored.shape.join(', ')}]`;
      fail(path, name, found, `a list of type ${dtypes.join(' or ')}`);
    }
    return stored;
  };
  const tokens = values('tokens', ['u32', 'i32']);
  if (tokens === undefined) fail(path, 'tokens', undefined, 'a list of type u32 or i32');
  const data = (tokens as StoredTensor).data as TokenArray;
  const lengths = values('lengths', ['u32', 'i32'])?.data as ArrayLike<number> | undefined;
  const weights = values('weights', ['u8'])?.data as Uint8Array | undefined;
  if (weights !== undefined && weights.length !== data.length) {
    fail(path, 'weights', `of length ${weights.length}`, `${data.length}, one for each token`);
  }
  const starts = startsOf(path, Array.from(lengths ?? [data.length]), data.length);
  return { tokens: data, starts, weights };
}

function startsOf(file: string, lengths: readonly number[], tokens: number): Float64Array {
  const starts = new Float64Array(lengths.length + 1);
  lengths.forEach((length, index) => {
    if (!Number.isInteger(length) || length < 0) {
      fail(file, `documents[${index}]`, length, 'the length of a document');
    }
    starts[index + 1] = starts[index] + length;
  });
  if (starts[lengths.length] !== tokens) {
    fail(file, 'documents', `of ${starts[lengths.length]} tokens in all`, `${tokens}`);
  }
  return starts;
}

function checkIds(file: string, tokens: TokenArray, vocabSize: number): void {
  const wrong = tokens.findIndex((id: number) => id < 0 || id >= vocabSize);
  if (wrong !== -1) {
    fail(
      file,
      `tokens[${wrong}]`,
      tokens[wrong],
      `an id below ${vocabSize}, the size of the tokenizer that it was made with`,
    );
  }
}

function littleEndian(tokens: TokenArray, dtype: 'u16' | 'u32'): Uint8Array {
  const width = dtype === 'u16' ? 2 : 4;
  const bytes = new Uint8Array(tokens.length * width);
  const view = new DataView(bytes.buffer);
  tokens.forEach((id: number, index: number) => {
    if (width === 2) view.setUint16(2 * index, id, true);
    else view.setUint32(4 * index, id, true);
  });
  return bytes;
}

function fail(file: string, field: string, value: unknown, expected: string): never {
  const found = value === undefined ? 'missing' : typeof value === 'string' ? value : String(value);
  throw new Error(`${file}: ${field} is ${found}; expected ${expected}. Write the file again.`);
}
