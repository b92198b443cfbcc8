import { describe, expect, test } from 'vitest';
import type { DeviceName } from '../../src/device/index.ts';
import { Cell } from '../../src/tensor/cell.ts';
import { vjp } from '../../src/tensor/grad.ts';
import { jit } from '../../src/tensor/jit.ts';
import { ones, type Tensor, tensor } from '../../src/tensor/tensor.ts';
import { DEVICE_NAMES } from '../support/device-names.ts';

const DEVICES: readonly DeviceName[] = DEVICE_NAMES;
const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

describe.each(DEVICES)('ordering on %s', (device) => {
  const of = (data: Parameters<typeof tensor>[0]) => tensor(data, { device });

  test('running extremes give the last place of equals, and NaN wins', async () => {
    const x = of([1, 3, 3, 2, nan, 5]);
    const { values, indices } = x.cummax(0);
    expect(await values.toArray()).toEqual([1, 3, 3, 3, nan, nan]);
    expect(await indices.toArray()).toEqual([0, 1, 2, 2, 4, 4]);
    const low = of([
      [2, 1, 1],
      [0, 3, 0],
    ]).cummin(1);
    expect(await low.values.toArray()).toEqual([
      [2, 1, 1],
      [0, 0, 0],
    ]);
    expect(await low.indices.toArray()).toEqual([
      [0, 1, 2],
      [0, 0, 2],
    ]);
    const flat = of([1, 3, 3, 2]);
    const [grad] = vjp([flat.cummax(0).values], [of([1, 2, 4, 8])], [flat]);
    expect(await grad.toArray()).toEqual([1, 2, 12, 0]);
  });

  test('cumsum counts bools, and negative axes count from the end', async () => {
    const x = of([
      [true, false, true],
      [true, true, true],
    ]);
    const sums = x.cumsum(-1);
    expect(sums.dtype).toBe('i32');
    expect(await sums.toArray()).toEqual([
      [1, 1, 2],
      [1, 2, 3],
    ]);
    expect(() => x.cumsum(2)).toThrow(/cumsum/);
  });

  test('sorting is stable in both directions; NaN is the greatest', async () => {
    const x = of([2, nan, -0, 2, 0, inf, nan]);
    expect(await x.argsort().toArray()).toEqual([2, 4, 0, 3, 5, 1, 6]);
    expect(await x.argsort(-1, true).toArray()).toEqual([1, 6, 5, 0, 3, 2, 4]);
    const { values } = x.sort(0, true);
    expect(await values.data()).toEqual(Float32Array.of(nan, nan, inf, 2, 2, -0, 0));
  });

  test('topk takes the first of equals', async () => {
    const x = of([1, 5, 5, 3, 5]);
    const top = x.topk(2);
    expect(await top.values.toArray()).toEqual([5, 5]);
    expect(await top.indices.toArray()).toEqual([1, 2]);
    expect(await x.topk(3, 0, false).indices.toArray()).toEqual([0, 3, 1]);
    expect(x.topk(0).values.shape).toEqual([0]);
    expect(() => x.topk(6)).toThrow(/k is 6; expected an integer from 0 to 5/);
  });

  test('kthvalue and median', async () => {
    const x = of([
      [4, 1, 3, 2],
      [8, nan, 5, nan],
    ]);
    const second = x.kthvalue(2, 1);
    expect(await second.values.toArray()).toEqual([2, 8]);
    expect(await second.indices.toArray()).toEqual([3, 0]);
    expect(x.kthvalue(1, 0, true).values.shape).toEqual([1, 4]);
    const middle = x.median(1);
    expect(await middle.values.toArray()).toEqual([2, nan]);
    expect(await middle.indices.toArray()).toEqual([3, 1]);
    expect(await x.nanmedian(1, true).values.toArray()).toEqual([[2], [5]]);
    expect(await x.nanmedian().item()).toBe(3);
    expect(await x.median().item()).toBe(nan);
    expect(await of([nan, nan]).nanmedian().item()).toBe(nan);
    expect(() => of([1]).kthvalue(0)).toThrow(/k is 0/);
    const y = of([3, 1, 2]);
    const [grad] = vjp([y.median()], [ones([], { device })], [y]);
    expect(await grad.toArray()).toEqual([0, 0, 1]);
  });

  test('works on empty and single elements', async () => {
    const empty = of(new Float32Array(0)).reshape([2, 0]);
    expect(await empty.sort().values.toArray()).toEqual([[], []]);
    expect(await empty.cumsum(1).toArray()).toEqual([[], []]);
    expect(() => empty.median(1)).toThrow(/no elements/);
    expect(await of([7]).argsort().toArray()).toEqual([0]);
    expect(await of([7]).cummax(0).indices.toArray()).toEqual([0]);
  });

  test('is part of jitted steps', async () => {
    const step = jit((x: Tensor) => {
      const { values, indices } = x.softmax(-1).topk(2);
      return { values: values.cumsum(-1), indices };
    });
    const { values, indices } = await step(of([0, Math.log(2), Math.log(5)]));
    expect(await indices.toArray()).toEqual([2, 1]);
    const [first, both] = await values.data();
    expect(first).toBeCloseTo(5 / 8, 6);
    expect(both).toBeCloseTo(7 / 8, 6);
  });

  test('may write over the cell that it reads', async () => {
    const cell = new Cell(of([[3, 1, 2, 5, 4, 0]]));
    const sums = jit(() => {
      cell.set(cell.value.cumsum(1));
      return cell.value.sum();
    });
    await sums();
    await sums();
    expect(await cell.value.toArray()).toEqual([[3, 7, 13, 24, 39, 54]]);
    const sorts = jit(() => {
      cell.set(cell.value.neg().sort(1).values);
      return cell.value.sum();
    });
    await sorts();
    await sorts();
    expect(await cell.value.toArray()).toEqual([[3, 7, 13, 24, 39, 54]]);
  });

  test('places of the flat tensor and of axes', async () => {
    const x = of([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    const at = (...list: number[]) => of(Int32Array.from(list));
    expect(await x.take(at(5, 0, 3, 0).reshape([2, 2])).toArray()).toEqual([
      [6, 1],
      [4, 1],
    ]);
    expect(await x.takeAlongDim(at(2, 0).reshape([1, 2]), 1).toArray()).toEqual([
      [3, 1],
      [6, 4],
    ]);
    expect(await x.takeAlongDim(at(1, 0, 1), 0).toArray()).toEqual([[4, 2, 6]]);
    expect(await x.takeAlongDim(at(4)).toArray()).toEqual([5]);
    await expect(x.take(at(6)).toArray()).rejects.toThrow(RangeError);
    expect(await x.indexFill(1, at(0, 2), 9).toArray()).toEqual([
      [9, 2, 9],
      [9, 5, 9],
    ]);
    expect(await x.indexCopy(0, at(1), of([[7, 8, 9]])).toArray()).toEqual([
      [1, 2, 3],
      [7, 8, 9],
    ]);
    expect(x.chunk(2, 1).map((part) => part.shape)).toEqual([
      [2, 2],
      [2, 1],
    ]);
    expect(await x.unbind(1)[2].toArray()).toEqual([3, 6]);
    expect(x.repeat([2, 1, 3]).shape).toEqual([2, 2, 9]);
    expect(() => x.repeat([2])).toThrow(/repeats is \[2\]/);
  });
});
