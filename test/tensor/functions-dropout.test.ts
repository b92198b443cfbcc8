import { describe, expect, it } from 'vitest';
import { dropout } from '../../src/tensor/functions/index.ts';
import { grad, jit, ones, random, type Tensor } from '../../src/tensor/index.ts';
import { MACHINE_DEVICES } from '../support/device-names.ts';

describe.each(['interpret', ...MACHINE_DEVICES] as const)('dropout on %s', (device) => {
  it('drops about p of the elements and keeps the expectation', async () => {
    const generator = new random.Generator(3);
    const x = ones([100, 100], { device });
    const y = [...(await dropout(x, { p: 0.25, generator }).data())];
    const kept = y.filter((v) => v !== 0);
    expect(new Set(kept)).toEqual(new Set([Math.fround(1 / 0.75)]));
    expect(kept.length / y.length).toBeGreaterThan(0.73);
    expect(kept.length / y.length).toBeLessThan(0.77);
  });

  it('passes the gradient of what it kept', async () => {
    const x = ones([50], { device });
    const both = (t: Tensor, seed: number) =>
      dropout(t, { p: 0.5, generator: new random.Generator(seed) });
    const kept = await both(x, 7).data();
    const slopes = await grad((t: Tensor) => both(t, 7).sum())(x).data();
    expect([...slopes]).toEqual([...kept]);
  });

  it('draws anew in every run of a step, and not at all in evaluation', async () => {
    const x = ones([64], { device });
    const step = jit((t: Tensor) => dropout(t, { p: 0.5 }));
    const [first, second] = [await (await step(x)).data(), await (await step(x)).data()];
    expect([...first]).not.toEqual([...second]);
    expect([...(await dropout(x, { training: false }).data())]).toEqual([...(await x.data())]);
    expect(() => dropout(x, { p: 1.5 })).toThrow('p is 1.5');
  });
});
