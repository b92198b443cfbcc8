import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as F from '../../src/tensor/functions/index.ts';
import { type DeviceName, jit, ones, type Tensor, tensor, vjp } from '../../src/tensor/index.ts';
import { DEVICE_NAMES } from '../support/device-names.ts';
import { readJson } from '../support/fixtures.ts';
import { ROOT } from '../support/source-tree.ts';
import { difference } from '../support/stored.ts';

const DEVICES: readonly DeviceName[] = DEVICE_NAMES;

type Values = number | readonly Values[];

interface Case {
  readonly name: string;
  readonly reduction: F.Reduction | null;
  readonly options: Readonly<Record<string, unknown>>;
  readonly inputs: readonly Values[];
  readonly output: Values;
  /** Of the first inputs. */
  readonly grads: readonly Values[];
}

const { cases, certain } = readJson<{
  cases: Case[];
  certain: { inputs: readonly [number[], number[]]; output: readonly number[] };
}>(ROOT, join('test', 'fixtures', 'losses.json'));

const flat = (values: Values): number[] =>
  typeof values === 'number' ? [values] : values.flatMap(flat);
const near = { rtol: 2e-5, atol: 2e-6 };

type Loss = (...args: unknown[]) => Tensor;

describe.each(DEVICES)('losses as torch gives them, on %s', (device) => {
  test.each([...new Set(cases.map((c) => c.name))])('%s', async (name) => {
    const loss = (F as unknown as Record<string, Loss>)[name];
    for (const { reduction, options, inputs, output, grads } of cases.filter(
      (c) => c.name === name,
    )) {
      const given = inputs.map((values, i) =>
        name === 'multiMarginLoss' && i === 1
          ? tensor(Int32Array.from(flat(values)), { device })
          : tensor(values as number[], { device }),
      );
      const step = jit((...xs: Tensor[]) => {
        const y = loss(...xs, { ...options, ...(reduction ? { reduction } : {}) });
        const ramp = Float32Array.from({ length: y.size }, (_, i) => 0.5 + i / (y.size - 1));
        const upstream = y.rank === 0 ? ones([], { device }) : tensor(ramp, { device });
        return { y, grads: vjp([y], [upstream.reshape(y.shape)], xs.slice(0, grads.length)) };
      });
      const got = await step(...given);
      const check = async (what: string, x: Tensor, want: Values) =>
        expect([name, what, difference(await x.data(), flat(want), near)]).toEqual([
          name,
          what,
          undefined,
        ]);
      await check('value', got.y, output);
      for (const [i, want] of grads.entries()) {
        await check(`gradient ${i}`, got.grads[i], want);
      }
      step.dispose();
    }
  });

  test('binary cross entropy of certain predictions is finite', async () => {
    const [input, target] = certain.inputs.map((values) => tensor(values, { device }));
    const got = await F.binaryCrossEntropy(input, target, { reduction: 'none' }).data();
    expect(difference(got, certain.output, near)).toBeUndefined();
  });

  test('hinge loss', async () => {
    const got = F.hingeLoss(tensor([0.5, 2, -1], { device }), tensor([1, 1, -1], { device }));
    expect(await got.item()).toBeCloseTo(0.5 / 3, 6);
  });
});
