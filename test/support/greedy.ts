import type { CausalLM } from '../../src/models/index.ts';
import { cacheState } from '../../src/nn/index.ts';
import { bind, jit, type Tensor, tensor, type Var, variable } from '../../src/tensor/index.ts';

/** The most probable continuation, one token at a time, computed in two ways. */

const row = (model: CausalLM, ids: readonly number[]): Tensor => {
  const [first] = model.parameters().values();
  return tensor(Int32Array.from(ids), { shape: [1, ids.length], device: first.held.device });
};

const best = (logits: ArrayLike<number>) => {
  let at = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[at]) at = i;
  return at;
};

/** The prompt's logits [length, vocabulary], in one pass. */
export async function logitsOf(model: CausalLM, ids: readonly number[]): Promise<Float32Array> {
  return (await model.forward(row(model, ids)).data()) as Float32Array;
}

/** What the output layer sees at the last position. */
export async function lastHiddenOf(
  model: CausalLM,
  ids: readonly number[],
): Promise<ArrayLike<number>> {
  return model
    .hidden(row(model, ids))
    .narrow(1, ids.length - 1, 1)
    .data();
}

/** Every token from the whole text before it: rows of one program, filled up behind. */
export async function greedyUncached(
  model: CausalLM,
  prompt: readonly number[],
  count: number,
): Promise<number[]> {
  const ids = [...prompt];
  const total = prompt.length + count;
  const step = jit((tokens: Tensor, length: Var) =>
    model.head(model.hidden(tokens).narrow(1, 0, length)),
  );
  const length = variable('length', 1, total);
  for (let i = 0; i < count; i++) {
    const filled = [...ids, ...Array.from({ length: total - ids.length }, () => 0)];
    const logits = await step(row(model, filled), bind(length, ids.length));
    const data = await logits.data();
    ids.push(best(data.slice(-model.config.vocab_size)));
    logits.dispose();
  }
  step.dispose();
  return ids.slice(prompt.length);
}

/** The prompt in one piece into caches, then token by token. */
export async function greedyCached(
  model: CausalLM,
  prompt: readonly number[],
  count: number,
): Promise<number[]> {
  const capacity = prompt.length + count;
  const caches = model.newCaches(1, capacity);
  const length = variable('length', prompt.length, capacity);
  const next = async (tokens: readonly number[], at: number) => {
    const step = tokens.length === 1 ? single : first;
    const logits = await step(row(model, tokens), bind(length, at));
    const id = best(await logits.data());
    logits.dispose();
    return id;
  };
  const forward = (tokens: Tensor, end: Var) => {
    const time = tokens.shape[1] as number;
    const hidden = model.hidden(tokens, cacheState(caches, time, end));
    return model.head(hidden.narrow(1, time - 1, 1)).reshape([-1]);
  };
  const first = jit(forward);
  const single = jit(forward);
  const ids = [await next(prompt, prompt.length)];
  while (ids.length < count) {
    ids.push(await next(ids.slice(-1), prompt.length + ids.length));
  }
  for (const made of [first, single, ...caches]) made.dispose();
  return ids;
}
