import { describe, expect, test } from 'vitest';
import type { DeviceName } from '../../src/device/index.ts';
import * as F from '../../src/tensor/functions/index.ts';
import { vjp } from '../../src/tensor/grad.ts';
import { ones, type Tensor, tensor } from '../../src/tensor/tensor.ts';
import { DEVICE_NAMES } from '../support/device-names.ts';

const DEVICES: readonly DeviceName[] = DEVICE_NAMES;

/** Each function with its definition on a number. */
const ACTIVATIONS: readonly (readonly [string, (x: Tensor) => Tensor, (x: number) => number])[] = [
  ['softplus', (x) => F.softplus(x), (x) => Math.log1p(Math.exp(x))],
  ['softplus beta', (x) => F.softplus(x, { beta: 3 }), (x) => Math.log1p(Math.exp(3 * x)) / 3],
  ['logSigmoid', (x) => F.logSigmoid(x), (x) => -Math.log1p(Math.exp(-x))],
  ['mish', (x) => F.mish(x), (x) => x * Math.tanh(Math.log1p(Math.exp(x)))],
  ['hardsigmoid', (x) => F.hardsigmoid(x), (x) => Math.min(1, Math.max(0, x / 6 + 0.5))],
  ['hardswish', (x) => F.hardswish(x), (x) => x * Math.min(1, Math.max(0, x / 6 + 0.5))],
  ['hardtanh', (x) => F.hardtanh(x), (x) => Math.min(1, Math.max(-1, x))],
  ['relu6', (x) => F.relu6(x), (x) => Math.min(6, Math.max(0, x))],
  ['elu', (x) => F.elu(x, { alpha: 0.7 }), (x) => (x > 0 ? x : 0.7 * Math.expm1(x))],
  ['celu', (x) => F.celu(x, { alpha: 2 }), (x) => (x > 0 ? x : 2 * Math.expm1(x / 2))],
  [
    'selu',
    (x) => F.selu(x),
    (x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x)),
  ],
  ['leakyRelu', (x) => F.leakyRelu(x), (x) => (x > 0 ? x : x / 100)],
  ['reluSquared', (x) => F.reluSquared(x), (x) => Math.max(0, x) ** 2],
  ['softsign', (x) => F.softsign(x), (x) => x / (1 + Math.abs(x))],
  ['sigmoid', (x) => x.sigmoid(), (x) => 1 / (1 + Math.exp(-x))],
  ['silu', (x) => x.silu(), (x) => x / (1 + Math.exp(-x))],
];

const POINTS = [-5.5, -3.25, -1.5, -0.75, -0.125, 0.25, 0.875, 2, 4.5, 7];

describe.each(DEVICES)('activations on %s', (device) => {
  test.each(ACTIVATIONS)(
    '%s is what it is defined to be, and its gradient the slope',
    async (_name, f, define) => {
      const x = tensor(POINTS, { device });
      const y = f(x);
      const [slope] = vjp([y], [ones(y.shape, { device })], [x]);
      const [values, slopes] = [await y.data(), await slope.data()];
      POINTS.forEach((p, i) => {
        expect(values[i]).toBeCloseTo(define(p), 5);
        const step = 1e-5;
        expect(slopes[i]).toBeCloseTo((define(p + step) - define(p - step)) / (2 * step), 4);
      });
    },
  );

  test.each(ACTIVATIONS)('%s has finite gradients far out and NaN for NaN', async (_name, f) => {
    const x = tensor([-1e4, -150, -89, 0, 89, 150, 1e4, Number.NaN], { device });
    const y = f(x);
    const [slope] = vjp([y], [ones(y.shape, { device })], [x]);
    const slopes = await slope.data();
    expect(Array.from(slopes.subarray(0, 7), Number.isFinite)).toEqual(new Array(7).fill(true));
    expect((await y.data())[7]).toBeNaN();
  });

  test('glu and swiglu take the halves of an axis', async () => {
    const x = tensor([[1, 2, -1, 0.5]], { device });
    const sigmoid = (v: number) => 1 / (1 + Math.exp(-v));
    const gated = await F.glu(x).data();
    expect(gated[0]).toBeCloseTo(sigmoid(-1), 6);
    expect(gated[1]).toBeCloseTo(2 * sigmoid(0.5), 6);
    const swish = await F.swiglu(x).data();
    expect(swish[0]).toBeCloseTo(-sigmoid(1), 6);
    expect(swish[1]).toBeCloseTo(sigmoid(2), 6);
    expect(() => F.glu(x, { axis: 0 })).toThrow(/axis 0 has size 1; expected an even size/);
  });

  test('norms and deviations have gradient 0 at 0', async () => {
    const x = tensor(
      [
        [2, 2, 2],
        [0, 0, 0],
      ],
      { device },
    );
    const outputs = [x.std(-1), x.norm(2, 0)];
    const grads = outputs.map((y) => vjp([y], [ones(y.shape, { device })], [x])[0]);
    expect(await grads[0].toArray()).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
    const zeros = tensor([[0, 0]], { device });
    const y = zeros.norm(2, -1);
    const [grad] = vjp([y], [ones(y.shape, { device })], [zeros]);
    expect(await grad.toArray()).toEqual([[0, 0]]);
  });
});
