import { existsSync } from 'node:fs';
import { encodeFloat } from '../../ir/float-formats.ts';
import type { LlamaConfig } from '../../models/index.ts';
import { keptLlama } from '../cache.ts';
import { vocabulary } from '../vocabulary.ts';
import { type Field, type TensorInfo, tensorBytes, writeGguf } from './file.ts';

/** GGML's names of 4.5 and 8.5 bits a weight. */
export type GgufScheme = 'Q4_0' | 'Q8_0';

/** The largest weight of a block is about that of an initial weight. */
const LARGEST = 0.05;
const PIECE_BLOCKS = 2 ** 15;

/** A vocabulary's fields: a word's score is its place, and the special tokens come first. */
function vocabularyFields(size: number): Map<string, Field> {
  const pieces = vocabulary(size);
  return new Map<string, Field>([
    ['tokenizer.ggml.model', { type: 'string', value: 'llama' }],
    ['tokenizer.ggml.tokens', { type: 'strings', value: pieces.map(({ text }) => text) }],
    ['tokenizer.ggml.scores', { type: 'f32s', value: pieces.map((_, i) => -i) }],
    ['tokenizer.ggml.token_type', { type: 'i32s', value: pieces.map(({ kind }) => kind) }],
    ['tokenizer.ggml.unknown_token_id', { type: 'u32', value: 0 }],
    ['tokenizer.ggml.bos_token_id', { type: 'u32', value: 1 }],
    ['tokenizer.ggml.eos_token_id', { type: 'u32', value: 2 }],
  ]);
}

function fieldsOf(config: LlamaConfig): Map<string, Field> {
  const u32 = (value: number): Field => ({ type: 'u32', value });
  const f32 = (value: number): Field => ({ type: 'f32', value });
  return new Map<string, Field>([
    ['general.architecture', { type: 'string', value: 'llama' }],
    ['general.name', { type: 'string', value: 'random weights' }],
    ['llama.vocab_size', u32(config.vocab_size)],
    ['llama.context_length', u32(config.max_position_embeddings)],
    ['llama.embedding_length', u32(config.hidden_size)],
    ['llama.block_count', u32(config.num_hidden_layers)],
    ['llama.feed_forward_length', u32(config.intermediate_size)],
    ['llama.rope.dimension_count', u32(config.head_dim)],
    ['llama.rope.freq_base', f32(config.rope_theta)],
    ['llama.attention.head_count', u32(config.num_attention_heads)],
    ['llama.attention.head_count_kv', u32(config.num_key_value_heads)],
    ['llama.attention.layer_norm_rms_epsilon', f32(config.rms_norm_eps)],
    ...vocabularyFields(config.vocab_size),
  ]);
}

/** Blocks of any codes, all of one scale. */
function* randomBlocks(scheme: GgufScheme, bytes: number, seed: number): Generator<Uint8Array> {
  const block = tensorBytes({ shape: [32], type: scheme });
  const scale = encodeFloat('f16', LARGEST / (scheme === 'Q4_0' ? 8 : 128));
  let state = (seed * 2654435761 + 12345) >>> 0;
  for (let left = bytes; left > 0; ) {
    const piece = new Uint8Array(Math.min(left, PIECE_BLOCKS * block));
    // One word of random bits gives four codes; a rest of a word is none of ours.
    const words = new Uint32Array(piece.length >> 2);
    for (let i = 0; i < words.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      words[i] = Math.imul(state ^ (state >>> 15), 2246822519);
    }
    piece.set(new Uint8Array(words.buffer));
    for (let at = 0; at < piece.length; at += block) {
      piece[at] = scale & 255;
      piece[at + 1] = scale >> 8;
    }
    yield piece;
    left -= piece.length;
  }
}

function ones(count: number): Iterable<Uint8Array> {
  return [new Uint8Array(new Float32Array(count).fill(1).buffer)];
}

function tensorsOf(config: LlamaConfig, scheme: GgufScheme): TensorInfo[] {
  const { hidden_size: d, intermediate_size: inner, vocab_size: words, head_dim: size } = config;
  const [queries, keys] = [config.num_attention_heads * size, config.num_key_value_heads * size];
  let seed = 1;
  const matrix = (name: string, rows: number, columns: number): TensorInfo => {
    const [own, shape] = [seed++, [rows, columns]];
    const bytes = tensorBytes({ shape, type: scheme });
    return { name, shape, type: scheme, pieces: () => randomBlocks(scheme, bytes, own) };
  };
  const norm = (name: string): TensorInfo => {
    return { name, shape: [d], type: 'F32', pieces: () => ones(d) };
  };
  const layer = (_: unknown, i: number) => [
    norm(`blk.${i}.attn_norm.weight`),
    matrix(`blk.${i}.attn_q.weight`, queries, d),
    matrix(`blk.${i}.attn_k.weight`, keys, d),
    matrix(`blk.${i}.attn_v.weight`, keys, d),
    matrix(`blk.${i}.attn_output.weight`, d, queries),
    norm(`blk.${i}.ffn_norm.weight`),
    matrix(`blk.${i}.ffn_gate.weight`, inner, d),
    matrix(`blk.${i}.ffn_up.weight`, inner, d),
    matrix(`blk.${i}.ffn_down.weight`, d, inner),
  ];
  return [
    matrix('token_embd.weight', words, d),
    ...Array.from({ length: config.num_hidden_layers }, layer).flat(),
    norm('output_norm.weight'),
    matrix('output.weight', words, d),
  ];
}

/** Writes a llama of random weights, every matrix in the scheme, to a path. */
export function writeRandomLlama(
  path: string,
  config: LlamaConfig,
  scheme: GgufScheme,
): Promise<void> {
  if (config.tie_word_embeddings) {
    throw new TypeError('writeRandomLlama: the output layer is tied; expected one of its own');
  }
  return writeGguf(path, fieldsOf(config), tensorsOf(config, scheme));
}

/** The file of a llama of random weights in the folder that benches keep; written on first use. */
export async function randomLlamaFile(config: LlamaConfig, scheme: GgufScheme): Promise<string> {
  const path = `${keptLlama(config, scheme)}.gguf`;
  if (!existsSync(path)) await writeRandomLlama(path, config, scheme);
  return path;
}
