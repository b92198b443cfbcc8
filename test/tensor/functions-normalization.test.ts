import { describe, expect, test } from 'vitest';
import type { DeviceName } from '../../src/device/index.ts';
import { decodeFloat } from '../../src/ir/float-formats.ts';
import * as F from '../../src/tensor/functions/index.ts';
import { ones, tensor, zeros } from '../../src/tensor/tensor.ts';
import { DEVICE_NAMES } from '../support/device-names.ts';

const DEVICES: readonly DeviceName[] = DEVICE_NAMES;

describe.each(DEVICES)('normalisation on %s', (device) => {
  const x = tensor(
    Float32Array.from({ length: 24 }, (_, i) => Math.cos(i * 3.7) * 5),
    { shape: [2, 4, 3], device },
  );

  test('groups of one channel, and one group of all', async () => {
    const instance = await F.groupNorm(x, 4).data();
    const layer = await F.layerNorm(x).data();
    const whole = await F.groupNorm(x, 1).data();
    const flat = await F.layerNorm(x, { axes: 2 }).data();
    instance.forEach((v, i) => {
      expect(v).toBeCloseTo(layer[i], 5);
    });
    whole.forEach((v, i) => {
      expect(v).toBeCloseTo(flat[i], 5);
    });
  });

  test('running values of a batch that is them give the same result', async () => {
    const none = { mean: zeros([4], { device }), variance: ones([4], { device }) };
    const { output, running } = F.batchNorm(x, none, { momentum: 1 });
    const again = F.batchNorm(x, running, { training: false });
    expect(again.running).toBe(running);
    const [a, b] = [await output.data(), await again.output.data()];
    // The running variance is the unbiased one: 6 values to 5.
    a.forEach((v, i) => {
      expect(b[i]).toBeCloseTo(v * Math.sqrt(5 / 6), 4);
    });
  });
});

test('16-bit floats are normalised in 32', async () => {
  // The square of 300 has no f16.
  const x = tensor([300, -300, 300, 300], { device: 'interpret' }).cast('f16');
  const y = F.rmsNorm(x, { weight: tensor([1, 1, 1, 2], { device: 'interpret' }).cast('f16') });
  expect(y.dtype).toBe('f16');
  expect(Array.from(await y.data(), (bits) => decodeFloat('f16', bits))).toEqual([1, -1, 1, 2]);
});

test('casts that saturate stop at the largest number', async () => {
  const x = tensor([1e6, -Infinity, Number.NaN, 1], { device: 'interpret' });
  const bits = await F.castSaturating(x, 'f8e4m3').data();
  const values = Array.from(bits, (b) => decodeFloat('f8e4m3', b));
  expect(values).toEqual([448, -448, Number.NaN, 1]);
  expect(() => F.castSaturating(x, 'i32')).toThrow(/dtype is "i32"; expected f16, bf16/);
});

test.each(DEVICES)('8-bit integers wrap on %s, in memory or not', async (device) => {
  const i = tensor(Int8Array.of(100, -128, 5), { device });
  const u = tensor(Uint8Array.of(200, 0, 7), { device });
  expect(await i.add(i).cast('i32').toArray()).toEqual([-56, 0, 10]);
  expect(await i.neg().cast('f32').toArray()).toEqual([-100, -128, -5]);
  expect(await u.sub(i.cast('u8')).cast('i32').toArray()).toEqual([100, 128, 2]);
  expect(await u.cast('i8').cast('i32').toArray()).toEqual([-56, 0, 7]);
  const floats = tensor([300.7, -1.5, -200], { device });
  expect(await floats.cast('i8').cast('f32').toArray()).toEqual([44, -1, 56]);
  expect(await floats.cast('u8').cast('f32').toArray()).toEqual([44, 255, 56]);
});

test('arguments that cannot be are named', () => {
  const x = zeros([2, 4, 3]);
  expect(() => F.layerNorm(x, { axes: 4 })).toThrow(/axes is 4; expected an integer from 1 to 3/);
  expect(() => F.rmsNorm(x, { weight: ones([4]) })).toThrow(/weight is \[4\]; expected \[3\]/);
  expect(() => F.groupNorm(x, 3)).toThrow(/groups is 3; expected a divisor of the 4 channels/);
  const running = { mean: zeros([4]), variance: ones([4]) };
  expect(() => F.batchNorm(zeros([1, 4]), running)).toThrow(/at least two values of each channel/);
  expect(() => F.batchNorm(zeros([4]), running)).toThrow(/expected a static shape/);
});
