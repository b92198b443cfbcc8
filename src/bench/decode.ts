import { Llama, type LlamaConfig } from '../models/index.ts';
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
import { withBars } from './bars.ts';
import type { Bench, BenchOptions } from './bench.ts';
import { type GgufScheme, randomLlamaFile } from './gguf/llama.ts';
import { limiting, race, repeating } from './harness.ts';
import { openLimits } from './limits.ts';
import { LLAMA_1B, LLAMA_134M } from './llama-sizes.ts';
import {
  type Bar,
  LIMIT,
  type Measurement,
  measurement,
  SUBJECT,
  withMore,
} from './measurement.ts';
import { ifThere } from './peers/absent.ts';
import type { Child } from './peers/child.ts';
import { LLAMA_CPP, openLlamaCppChild } from './peers/llama-cpp.ts';
import { llamaCppFolder } from './peers/llama-cpp-library.ts';
import { packRandomly, randomBytes } from './random-weights.ts';

/** What is decoded: a llama of random packed weights. */
export interface Decoding {
  readonly config: LlamaConfig;
  readonly scheme: QuantSchemeName;
  /** The blocks of llama.cpp with as many bits; undefined: it takes no part. */
  readonly peer?: GgufScheme;
  /** Tokens of the prompt. */
  readonly prompt: number;
  /** Tokens that are generated after it, one by one. */
  readonly tokens: number;
}

const LENGTHS = { prompt: 128, tokens: 64 };

const DECODINGS: readonly Decoding[] = [LLAMA_134M, LLAMA_1B].flatMap((config) => [
  { config, scheme: 'int4-g32', peer: 'Q4_0', ...LENGTHS },
  { config, scheme: 'int8-g32', peer: 'Q8_0', ...LENGTHS },
]);

const PROMPT_BARS: readonly Bar[] = [{ of: LLAMA_CPP, atLeast: 1.2 }];
const TOKEN_BARS: readonly Bar[] = [
  { of: LLAMA_CPP, atLeast: 1.3 },
  { of: LIMIT, atLeast: 0.8 },
];

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

/** The same model in llama.cpp. */
async function openPeer(
  { config, peer, prompt, tokens }: Decoding,
  threads: number,
  weights: number,
): Promise<Child | undefined> {
  if (!peer) return undefined;
  const child = await ifThere(async () => {
    llamaCppFolder();
    const file = await randomLlamaFile(config, peer);
    return openLlamaCppChild({ file, threads, vocabulary: config.vocab_size, prompt, tokens });
  });
  const found = child?.about['parameters'];
  if (child && found !== weights) {
    child.close();
    throw new Error(`decode: llama.cpp's model has ${found} parameters; expected ${weights}`);
  }
  return child;
}

export async function* runDecode(
  { device, timing, threads }: BenchOptions,
  decoding: Decoding,
): AsyncGenerator<Measurement> {
  const { scheme, prompt, tokens } = decoding;
  const decoder = await makeDecoder(decoding, device);
  const limits = await openLimits({ device, threads });
  let peer: Child | undefined;
  try {
    const { weights, bytes } = decoder.packed;
    peer = await openPeer(decoding, threads, weights);
    const beside = (order: string) => (peer ? [peer.contestant(LLAMA_CPP, `${order} `)] : []);
    const title = `${scheme} llama of ${weights} parameters`;
    const labels = { bench: 'decode', device, threads, unit: 'tokens/s' };
    const filling = [repeating(SUBJECT, decoder.readPrompt), ...beside('prompt')];
    const filled = await race(filling, timing);
    const whole = { ...labels, case: `${title}, prompt of ${prompt}` };
    yield withBars(
      measurement(whole, filled, (s) => prompt / s),
      peer ? PROMPT_BARS : [],
    );
    const all = async () => {
      for (let i = 0; i < tokens; i++) await decoder.readToken(prompt + i);
    };
    const limit = limiting(LIMIT, limits.read, bytes * tokens);
    const decoded = await race([repeating(SUBJECT, all), limit, ...beside('tokens')], timing);
    const single = { ...labels, case: `${title}, ${tokens} single tokens` };
    const rate = measurement(single, decoded, (s) => tokens / s);
    yield withMore(withBars(rate, TOKEN_BARS), { 'MB of weights a token': bytes / 1e6 });
  } finally {
    peer?.close();
    limits.close();
    decoder.dispose();
  }
}

export const DECODE: Bench = {
  name: 'decode',
  summary: 'prompt and single tokens of llamas of packed weights beside llama.cpp',
  run: async function* (options) {
    for (const decoding of DECODINGS) yield* runDecode(options, decoding);
  },
};
