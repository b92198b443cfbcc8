import { describe, expect, test } from 'vitest';
import { cacheState } from '../../src/nn/index.ts';
import { jit, type Tensor, tensor, valueAndGrad } from '../../src/tensor/index.ts';
import { MODEL_SAMPLES } from '../support/model-samples.ts';

const ids = (values: readonly number[]) =>
  tensor(Int32Array.from(values), { shape: [2, values.length / 2] });
const INPUTS = [3, 17, 39, 0, 8, 8, 21, 5];
const TARGETS = [17, 39, 0, 1, 8, 21, 5, 2];

describe('recomputed blocks', () => {
  const chosen = MODEL_SAMPLES.filter(([name]) => /^(llama|mistral|gpt2)$/.test(name));

  test.each(chosen)('%s: the same loss and gradients, bit for bit', async (_, make) => {
    const model = make();
    const step = () => {
      const traced = jit((inputs: Tensor, targets: Tensor) => {
        const { value, grads } = valueAndGrad((m: typeof model) => m.loss(inputs, targets))(model);
        return [value, ...grads.values()];
      });
      return traced(ids(INPUTS), ids(TARGETS));
    };
    const read = async (results: readonly Tensor[]) => Promise.all(results.map((t) => t.data()));
    const kept = await read(await step());
    model.gradientCheckpointing = true;
    const recomputed = await read(await step());
    expect(recomputed.length).toBe(1 + model.parameters().size);
    expect(recomputed).toEqual(kept);
    expect(Math.max(...kept.slice(1).flatMap((g) => [...g].map(Math.abs)))).toBeGreaterThan(0);
  });

  test.each(chosen)('%s: caches are as without', async (_, make) => {
    const model = make();
    model.gradientCheckpointing = true;
    const caches = model.newCaches(2, 4);
    const cached = await model.forward(ids(INPUTS), cacheState(caches, 4, 4)).data();
    const plain = await model.forward(ids(INPUTS)).data();
    expect(Math.max(...cached.map((x, i) => Math.abs(x - plain[i])))).toBeLessThan(1e-4);
  });
});

test('weights of the loss count each target by its own', async () => {
  const [[, make]] = MODEL_SAMPLES;
  const model = make();
  const each = async (weights: readonly number[]) => {
    const w = tensor(Float32Array.from(weights), { shape: [2, 4] });
    return (await model.loss(ids(INPUTS), ids(TARGETS), w).data())[0];
  };
  const one = await Promise.all(
    TARGETS.map((_, i) => each(TARGETS.map((__, j) => (i === j ? 1 : 0)))),
  );
  const mean = one.reduce((a, b) => a + b) / one.length;
  expect((await model.loss(ids(INPUTS), ids(TARGETS)).data())[0]).toBeCloseTo(mean, 5);
  expect(await each([2, 0, 0, 0, 0, 0, 0, 1])).toBeCloseTo((2 * one[0] + one[7]) / 3, 5);
});
