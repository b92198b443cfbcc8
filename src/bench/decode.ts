import { makeThreadProbes } from '../device/measure/index.ts';
import { Llama, type LlamaConfig, llamaConfig } from '../models/index.ts';
import { cacheState, Embedding, Linear, type Module, PackedWeight } from '../nn/index.ts';
import { type QuantSchemeName, quantScheme } from '../tensor/functions/index.ts';
import { bind, type DeviceName, jit, type Tensor, tensor, variable } from '../tensor/index.ts';
import type { Bench, BenchOptions } from './bench.ts';
import { limiting, race, repeating } from './harness.ts';
import { LIMIT, type Measurement, measurement, SUBJECT, withMore } from './measurement.ts';

/** What is decoded: a llama of random packed weights. */
export interface Decoding {
  readonly config: LlamaConfig;
  readonly scheme: QuantSchemeName;
  /** Tokens of the prompt. */
  readonly prompt: number;
  /** Tokens that are generated after it, one by one. */
  readonly tokens: number;
}

/** 134,105,856 parameters. */
export const DECODING: Decoding = {
  config: llamaConfig({
    vocab_size: 32000,
    hidden_size: 768,
    intermediate_size: 2048,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    max_position_embeddings: 512,
    tie_word_embeddings: false,
  }),
  scheme: 'int4-g32',
  prompt: 128,
  tokens: 64,
};

/** Bytes of any values, which codes of any weight look like. */
function randomBytes(count: number, seed: number): Uint8Array {
  let state = (seed * 2654435761 + 12345) >>> 0;
  const words = Uint32Array.from({ length: Math.ceil(count / 4) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.imul(state ^ (state >>> 15), 2246822519);
  });
  return new Uint8Array(words.buffer, 0, count);
}

/** A weight [rows, columns] of random codes, scaled to the size of an initial weight. */
function randomWeight(
  [rows, columns]: readonly number[],
  name: QuantSchemeName,
  seed: number,
  device: DeviceName,
): Promise<PackedWeight> {
  const { bits, block } = quantScheme(name, columns);
  const bytes = randomBytes((rows * columns * bits) / 8, seed);
  const codes = tensor(bits === 8 ? new Int8Array(bytes.buffer, 0, bytes.length) : bytes, {
    shape: [rows, (columns * bits) / 8],
    device,
  });
  const blocks = (rows * columns) / block;
  const scale = 0.05 / 2 ** (bits - 1);
  const scales = tensor(new Float32Array(blocks).fill(scale), {
    shape: [rows, columns / block],
    device,
  });
  const weight = new PackedWeight({ scheme: name, shape: [rows, columns], codes, scales });
  for (const t of [codes, scales]) t.dispose();
  return weight.realize();
}

/** Puts random packed weights in place of a model's matrices; gives the bytes that a token reads. */
async function packRandomly(
  model: Module,
  scheme: QuantSchemeName,
  device: DeviceName,
): Promise<number> {
  let bytes = 0;
  let seed = 1;
  for (const module of model.modules().values()) {
    if (!(module instanceof Linear || module instanceof Embedding)) continue;
    const weight = await randomWeight(module.weight.shape as number[], scheme, seed++, device);
    module.weight.dispose();
    module.weight = weight;
    // Of the embedding a token reads one row.
    if (module instanceof Linear) bytes += weight.bytes;
  }
  return bytes;
}

export async function* runDecode(
  { device, timing, threads }: BenchOptions,
  { config, scheme, prompt, tokens }: Decoding = DECODING,
): AsyncGenerator<Measurement> {
  const model = new Llama(config, { device });
  const bytes = await packRandomly(model, scheme, device);
  const caches = model.newCaches(1);
  const last = (ids: Tensor, length: Parameters<typeof cacheState>[2]) => {
    const time = ids.shape[1] as number;
    const state = cacheState(caches, time, length);
    return model.head(model.hidden(ids, state).narrow(1, time - 1, 1));
  };
  const length = variable('length', 1, config.max_position_embeddings);
  const prefill = jit((ids: Tensor) => last(ids, prompt));
  const decode = jit((ids: Tensor, n: typeof length) => last(ids, n));
  const random = (count: number) =>
    tensor(
      Int32Array.from(
        randomBytes(count * 4, 99),
        (b, i) => (b * 251 + i) % config.vocab_size,
      ).subarray(0, count),
      { shape: [1, count], device },
    );
  const [promptIds, oneId] = [random(prompt), random(1)];
  const { read, close } = await makeThreadProbes(threads);
  try {
    const labels = { bench: 'decode', device, threads, unit: 'tokens/s' };
    const filled = await race(
      [repeating(SUBJECT, async () => (await prefill(promptIds)).dispose())],
      timing,
    );
    const title = `${scheme} llama of ${model.parameterCount()} parameters`;
    yield measurement(
      { ...labels, case: `${title}, prompt of ${prompt}` },
      filled,
      (s) => prompt / s,
    );
    const steps = async () => {
      for (let i = 0; i < tokens; i++) {
        (await decode(oneId, bind(length, prompt + i + 1))).dispose();
      }
    };
    const decoded = await race(
      [repeating(SUBJECT, steps), limiting(LIMIT, read, bytes * tokens)],
      timing,
    );
    const result = measurement(
      { ...labels, case: `${title}, one by one` },
      decoded,
      (s) => tokens / s,
    );
    yield withMore(result, { 'MB/token': bytes / 1e6 });
  } finally {
    close();
    prefill.dispose();
    decode.dispose();
    for (const cache of caches) cache.dispose();
    for (const ids of [promptIds, oneId]) ids.dispose();
    model.dispose();
  }
}

export const DECODE: Bench = {
  name: 'decode',
  summary: 'prompt and single tokens of a llama of 134 million packed weights',
  run: (options) => runDecode(options),
};
