import { describe, expect, test } from 'vitest';
import type { DeviceName } from '../../src/device/index.ts';
import * as F from '../../src/tensor/functions/index.ts';
import { vjp } from '../../src/tensor/grad.ts';
import { jit } from '../../src/tensor/jit.ts';
import { ones, type Tensor, tensor } from '../../src/tensor/tensor.ts';
import { DEVICE_NAMES } from '../support/device-names.ts';

const DEVICES: readonly DeviceName[] = DEVICE_NAMES;
const { NaN: nan } = Number;

describe.each(DEVICES)('selection and search on %s', (device) => {
  const of = (data: Parameters<typeof tensor>[0]) => tensor(data, { device });
  const whole = (...list: number[]) => of(Int32Array.from(list));

  test('maskedSelect broadcasts, sends gradients back, and may find nothing', async () => {
    const x = of([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    const chosen = await F.maskedSelect(x, of([true, false, true]));
    const [grad] = vjp([chosen], [ones([4], { device })], [x]);
    expect(await chosen.toArray()).toEqual([1, 3, 4, 6]);
    expect(await grad.toArray()).toEqual([
      [1, 0, 1],
      [1, 0, 1],
    ]);
    expect((await F.maskedSelect(x, x.gt(9))).shape).toEqual([0]);
    expect(() => F.maskedSelect(x, x)).toThrow(/the mask is f32; expected bool/);
  });

  test('nonzero gives places by axis', async () => {
    const x = of([
      [0, 2, nan],
      [0, 0, -1],
    ]);
    expect(await (await F.nonzero(x)).toArray()).toEqual([
      [0, 1],
      [0, 2],
      [1, 2],
    ]);
    expect((await F.nonzero(of([0]))).shape).toEqual([0, 1]);
  });

  test('unique values, their places and counts', async () => {
    const x = of([
      [3, 1, 3],
      [2, 1, 3],
    ]);
    const { values, inverse, counts } = await F.unique(x);
    expect(await values.toArray()).toEqual([1, 2, 3]);
    expect(await inverse.toArray()).toEqual([
      [2, 0, 2],
      [1, 0, 2],
    ]);
    expect(await counts.toArray()).toEqual([2, 1, 3]);
    const special = await F.unique(of([nan, 0, -0, nan]));
    expect(await special.counts.toArray()).toEqual([2, 1, 1]);
    const empty = await F.unique(of(new Float32Array(0)));
    expect([empty.values.shape, empty.inverse.shape, empty.counts.shape]).toEqual([[0], [0], [0]]);
  });

  test('what depends on data is refused inside jit', async () => {
    const attempt = (f: (x: Tensor) => unknown) =>
      jit((x: Tensor) => {
        f(x);
        return x;
      })(of([1, 0]));
    await expect(attempt(F.nonzero)).rejects.toThrow(/nonzero: .*jitted/);
    await expect(attempt(F.unique)).rejects.toThrow(/unique: .*jitted/);
    await expect(attempt((x) => F.maskedSelect(x, x.gt(0)))).rejects.toThrow(/maskedSelect/);
  });

  test('maskedScatter fills places in order', async () => {
    const mask = of([
      [false, true],
      [true, false],
    ]);
    const x = of([
      [1, 2],
      [3, 4],
    ]);
    expect(await F.maskedScatter(x, mask, of([10, 20, 30])).toArray()).toEqual([
      [1, 10],
      [20, 4],
    ]);
    await expect(F.maskedScatter(x, mask, of([10])).toArray()).rejects.toThrow(RangeError);
  });

  test('searchsorted at every length, before or behind equals', async () => {
    for (const size of [0, 1, 2, 3, 4, 7, 8, 9, 33]) {
      const list = Float32Array.from({ length: size }, (_, i) => Math.floor(i / 2));
      const wanted = Float32Array.from({ length: 40 }, (_, i) => i / 2 - 1);
      const sorted = of(list);
      const before = await F.searchsorted(sorted, of(wanted)).data();
      const behind = await F.bucketize(of(wanted), sorted, { right: true }).data();
      wanted.forEach((v, i) => {
        expect(before[i], `${v} in ${size}`).toBe(list.filter((e) => e < v).length);
        expect(behind[i], `${v} in ${size}`).toBe(list.filter((e) => e <= v).length);
      });
    }
    const rows = of([
      [1, 2, 3],
      [10, 20, nan],
    ]);
    const values = of([
      [2.5, 0, nan, 9],
      [15, 99, nan, 10],
    ]);
    expect(await F.searchsorted(rows, values).toArray()).toEqual([
      [2, 0, 3, 3],
      [1, 2, 2, 0],
    ]);
    const behind = await F.searchsorted(rows, values, { right: true }).toArray();
    expect(behind).toEqual([
      [2, 0, 3, 3],
      [1, 2, 3, 1],
    ]);
    expect(() => F.searchsorted(rows, of([1]))).toThrow(/searchsorted: sorted is/);
  });

  test('isin', async () => {
    const x = of([
      [1, nan],
      [3, 7],
    ]);
    expect(
      await F.isin(
        x,
        of([
          [7, nan],
          [0, 1],
        ]),
      ).toArray(),
    ).toEqual([
      [1, 0],
      [0, 1],
    ]);
    expect(await F.isin(x, of(new Float32Array(0))).toArray()).toEqual([
      [0, 0],
      [0, 0],
    ]);
  });

  test('bincount and histc', async () => {
    const x = whole(0, 2, 2, 3);
    expect(await F.bincount(x, 5).toArray()).toEqual([1, 0, 2, 1, 0]);
    const weights = of([0.5, 1, 2, 4]);
    expect(await F.bincount(x, 4, { weights }).toArray()).toEqual([0.5, 0, 3, 4]);
    await expect(F.bincount(x, 3).toArray()).rejects.toThrow(RangeError);
    const parts = F.histc(of([-1, 0, 0.9, 1, 2, 3.9, 4, 5, nan]), { bins: 4, min: 0, max: 4 });
    expect(await parts.toArray()).toEqual([2, 1, 1, 2]);
  });

  test('quantiles', async () => {
    const x = of([
      [4, 1, 3, 2],
      [nan, 10, 30, nan],
    ]);
    expect(await F.quantile(x, 0.5, { axis: 1 }).toArray()).toEqual([2.5, nan]);
    expect(await F.nanquantile(x, [0, 0.25, 1], { axis: 1 }).toArray()).toEqual([
      [1, 10],
      [1.75, 15],
      [4, 30],
    ]);
    const row = x.select(0, 0);
    const by = (interpolation: F.Interpolation) => F.quantile(row, 0.4, { interpolation }).item();
    expect(await by('lower')).toBe(2);
    expect(await by('higher')).toBe(3);
    expect(await by('nearest')).toBe(2);
    expect(await by('midpoint')).toBe(2.5);
    expect(await by('linear')).toBeCloseTo(2.2, 6);
    expect(F.quantile(x, [0.1], { keepdim: true }).shape).toEqual([1, 1, 1]);
    expect(() => F.quantile(x, 1.5)).toThrow(/q is 1.5/);
    const [grad] = vjp([F.quantile(row, 0.4)], [ones([], { device })], [row]);
    const [a, b, c, d] = await grad.data();
    expect([a, b]).toEqual([0, 0]);
    expect(c).toBeCloseTo(0.2, 6);
    expect(d).toBeCloseTo(0.8, 6);
  });

  test('diagonals, outer products, grids and differences', async () => {
    const x = of([1, 2]);
    expect(await F.diag(x, { offset: 1 }).toArray()).toEqual([
      [0, 1, 0],
      [0, 0, 2],
      [0, 0, 0],
    ]);
    expect(await F.diag(F.diag(x, { offset: -1 }), { offset: -1 }).toArray()).toEqual([1, 2]);
    expect(F.diagEmbed(of([[1, 2, 3]])).shape).toEqual([1, 3, 3]);
    expect(await F.outer(x, of([1, 10, 100])).toArray()).toEqual([
      [1, 10, 100],
      [2, 20, 200],
    ]);
    const [rows, columns] = F.meshgrid([x, of([5, 6, 7])]);
    expect(await rows.toArray()).toEqual([
      [1, 1, 1],
      [2, 2, 2],
    ]);
    expect(await columns.toArray()).toEqual([
      [5, 6, 7],
      [5, 6, 7],
    ]);
    expect(F.meshgrid([x, of([5, 6, 7])], { indexing: 'xy' })[0].shape).toEqual([3, 2]);
    expect(await F.diff(of([1, 4, 9, 16]), { n: 2 }).toArray()).toEqual([2, 2]);
    expect(F.diff(of([1]), { n: 3 }).shape).toEqual([0]);
  });
});
