import { describe, expect, test } from 'vitest';
import type { DeviceName } from '../../src/device/index.ts';
import * as F from '../../src/tensor/functions/index.ts';
import { vjp } from '../../src/tensor/grad.ts';
import { arange, ones, type Tensor, tensor } from '../../src/tensor/tensor.ts';
import { DEVICE_NAMES } from '../support/device-names.ts';

const DEVICES: readonly DeviceName[] = DEVICE_NAMES;

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);

describe.each(DEVICES)('shape functions on %s', (device) => {
  /** 0, 1, 2, ... in a shape, as floats. */
  const counted = (...shape: number[]) =>
    arange(
      shape.reduce((a, b) => a * b, 1),
      { device, dtype: 'f32' },
    ).reshape(shape);

  test('roll wraps, takes negative shifts, and without axes rolls as if flat', async () => {
    expect(await F.roll(counted(5), 7, 0).toArray()).toEqual([3, 4, 0, 1, 2]);
    expect(await F.roll(counted(5), -1, 0).toArray()).toEqual([1, 2, 3, 4, 0]);
    expect(await F.roll(counted(2, 2), 1).toArray()).toEqual([
      [3, 0],
      [1, 2],
    ]);
    expect(() => F.roll(counted(2, 2), [1, 2], 0)).toThrow(/shifts is \[1, 2\]/);
  });

  test('movedim moves axes and keeps the order of the others', () => {
    const x = counted(2, 3, 4, 5);
    expect(F.movedim(x, 0, -1).shape).toEqual([3, 4, 5, 2]);
    expect(F.movedim(x, [0, 3], [1, 0]).shape).toEqual([5, 2, 3, 4]);
    expect(() => F.movedim(x, [0, 0], [1, 2])).toThrow(
      /source is \[0, 0\]; expected distinct axes/,
    );
  });

  test('diagonals of every offset', async () => {
    for (const [rows, columns] of [
      [3, 3],
      [2, 4],
      [4, 2],
      [1, 3],
    ]) {
      for (let offset = -rows; offset <= columns; offset++) {
        const want = upTo(rows)
          .filter((i) => i + offset >= 0 && i + offset < columns)
          .map((i) => i * columns + i + offset);
        const got = F.diagonal(counted(rows, columns), { offset });
        expect(got.shape).toEqual([want.length]);
        expect(await got.toArray()).toEqual(want);
      }
    }
    const deep = F.diagonal(counted(2, 3, 2), { axis0: 2, axis1: 0 });
    expect(await deep.toArray()).toEqual([
      [0, 7],
      [2, 9],
      [4, 11],
    ]);
    expect(await F.trace(counted(3, 3)).item()).toBe(12);
    expect(() => F.diagonal(counted(2, 2), { axis1: 0 })).toThrow(/axis1 is 0/);
  });

  test('windows of every size and step, and their gradients', async () => {
    const length = 7;
    for (let size = 1; size <= length; size++) {
      for (const step of [1, 2, 3, 8]) {
        const count = Math.floor((length - size) / step) + 1;
        const x = counted(2, length);
        const y = F.unfold(x, 1, size, step);
        expect(y.shape).toEqual([2, count, size]);
        const want = upTo(2).map((r) =>
          upTo(count).map((w) => upTo(size).map((i) => r * length + w * step + i)),
        );
        const [grad] = vjp([y], [ones(y.shape, { device })], [x]);
        expect(await y.toArray()).toEqual(want);
        const times = upTo(length).map(
          (i) => upTo(count).filter((w) => i >= w * step && i < w * step + size).length,
        );
        expect(await grad.toArray()).toEqual([times, times]);
      }
    }
    expect(() => F.unfold(counted(4), 0, 5, 1)).toThrow(
      /size is 5; expected an integer from 1 to 4/,
    );
  }, 120_000);

  test('padding on any axis', async () => {
    const x = counted(3);
    const along = async (y: Tensor) => (await y.toArray()) as number[];
    expect(await along(F.pad(x, [[2, 2]], { mode: 'reflect' }))).toEqual([2, 1, 0, 1, 2, 1, 0]);
    expect(await along(F.pad(x, [[0, 4]], { mode: 'replicate' }))).toEqual([0, 1, 2, 2, 2, 2, 2]);
    expect(await along(F.pad(x, [[3, 1]], { mode: 'circular' }))).toEqual([0, 1, 2, 0, 1, 2, 0]);
    expect(await along(F.pad(x, [[-1, 1]], { value: 9 }))).toEqual([1, 2, 9]);
    const both = F.pad(
      counted(2, 2),
      [
        [1, 0],
        [0, 1],
      ],
      { mode: 'reflect' },
    );
    expect(await both.toArray()).toEqual([
      [2, 3, 2],
      [0, 1, 0],
      [2, 3, 2],
    ]);
    expect(() => F.pad(x, [[3, 0]], { mode: 'reflect' })).toThrow(/pads\[0\] is \[3, 0\]/);
    expect(() => F.pad(x, [[1, 0]], { mode: 'mirror' as F.PadMode })).toThrow(/mode is "mirror"/);
  });

  test('one hot vectors of a type', async () => {
    const hot = F.oneHot(tensor(Int32Array.of(2, 0), { device }), 3, { dtype: 'f32' });
    expect(hot.dtype).toBe('f32');
    expect(await hot.toArray()).toEqual([
      [0, 0, 1],
      [1, 0, 0],
    ]);
  });

  test('what is detached stays so behind further movements', async () => {
    const x = counted(2, 3);
    const still = x.reshape([6]).detach().reshape([3, 2]).transpose();
    const y = x.mul(still);
    const [grad] = vjp([y], [ones(y.shape, { device })], [x]);
    expect(await grad.toArray()).toEqual(await still.toArray());
  });

  test('a column is an array like any other', async () => {
    const x = counted(5, 1);
    expect(await x.add(x.detach()).toArray()).toEqual([[0], [2], [4], [6], [8]]);
  });
});
