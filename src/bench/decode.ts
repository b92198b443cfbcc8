import { makeThreadProbes } from '../device/measure/index.ts';
import { Llama, type LlamaConfig, llamaConfig } from '../models/index.ts';
import { cacheState } from '../nn/index.ts';
import type { QuantSchemeName } from '../tensor/functions/index.ts';
import {
  bind,
  type DeviceName,
  type Dim,
  jit,
  type Tensor,
  tensor,
  type Var,
  variable,
} from '../tensor/index.ts';
import type { Bench, BenchOptions } from './bench.ts';
import { limiting, race, repeating } from './harness.ts';
import { LIMIT, type Measurement, measurement, SUBJECT, withMore } from './measurement.ts';
import { packRandomly, randomBytes } from './random-weights.ts';

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

/** A model with caches, as steps that read a prompt and single tokens. */
async function makeDecoder(decoding: Decoding, device: DeviceName) {
  const { config, scheme, prompt } = decoding;
  const model = new Llama(config, { device });
  const packed = await packRandomly(model, scheme, device);
  const caches = model.newCaches(1);
  const length = variable('length', 1, config.max_position_embeddings);
  /** The logits after the last of some tokens. */
  const logits = (ids: Tensor, end: Dim) => {
    const time = ids.shape[1] as number;
    const hidden = model.hidden(ids, cacheState(caches, time, end));
    return model.head(hidden.narrow(1, time - 1, 1));
  };
  const fill = jit((ids: Tensor) => logits(ids, prompt));
  const step = jit((ids: Tensor, end: Var) => logits(ids, end));
  const ids = (count: number) => {
    const data = Int32Array.from(
      randomBytes(count, 99),
      (b, i) => (251 * b + i) % config.vocab_size,
    );
    return tensor(data, { shape: [1, count], device });
  };
  const [text, token] = [ids(prompt), ids(1)];
  return {
    packed,
    readPrompt: async () => (await fill(text)).dispose(),
    /** One more token behind `before` others. */
    readToken: async (before: number) => (await step(token, bind(length, before + 1))).dispose(),
    dispose: () => {
      for (const thing of [fill, step, text, token, model, ...caches]) thing.dispose();
    },
  };
}

export async function* runDecode(
  { device, timing, threads }: BenchOptions,
  decoding: Decoding = DECODING,
): AsyncGenerator<Measurement> {
  const { scheme, prompt, tokens } = decoding;
  const decoder = await makeDecoder(decoding, device);
  const { read, close } = await makeThreadProbes(threads);
  try {
    const { weights, bytes } = decoder.packed;
    const title = `${scheme} llama of ${weights} parameters`;
    const labels = { bench: 'decode', device, threads, unit: 'tokens/s' };
    const filled = await race([repeating(SUBJECT, decoder.readPrompt)], timing);
    const whole = { ...labels, case: `${title}, prompt of ${prompt}` };
    yield measurement(whole, filled, (s) => prompt / s);
    const all = async () => {
      for (let i = 0; i < tokens; i++) await decoder.readToken(prompt + i);
    };
    const limit = limiting(LIMIT, read, bytes * tokens);
    const decoded = await race([repeating(SUBJECT, all), limit], timing);
    const single = { ...labels, case: `${title}, ${tokens} single tokens` };
    yield withMore(
      measurement(single, decoded, (s) => tokens / s),
      {
        'MB of weights a token': bytes / 1e6,
      },
    );
  } finally {
    close();
    decoder.dispose();
  }
}

export const DECODE: Bench = {
  name: 'decode',
  summary: 'prompt and single tokens of a llama of 134 million packed weights',
  run: (options) => runDecode(options),
};
