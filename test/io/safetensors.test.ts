import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  decodeSafetensors,
  encodeSafetensors,
  readSafetensors,
  type StoredTensor,
  writeFileAtomic,
  writeSafetensors,
} from '../../src/io/index.ts';

const f32 = (shape: number[], values: number[]): StoredTensor => ({
  dtype: 'f32',
  shape,
  data: Float32Array.from(values),
});

function join1(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts));
}

/** A file with a given header and data, right or wrong. */
function fileOf(header: unknown, data: number): Uint8Array {
  const json = new TextEncoder().encode(
    typeof header === 'string' ? header : JSON.stringify(header),
  );
  const file = new Uint8Array(8 + json.length + data);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  return file;
}

describe('safetensors', () => {
  test('the bytes are those of the format', () => {
    const file = join1(encodeSafetensors(new Map([['a', f32([2], [1, -2])]]), { format: 'pt' }));
    const length = Number(new DataView(file.buffer).getBigUint64(0, true));
    expect(length % 8).toBe(0);
    expect(JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)))).toEqual({
      __metadata__: { format: 'pt' },
      a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
    });
    expect([...file.subarray(8 + length)]).toEqual([0, 0, 128, 63, 0, 0, 0, 192]);
  });

  test('what is written is read, bit for bit, whatever the types and their order', () => {
    const entry = fc.oneof(
      fc.float32Array({ maxLength: 9 }).map((data) => ['f32', data] as const),
      fc.uint8Array({ maxLength: 9 }).map((data) => ['u8', data] as const),
      fc.uint16Array({ maxLength: 9 }).map((data) => ['bf16', data] as const),
      fc.int32Array({ maxLength: 9 }).map((data) => ['i32', data] as const),
      fc.float64Array({ maxLength: 9 }).map((data) => ['f64', data] as const),
    );
    const name = fc.string({ minLength: 1 }).filter((s) => s !== '__proto__');
    fc.assert(
      fc.property(fc.dictionary(name, entry, { noNullPrototype: true }), (given) => {
        const tensors = new Map<string, StoredTensor>(
          Object.entries(given).map(([key, [dtype, data]]) => [
            key,
            { dtype, shape: [data.length], data },
          ]),
        );
        const back = decodeSafetensors(join1(encodeSafetensors(tensors)));
        expect(new Set(back.tensors.keys())).toEqual(new Set(tensors.keys()));
        for (const [key, value] of tensors) expect(back.tensors.get(key)).toEqual(value);
      }),
    );
  });

  test('every tensor is aligned to its elements', () => {
    const tensors = new Map<string, StoredTensor>([
      ['a', { dtype: 'u8', shape: [3], data: Uint8Array.of(1, 2, 3) }],
      ['b', { dtype: 'f64', shape: [1], data: Float64Array.of(4) }],
      ['c', f32([1], [5])],
    ]);
    const file = join1(encodeSafetensors(tensors));
    const length = Number(new DataView(file.buffer).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
    expect(header.b.data_offsets).toEqual([0, 8]);
    expect(header.c.data_offsets).toEqual([8, 12]);
    expect(header.a.data_offsets).toEqual([12, 15]);
  });

  test('data that does not fit the shape is refused', () => {
    expect(() => encodeSafetensors(new Map([['a', f32([3], [1])]]))).toThrow(
      'the data of a has 4 bytes; expected 12 for f32[3]',
    );
  });

  const entry = (more: object) => ({
    a: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...more },
  });
  test.each([
    ['too short', new Uint8Array(3), 'it has 3 bytes; expected at least 8'],
    ['a length beyond the file', new Uint8Array(8).fill(255), 'its header claims'],
    ['no JSON', fileOf('{', 0), 'its header is not JSON'],
    ['no object', fileOf('[]', 0), 'its header is not a JSON object'],
    ['metadata of numbers', fileOf({ __metadata__: { a: 1 } }, 0), '__metadata__'],
    ['an unknown type', fileOf(entry({ dtype: 'F31' }), 8), 'a has dtype F31; expected one of F64'],
    ['a negative size', fileOf(entry({ shape: [-2] }), 8), 'the shape of a is not a list of sizes'],
    ['no offsets', fileOf(entry({ data_offsets: [0] }), 8), 'a has no pair of data_offsets'],
    ['a wrong size', fileOf(entry({ shape: [3] }), 8), 'a takes 8 bytes; expected 12 for F32[3]'],
    ['a gap', fileOf(entry({ data_offsets: [4, 12] }), 12), 'a begins at byte 4; expected 0'],
    ['data left over', fileOf(entry({}), 9), 'its tensors take 8 bytes; the file holds 9'],
    ['data cut off', fileOf(entry({}), 7), 'its tensors take 8 bytes; the file holds 7'],
    ['an entry that is null', fileOf({ a: null }, 0), 'a has dtype undefined'],
  ])('a damaged file is refused: %s', (_, file, message) => {
    expect(() => decodeSafetensors(file)).toThrow(message);
    expect(() => decodeSafetensors(file)).toThrow('not a valid safetensors file');
  });
});

describe('files', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tersor-io-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('a safetensors file is read as it was written', async () => {
    const path = join(folder, 'a.safetensors');
    const tensors = new Map([
      ['x', f32([2, 1], [1, 2])],
      ['empty', f32([0], [])],
    ]);
    await writeSafetensors(path, tensors, { by: 'test' });
    expect(await readSafetensors(path)).toEqual({ metadata: { by: 'test' }, tensors });
    expect(decodeSafetensors(readFileSync(path)).tensors).toEqual(tensors);
  });

  test('a damaged or missing file is named', async () => {
    const path = join(folder, 'bad.safetensors');
    writeFileSync(path, 'no');
    await expect(readSafetensors(path)).rejects.toThrow(
      `${JSON.stringify(path)} could not be read: not a valid safetensors file`,
    );
    await expect(readSafetensors(join(folder, 'none'))).rejects.toThrow('it does not exist');
  });

  test('writing replaces a file and leaves nothing beside it', async () => {
    const own = mkdtempSync(join(folder, 'own-'));
    await writeFileAtomic(join(own, 'f'), 'one');
    await writeFileAtomic(join(own, 'f'), 'two');
    expect(readFileSync(join(own, 'f'), 'utf8')).toBe('two');
    expect(readdirSync(own)).toEqual(['f']);
  });

  test('writing that fails leaves the old file and nothing beside it', async () => {
    const own = mkdtempSync(join(folder, 'own-'));
    await writeFileAtomic(join(own, 'f'), 'old');
    const broken = new Proxy([], {
      get: () => {
        throw new Error('no more');
      },
    });
    await expect(writeFileAtomic(join(own, 'f'), broken)).rejects.toThrow('no more');
    expect(readFileSync(join(own, 'f'), 'utf8')).toBe('old');
    expect(readdirSync(own)).toEqual(['f']);
    await expect(writeFileAtomic(join(own, 'none', 'f'), 'x')).rejects.toThrow(
      'could not be written: it does not exist; check the path',
    );
  });
});
