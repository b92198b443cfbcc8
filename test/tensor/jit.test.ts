import { describe, expect, it } from 'vitest';
import { WasmDevice } from '../../src/device/index.ts';
import {
  arange,
  bind,
  Cell,
  grad,
  jit,
  ones,
  random,
  scope,
  type Tensor,
  tensor,
  type Var,
  valueAndGrad,
  variable,
  zeros,
} from '../../src/tensor/index.ts';

const wasm = { device: 'wasm' } as const;

describe('jit', () => {
  it('runs a step as the eager code does and updates cells', async () => {
    const w = new Cell(tensor([1, -2, 3], wasm), 'w');
    const loss = (x: Tensor) => w.value.mul(x).tanh().sum();
    const eager = [
      ...(await grad((v: Tensor) =>
        v
          .mul(tensor([0.5, 1, 2], wasm))
          .tanh()
          .sum(),
      )(w.value).data()),
    ];
    const step = jit((x: Tensor) => {
      const { value, grads } = valueAndGrad((_c: Cell) => loss(x))(w);
      w.set(w.value.sub(grads));
      return value;
    });
    await step(tensor([0.5, 1, 2], wasm));
    const after = [...(await w.value.data())];
    [1, -2, 3].forEach((v, i) => {
      expect(after[i]).toBeCloseTo(v - eager[i], 6);
    });
    expect(step.traces).toBe(1);
  });

  it('traces again for other shapes only', async () => {
    const double = jit((x: Tensor) => x.mul(2));
    for (const size of [3, 3, 4, 3, 4]) await (await double(zeros([size], wasm))).data();
    expect(double.traces).toBe(2);
  });

  it('keeps an old value that somebody still holds', async () => {
    const w = new Cell(tensor([1, 2], wasm));
    const step = jit((x: Tensor) => {
      w.set(w.value.add(x));
    });
    const held = w.value;
    const lazy = w.value.mul(10);
    await step(tensor([1, 1], wasm));
    expect(await held.toArray()).toEqual([1, 2]);
    expect(await lazy.toArray()).toEqual([10, 20]);
    expect(await w.value.toArray()).toEqual([2, 3]);
  });

  it('writes in place when nobody else holds the old value', async () => {
    const w = new Cell(tensor([1, 2], wasm));
    const step = jit((x: Tensor) => {
      w.set(w.value.add(x));
    });
    const one = tensor([1, 1], wasm);
    await step(one);
    const memory = w.held.lazy.storage;
    await step(one);
    expect(w.held.lazy.storage).toBe(memory);
    expect(await w.value.toArray()).toEqual([3, 4]);
  });

  it('does not write in place what a moved read still needs', async () => {
    const w = new Cell(arange(8, { ...wasm, dtype: 'f32' }));
    const step = jit((x: Tensor) => {
      w.set(w.value.flip(0).add(x));
    });
    const zero = zeros([8], wasm);
    await step(zero);
    await step(zero);
    await step(zero);
    expect(await w.value.toArray()).toEqual([7, 6, 5, 4, 3, 2, 1, 0]);
  });

  it('throws for an index out of range and changes nothing', async () => {
    const table = new Cell(arange(6, { ...wasm, dtype: 'f32' }).reshape([3, 2]), 'table');
    const step = jit((index: Tensor) => {
      const rows = table.value.embedding(index);
      table.set(table.value.add(rows.sum()));
      return rows;
    });
    await step(tensor([0, 2], { ...wasm, dtype: 'i32' }));
    const before = await table.value.toArray();
    await expect(step(tensor([0, 3], { ...wasm, dtype: 'i32' }))).rejects.toThrow(
      new RangeError('gather on axis 0 of [3, 2]: index 3 is out of range; expected 0 to 2'),
    );
    expect(await table.value.toArray()).toEqual(before);
    await step(tensor([1, 1], { ...wasm, dtype: 'i32' }));
  });

  it('serves symbolic sizes with one program', async () => {
    const length = variable('length', 1, 37);
    const sum = jit((x: Tensor, n: Var) => x.narrow(0, 0, n).mul(2).sum());
    const x = arange(37, { ...wasm, dtype: 'f32' });
    for (const n of [1, 5, 16, 33, 37]) {
      const total = await (await sum(x, bind(length, n))).item();
      expect(total).toBe(n * (n - 1));
    }
    expect(sum.traces).toBe(1);
    expect(() => bind(length, 38)).toThrow('length is 38; expected an integer from 1 to 37');
  });

  it('multiplies a symbolic number of rows with the bits of a fixed one', async () => {
    const rows = variable('rows', 1, 21);
    const w = random.normal([19, 30], wasm);
    const x = random.normal([21, 30], wasm);
    const some = jit((a: Tensor, n: Var) => a.narrow(0, 0, n).matmul(w.transpose()).add(1));
    const all = await x.matmul(w.transpose()).add(1).data();
    for (const n of [1, 4, 6, 21]) {
      const part = await some(x, bind(rows, n));
      expect(part.shape).toEqual([n, 19]);
      expect([...(await part.data())]).toEqual([...all.slice(0, n * 19)]);
    }
  });

  it('multiplies over a symbolic depth as over a fixed one', async () => {
    const depth = variable('depth', 1, 8);
    const x = random.normal([4, 8], wasm);
    const w = random.normal([8, 5], wasm);
    const product = jit((a: Tensor, b: Tensor, n: Var) =>
      a.narrow(1, 0, n).matmul(b.narrow(0, 0, n)),
    );
    for (const n of [1, 3, 8]) {
      const part = await product(x, w, bind(depth, n));
      const wanted = x.narrow(1, 0, n).matmul(w.narrow(0, 0, n));
      expect(await part.toArray()).toEqual(await wanted.toArray());
    }
    expect(product.traces).toBe(1);
  });

  it('draws new random numbers at each run, the same for a seed', async () => {
    random.seed(5);
    const draw = jit((x: Tensor) => x.add(random.uniform([3], wasm)));
    const zero = zeros([3], wasm);
    const first = await (await draw(zero)).toArray();
    expect(await (await draw(zero)).toArray()).not.toEqual(first);
    random.seed(5);
    expect(await (await draw(zero)).toArray()).toEqual(first);
  });

  it('refuses async functions and foreign arguments by name', async () => {
    await expect(jit(async (x: Tensor) => x)(zeros([1], wasm))).rejects.toThrow('async');
    await expect(jit((x: unknown) => x)(new Date())).rejects.toThrow('argument [0] is Date');
  });

  it('keeps what it captured until it is disposed of, and no longer', async () => {
    // A device of its own: what other tests left to the collector must not be counted.
    const device = new WasmDevice({ relaxedSimd: false, threads: 1 });
    const before = device.liveBytes;
    const outer = tensor([1, 2, 3], { device });
    const add = jit((x: Tensor) => x.add(outer));
    const x = tensor([1, 1, 1], { device });
    (await add(x)).dispose();
    outer.dispose();
    const again = await add(x);
    expect(await again.toArray()).toEqual([2, 3, 4]);
    for (const t of [again, x]) t.dispose();
    add.dispose();
    await Promise.resolve();
    expect(device.liveBytes).toBe(before);
  });

  it('leaves no memory behind', async () => {
    // A device of its own: what other tests left to the collector must not be counted.
    const device = new WasmDevice({ relaxedSimd: false, threads: 1 });
    // In scopes: no handle is left to the collector, which could free it while the test counts.
    const w = await scope(async () => {
      const cell = new Cell(random.normal([64, 64], { device }));
      await cell.value.realize();
      return cell;
    });
    const step = jit((x: Tensor) => {
      w.set(w.value.add(x.matmul(w.value).mul(0.01)));
      return w.value.sum();
    });
    const x = await scope(async () => random.normal([64, 64], { device }).realize());
    await scope(async () => (await step(x)).item());
    const before = device.liveBytes;
    for (let i = 0; i < 5; i++) {
      await scope(async () => {
        const value = await step(x);
        await value.mul(2).add(value).item();
      });
    }
    expect(device.liveBytes).toBe(before);
  });
});

it('memory tells what a call takes before it, and the call finds its program made', async () => {
  const step = jit((x: Tensor) => {
    const y = x.matmul(x).exp().matmul(x);
    return y.sum(0);
  });
  // Interpreters plan nothing.
  const x = ones([64, 64], wasm);
  const { scratchBytes, resultBytes } = step.memory(x);
  // Two products lie between the input and the result.
  expect(scratchBytes).toBeGreaterThanOrEqual(64 * 64 * 4);
  expect(resultBytes).toBe(64 * 4);
  expect(step.traces).toBe(1);
  await step(x);
  expect(step.traces).toBe(1);
  step.dispose();
});
