import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { tensorBytes, writeGguf } from '../../src/bench/gguf/file.ts';
import { writeRandomLlama } from '../../src/bench/gguf/llama.ts';
import { openLlamaCppChild } from '../../src/bench/peers/llama-cpp.ts';
import { llamaCppFolder } from '../../src/bench/peers/llama-cpp-library.ts';
import { KIND, vocabulary } from '../../src/bench/vocabulary.ts';
import { decodeFloat } from '../../src/ir/float-formats.ts';
import { llamaConfig } from '../../src/models/index.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'tersor-gguf-'));
afterAll(() => rmSync(FOLDER, { recursive: true }));

const CONFIG = llamaConfig({
  vocab_size: 320,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 32,
  tie_word_embeddings: false,
});
const PARAMETERS = 2 * 320 * 64 + 2 * (64 * (64 + 32 + 32 + 64) + 3 * 64 * 96 + 2 * 64) + 64;

/** Reads the head of a GGUF file, as its specification says, and where its tensors lie. */
function readHead(bytes: Buffer) {
  let at = 0;
  const u32 = () => bytes.readUInt32LE((at += 4) - 4);
  const u64 = () => Number(bytes.readBigUInt64LE((at += 8) - 8));
  const text = () => {
    const length = u64();
    return bytes.toString('utf8', at, (at += length));
  };
  const value = (type: number): unknown => {
    if (type === 4) return u32();
    if (type === 5) return bytes.readInt32LE((at += 4) - 4);
    if (type === 6) return bytes.readFloatLE((at += 4) - 4);
    if (type === 8) return text();
    if (type !== 9) throw new Error(`type ${type}`);
    const [element, count] = [u32(), u64()];
    return Array.from({ length: count }, () => value(element));
  };
  const [magic, version, tensorCount, fieldCount] = [
    bytes.toString('latin1', 0, (at += 4)),
    u32(),
    u64(),
    u64(),
  ];
  const fields = new Map<string, unknown>();
  for (let i = 0; i < fieldCount; i++) fields.set(text(), value(u32()));
  const tensors = Array.from({ length: tensorCount }, () => {
    const name = text();
    const shape = Array.from({ length: u32() }, u64);
    return { name, shape, type: u32(), offset: u64() };
  });
  return { magic, version, fields, tensors, data: Math.ceil(at / 32) * 32 };
}

describe('a GGUF file', () => {
  test('has a head and aligned tensors', async () => {
    const path = join(FOLDER, 'small.gguf');
    const pieces = () => [Uint8Array.of(1, 2, 3, 4), Uint8Array.of(5, 6, 7, 8)];
    await writeGguf(
      path,
      new Map([
        ['a', { type: 'u32', value: 7 }],
        ['b', { type: 'strings', value: ['x', 'é'] }],
        ['c', { type: 'f32s', value: [0.5] }],
      ]),
      [
        { name: 'one', shape: [2, 1], type: 'F32', pieces },
        { name: 'two', shape: [2], type: 'F32', pieces },
      ],
    );
    const bytes = readFileSync(path);
    const head = readHead(bytes);
    expect(head).toMatchObject({ magic: 'GGUF', version: 3 });
    expect([...head.fields]).toEqual([
      ['a', 7],
      ['b', ['x', 'é']],
      ['c', [0.5]],
    ]);
    expect(head.tensors).toEqual([
      { name: 'one', shape: [1, 2], type: 0, offset: 0 },
      { name: 'two', shape: [2], type: 0, offset: 32 },
    ]);
    expect([...bytes.subarray(head.data + 32, head.data + 40)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(bytes.length).toBe(head.data + 64);
  });

  test('with too few bytes of a tensor is not written', async () => {
    const short = { name: 'short', shape: [4], type: 'F32', pieces: () => [new Uint8Array(12)] };
    const path = join(FOLDER, 'short.gguf');
    await expect(writeGguf(path, new Map(), [{ ...short, type: 'F32' }])).rejects.toThrow(
      'short has 12 bytes; expected 16',
    );
    expect(readdirSync(FOLDER).filter((name) => name.startsWith('short'))).toEqual([]);
  });

  test('stores blocks of 4.5 and 8.5 bits a weight', () => {
    expect(tensorBytes({ shape: [64, 32], type: 'Q4_0' })).toBe((64 * 32 * 4.5) / 8);
    expect(tensorBytes({ shape: [64, 32], type: 'Q8_0' })).toBe((64 * 32 * 8.5) / 8);
  });
});

describe.each(['Q4_0', 'Q8_0'] as const)('a llama of random weights in %s', (scheme) => {
  const path = join(FOLDER, `${scheme}.gguf`);

  test('has its sizes, its vocabulary and all matrices', async () => {
    await writeRandomLlama(path, CONFIG, scheme);
    const bytes = readFileSync(path);
    const { fields, tensors, data } = readHead(bytes);
    expect(fields.get('llama.attention.head_count_kv')).toBe(2);
    expect(fields.get('tokenizer.ggml.tokens')).toHaveLength(320);
    const count = tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b), 0);
    expect(count).toBe(PARAMETERS);
    const last = tensors[tensors.length - 1];
    expect(last).toMatchObject({ name: 'output.weight', shape: [64, 320] });
    expect(bytes.length).toBe(data + last.offset + tensorBytes({ shape: [64, 320], type: scheme }));
    // Every block has the scale that keeps its weights small; codes take all values.
    const block = tensorBytes({ shape: [32], type: scheme });
    const codes = new Set<number>();
    for (let at = data + last.offset; at < bytes.length; at += block) {
      const scale = decodeFloat('f16', bytes.readUInt16LE(at));
      expect(scale * (scheme === 'Q4_0' ? 8 : 128)).toBeCloseTo(0.05, 4);
      for (const code of bytes.subarray(at + 2, at + block)) codes.add(code);
    }
    expect(codes.size).toBe(256);
  });

  test.skipIf(!hasLlamaCpp())('is one that llama.cpp runs', async () => {
    const task = { file: path, threads: 1, vocabulary: 320, prompt: 6, tokens: 3 };
    const child = await openLlamaCppChild(task);
    try {
      expect(child.about['parameters']).toBe(PARAMETERS);
      for (const order of ['prompt 2', 'tokens 2', 'tokens 1', 'prompt 1']) {
        expect((await child.ask(order))['wall']).toBeGreaterThan(0);
      }
    } finally {
      child.close();
    }
  });
});

function hasLlamaCpp(): boolean {
  try {
    return llamaCppFolder() !== '';
  } catch {
    return false;
  }
}

describe('the vocabulary', () => {
  test('has special tokens, all bytes, and words', () => {
    const pieces = vocabulary(300);
    expect(pieces.slice(0, 4).map(({ text }) => text)).toEqual(['<unk>', '<s>', '</s>', '<0x00>']);
    expect(pieces.filter(({ kind }) => kind === KIND.byte)).toHaveLength(256);
    expect(new Set(pieces.map(({ text }) => text)).size).toBe(300);
    expect(() => vocabulary(200)).toThrow('expected at least 259');
  });
});
