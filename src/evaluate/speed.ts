import type { CausalLM } from '../models/index.ts';
import { cacheState } from '../nn/index.ts';
import { bind, jit, type Tensor, tensor, type Var, variable } from '../tensor/index.ts';

/** Tokens a second of one text. */
export interface Speed {
  /** Tokens of the prompt, and how many of them a second take. */
  readonly promptTokens: number;
  readonly prefill: number;
  /** Tokens written one by one behind it. */
  readonly newTokens: number;
  readonly decode: number;
}

export interface SpeedOptions {
  /** Default 128, or half of a shorter context. */
  readonly promptTokens?: number | undefined;
  /** Default 32. */
  readonly newTokens?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How often the prompt is read: the first time also compiles. */
const PREFILLS = 3;

/**
 * Measures how fast a model reads a prompt and writes behind it, with caches and without a sampler.
 * The best prefill counts, and the median token: other work on the machine only ever slows down.
 */
export async function measureSpeed(model: CausalLM, options: SpeedOptions = {}): Promise<Speed> {
  const { max_position_embeddings: longest, vocab_size: vocabulary } = model.config;
  const { signal } = options;
  const prompt = Math.max(1, Math.min(options.promptTokens ?? 128, Math.floor(longest / 2)));
  const fresh = Math.max(1, Math.min(options.newTokens ?? 32, longest - prompt));
  const caches = model.newCaches(1, prompt + fresh);
  const length = variable('length', 1, prompt + fresh);
  const [cell] = model.state().values();
  const logits = (tokens: Tensor, n: Var | number) => {
    const time = tokens.shape[1] as number;
    return model.head(model.hidden(tokens, cacheState(caches, time, n)).narrow(1, time - 1, 1));
  };
  const read = jit((tokens: Tensor) => logits(tokens, prompt));
  const write = jit((tokens: Tensor, n: Var) => logits(tokens, n));
  const ids = (count: number, at: number) => {
    const data = Int32Array.from({ length: count }, (_, i) => (at + i * 7) % vocabulary);
    return tensor(data, { shape: [1, count], ...(cell && { device: cell.held.device }) });
  };
  const time = async (body: () => Promise<Tensor>) => {
    signal?.throwIfAborted();
    const begin = performance.now();
    const result = await body();
    await result.data();
    result.dispose();
    return (performance.now() - begin) / 1000;
  };
  try {
    const prompts: number[] = [];
    for (let i = 0; i < PREFILLS; i++) {
      const tokens = ids(prompt, i);
      prompts.push(await time(() => read(tokens)));
      tokens.dispose();
    }
    const steps: number[] = [];
    for (let i = 0; i < fresh; i++) {
      const token = ids(1, i);
      steps.push(await time(() => write(token, bind(length, prompt + i + 1))));
      token.dispose();
    }
    // The first one compiles.
    const sorted = (steps.length > 1 ? steps.slice(1) : steps).sort((a, b) => a - b);
    return {
      promptTokens: prompt,
      prefill: prompt / Math.min(...prompts),
      newTokens: fresh,
      decode: 1 / sorted[Math.floor(sorted.length / 2)],
    };
  } finally {
    for (const owner of [read, write, ...caches]) owner.dispose();
  }
}
