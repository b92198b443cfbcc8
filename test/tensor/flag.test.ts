import { describe, expect, test } from 'vitest';
import { Cell, Flag, jit, type Tensor, tensor, valueAndGrad } from '../../src/tensor/index.ts';

const x = () => tensor([1, 2], { device: 'wasm' });

describe('a flag', () => {
  test('has a program of its own for each value that a jitted function read', async () => {
    const flag = new Flag(true);
    const f = jit((y: Tensor) => (flag.value ? y.mul(2) : y.mul(3)));
    const run = async () => [...(await (await f(x())).data())];
    expect(await run()).toEqual([2, 4]);
    flag.set(false);
    expect(await run()).toEqual([3, 6]);
    flag.set(true);
    expect(await run()).toEqual([2, 4]);
    expect(f.traces).toBe(2);
  });

  test('that the function did not read changes nothing', async () => {
    const mode = new Flag('a');
    const other = new Flag(1);
    const f = jit((y: Tensor) => (mode.value === 'a' ? y.mul(other.value) : y));
    const run = async () => [...(await (await f(x())).data())];
    expect(await run()).toEqual([1, 2]);
    mode.set('b');
    expect(await run()).toEqual([1, 2]);
    other.set(5);
    expect(await run()).toEqual([1, 2]);
    expect(f.traces).toBe(2);
    mode.set('a');
    expect(await run()).toEqual([5, 10]);
    expect(f.traces).toBe(3);
  });

  test('is read inside of gradients, and eager code sees it as it is', async () => {
    const flag = new Flag(true);
    const w = new Cell(x());
    const loss = (c: Cell) => (flag.value ? c.value.square() : c.value.mul(7)).sum();
    const step = jit(() => valueAndGrad(loss)(w).grads);
    const both = async () => [
      [...(await (await step()).data())],
      [...(await valueAndGrad(loss)(w).grads.data())],
    ];
    expect(await both()).toEqual([
      [2, 4],
      [2, 4],
    ]);
    flag.set(false);
    expect(await both()).toEqual([
      [7, 7],
      [7, 7],
    ]);
  });

  test('cannot change inside a jitted function', async () => {
    const flag = new Flag(true, 'mode');
    const set = (value: boolean) =>
      jit((y: Tensor) => {
        flag.set(value);
        return y.mul(1);
      });
    await expect(set(false)(x())).rejects.toThrow(/mode: set to false inside a jitted function/);
    expect(flag.value).toBe(true);
    await set(true)(x());
  });
});
