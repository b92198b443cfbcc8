import { describe, expect, test } from 'vitest';
import type { DeviceName } from '../../src/device/index.ts';
import * as F from '../../src/tensor/functions/index.ts';
import { vjp } from '../../src/tensor/grad.ts';
import { ones, tensor } from '../../src/tensor/tensor.ts';
import { DEVICE_NAMES } from '../support/device-names.ts';

const DEVICES: readonly DeviceName[] = DEVICE_NAMES;

const LOGITS = [
  [0.5, -1.25, 2],
  [1.5, 0.25, -0.5],
  [-2, 0.75, 0.125],
];
const WEIGHTS = [0.5, 2, 1.25];

/** -log softmax of a row. */
function surprise(row: readonly number[]): number[] {
  const total = Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0));
  return row.map((x) => total - x);
}

const labels = (values: readonly number[], device: DeviceName) =>
  tensor(Int32Array.from(values), { device });

describe.each(DEVICES)('losses on %s', (device) => {
  const logits = tensor(LOGITS, { device });
  const weight = tensor(WEIGHTS, { device });

  test('cross entropy weighs classes, smooths labels and leaves out what is ignored', async () => {
    const target = [2, 7, 1];
    const options = { weight, labelSmoothing: 0.2, ignoreIndex: 7 };
    let sum = 0;
    let total = 0;
    target.forEach((t, i) => {
      if (t === 7) return;
      const losses = surprise(LOGITS[i]).map((x, c) => x * WEIGHTS[c]);
      sum += 0.8 * losses[t] + (0.2 / 3) * losses.reduce((a, b) => a + b);
      total += WEIGHTS[t];
    });
    const mean = F.crossEntropy(logits, labels(target, device), options);
    expect(await mean.item()).toBeCloseTo(sum / total, 5);
    const whole = F.crossEntropy(logits, labels(target, device), { ...options, reduction: 'sum' });
    expect(await whole.item()).toBeCloseTo(sum, 5);
  });

  test('soft targets are weighed and smoothed', async () => {
    const p = [
      [0.25, 0.5, 0.25],
      [1, 0, 0],
      [0, 0.125, 0.875],
    ];
    const losses = p.map((row, i) =>
      surprise(LOGITS[i]).reduce((s, x, c) => s + x * WEIGHTS[c] * (0.7 * row[c] + 0.1), 0),
    );
    const target = tensor(p, { device });
    const options = { weight, labelSmoothing: 0.3, reduction: 'none' } as const;
    const got = await F.crossEntropy(logits, target, options).data();
    losses.forEach((loss, i) => {
      expect(got[i]).toBeCloseTo(loss, 5);
    });
  });

  test('a single sample needs no batch', async () => {
    const one = F.crossEntropy(tensor(LOGITS[0], { device }), labels([1], device).reshape([]));
    expect(one.shape).toEqual([]);
    expect(await one.item()).toBeCloseTo(surprise(LOGITS[0])[1], 5);
  });

  test.each([
    [3, 'index 3 is out of range; expected 0 to 2'],
    [-1, 'index -1 is out of range; expected 0 to 2'],
  ])('the label %i throws', async (label, message) => {
    const target = labels([0, label, 1], device);
    await expect(F.crossEntropy(logits, target).item()).rejects.toThrow(RangeError);
    await expect(F.nllLoss(logits, target).item()).rejects.toThrow(message);
    await expect(F.oneHot(target, 3).data()).rejects.toThrow(message);
    // Nor does the gradient alone let it pass.
    const loss = F.crossEntropy(logits, target);
    const [grad] = vjp([loss], [ones([], { device })], [logits]);
    await expect(grad.data()).rejects.toThrow(message);
  });

  test('nothing but ignored targets give NaN, and no gradient in the sum', async () => {
    const target = labels([-100, -100, -100], device);
    expect(await F.crossEntropy(logits, target).item()).toBeNaN();
    const sum = F.crossEntropy(logits, target, { reduction: 'sum' });
    const [grad] = vjp([sum], [ones([], { device })], [logits]);
    expect(await sum.item()).toBe(0);
    expect(new Set(await grad.data())).toEqual(new Set([0]));
  });

  test('large logits do not overflow', async () => {
    const far = tensor([[1e4, -1e4, 0]], { device });
    const loss = F.crossEntropy(far, labels([1], device));
    const [grad] = vjp([loss], [ones([], { device })], [far]);
    expect(await loss.item()).toBe(2e4);
    expect(await grad.toArray()).toEqual([[1, -1, 0]]);
  });

  test('bceWithLogits weighs elements and positives', async () => {
    const x = [0.5, -2, 3];
    const t = [1, 0, 0.25];
    const [w, positive] = [[1, 2, 0.5], 3];
    const want = x.map((v, i) => {
      const p = 1 / (1 + Math.exp(-v));
      return -w[i] * (positive * t[i] * Math.log(p) + (1 - t[i]) * Math.log(1 - p));
    });
    const options = {
      weight: tensor(w, { device }),
      posWeight: tensor([positive], { device }),
      reduction: 'none',
    } as const;
    const got = await F.bceWithLogits(tensor(x, { device }), tensor(t, { device }), options).data();
    want.forEach((loss, i) => {
      expect(got[i]).toBeCloseTo(loss, 5);
    });
  });

  test('a distribution that is 0 somewhere has finite gradients in klDiv', async () => {
    const q = tensor([0.5, 0.25, 0.25], { device }).log();
    const p = tensor([0, 0.5, 0.5], { device });
    const loss = F.klDiv(q, p, { reduction: 'sum' });
    const grads = vjp([loss], [ones([], { device })], [q, p]);
    expect(await loss.item()).toBeCloseTo(Math.log(2), 6);
    for (const grad of grads) {
      expect((await grad.data()).every((v: number) => Number.isFinite(v))).toBe(true);
    }
  });

  test('smoothL1Loss without a beta is l1Loss', async () => {
    const [x, y] = [tensor([1, -2], { device }), tensor([0.5, 2], { device })];
    expect(await F.smoothL1Loss(x, y, { beta: 0 }).item()).toBe(2.25);
  });
});

test('arguments that cannot be are named', () => {
  const x = tensor([[1, 2, 3]]);
  const target = tensor(Int32Array.of(1));
  expect(() => F.crossEntropy(x, tensor(Int32Array.of(1, 2)))).toThrow(
    /target is \[2\]; expected \[1\]/,
  );
  expect(() => F.crossEntropy(x, tensor([[1, 2]]))).toThrow(/target is \[1, 2\]; expected labels/);
  expect(() => F.crossEntropy(x, tensor([true]))).toThrow(/target is bool; expected integers/);
  expect(() => F.crossEntropy(x, target, { labelSmoothing: 2 })).toThrow(/labelSmoothing is 2/);
  expect(() => F.crossEntropy(x, target, { weight: tensor([1, 2]) })).toThrow(
    /weight is \[2\]; expected \[3\]/,
  );
  expect(() => F.crossEntropy(x, target, { reduction: 'avg' as F.Reduction })).toThrow(
    /reduction is "avg"; expected mean, sum or none/,
  );
  expect(() => F.mseLoss(x, x, { reduction: 'avg' as F.Reduction })).toThrow(/reduction is "avg"/);
  expect(() => F.huberLoss(x, x, { delta: 0 })).toThrow(/delta is 0; expected a number > 0/);
  expect(() => F.smoothL1Loss(x, x, { beta: -1 })).toThrow(/beta is -1; expected a number >= 0/);
});
