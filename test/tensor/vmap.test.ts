import { describe, expect, it } from 'vitest';
import { GraphInterpreter } from '../../src/device/index.ts';
import {
  Cell,
  grad,
  jit,
  Parameter,
  random,
  stack,
  type Tensor,
  tensor,
  vmap,
} from '../../src/tensor/index.ts';
import { values } from '../support/derivatives.ts';
import { MACHINE_DEVICES } from '../support/device-names.ts';

const devices = ['interpret', ...MACHINE_DEVICES] as const;

describe.each(devices)('vmap on %s', (device) => {
  const on = { device };
  const rows = () =>
    tensor(
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      on,
    );

  it('runs a function of one example over a batch', async () => {
    const softened = vmap((x: Tensor) => x.softmax(0).mul(x.sum()));
    const each = stack(
      [0, 1].map((i) => rows().select(0, i)).map((x) => x.softmax(0).mul(x.sum())),
    );
    expect(await values(softened(rows()))).toEqual(await values(each));
  });

  it('takes batch axes by argument and by structure, and null for what is shared', async () => {
    const f = vmap(
      (x: Tensor, y: { a: Tensor; b: Tensor[] }) => x.add(y.a).mul(y.b[0]).add(y.b[1]),
      {
        inAxes: [1, { a: 0, b: [null, -1] }],
      },
    );
    const x = tensor(
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      on,
    ); // members are columns [3]
    const got = f(x, { a: tensor([10, 20], on), b: [tensor([2, 3, 4], on), tensor([0, 1], on)] });
    expect(await got.toArray()).toEqual([
      [22, 39, 60],
      [45, 73, 105],
    ]);
    const shared = vmap((v: Tensor, w: Tensor) => v.mul(w).sum(), { inAxes: [0, null] });
    expect(await shared(rows(), tensor([1, 0, 2], on)).toArray()).toEqual([7, 16]);
  });

  it('puts the batch axis where outAxes says', async () => {
    const [moved, same, repeated] = vmap(
      (x: Tensor, w: Tensor) => [x.mul(2), w.add(1), w] as const,
      { inAxes: [0, null], outAxes: [1, null, 0] },
    )(rows(), tensor([1, 2], on));
    expect(await moved.toArray()).toEqual([
      [2, 8],
      [4, 10],
      [6, 12],
    ]);
    expect(await same.toArray()).toEqual([2, 3]);
    expect(await repeated.toArray()).toEqual([
      [1, 2],
      [1, 2],
    ]);
  });

  it('nests: an outer product, and distances of all pairs', async () => {
    const outer = vmap(
      vmap((x: Tensor, y: Tensor) => x.mul(y), { inAxes: [null, 0] }),
      {
        inAxes: [0, null],
      },
    );
    expect(await outer(tensor([1, 2], on), tensor([3, 4, 5], on)).toArray()).toEqual([
      [3, 4, 5],
      [6, 8, 10],
    ]);
    const distance = (x: Tensor, y: Tensor) => x.sub(y).square().sum();
    const pairs = vmap((x: Tensor, all: Tensor) => vmap((y: Tensor) => distance(x, y))(all), {
      inAxes: [0, null],
    });
    expect(await pairs(rows(), rows()).toArray()).toEqual([
      [0, 27],
      [27, 0],
    ]);
  });

  it('of grad gives gradients of each example; of it grad gives their sum', async () => {
    const w = tensor([0.5, -1, 2], on);
    const loss = (v: Tensor, x: Tensor) => v.mul(x).sum().square();
    const each = vmap(grad(loss), { inAxes: [null, 0] })(w, rows());
    // d/dw (w x)^2 = 2 (w x) x, with w x = 4.5 and 9
    expect(await each.toArray()).toEqual([
      [9, 18, 27],
      [72, 90, 108],
    ]);
    const total = grad((v: Tensor) => vmap(loss, { inAxes: [null, 0] })(v, rows()).sum())(w);
    expect(await total.toArray()).toEqual([81, 108, 135]);
  });

  it('reads cells and parameters as the same for all members', async () => {
    const bias = new Parameter(tensor([1, 1, 1], on), 'bias');
    const shifted = vmap((x: Tensor) => x.add(bias.value));
    expect(await shifted(rows()).toArray()).toEqual([
      [2, 3, 4],
      [5, 6, 7],
    ]);
    const step = jit((x: Tensor) => {
      const grads = grad((_: Cell) => shifted(x).square().sum())(bias);
      bias.set(bias.value.sub(grads.mul(0.5)));
      return shifted(x);
    });
    // The step computes with the new bias: 1 - (2 + 5), 1 - (3 + 6), 1 - (4 + 7).
    expect(await (await step(rows())).toArray()).toEqual([
      [-5, -6, -7],
      [-2, -3, -4],
    ]);
    expect(await bias.value.toArray()).toEqual([-6, -8, -10]);
  });

  it('gives each member its own random numbers, also in jit and nested', async () => {
    const noise = (x: Tensor) => random.uniform([4], on).add(x.mul(0));
    random.seed(3);
    const zero = tensor([0, 0, 0], on);
    const first = await values(vmap(noise)(zero));
    expect(new Set(first).size).toBe(12);
    random.seed(3);
    expect(await values(vmap(noise)(zero))).toEqual(first);
    const second = await values(vmap(noise)(zero));
    expect(new Set([...first, ...second]).size).toBe(24);
    random.seed(3);
    const single = await values(random.uniform([4], on));
    expect(first.slice(0, 4)).toEqual(single);

    const grid = tensor(
      [
        [0, 0],
        [0, 0],
        [0, 0],
      ],
      on,
    );
    expect(new Set(await values(vmap(vmap(noise))(grid))).size).toBe(24);
    const step = jit((x: Tensor) => vmap(noise)(x));
    const drawn = [...(await values(await step(zero))), ...(await values(await step(zero)))];
    expect(new Set(drawn).size).toBe(24);
  });
});

describe('vmap and memory', () => {
  it('frees what it made', async () => {
    const device = new GraphInterpreter();
    const x = tensor([[1, 2, 3]], { device });
    const before = device.liveBytes;
    const y = vmap((v: Tensor) => v.exp().sum())(x);
    await y.realize();
    y.dispose();
    expect(device.liveBytes).toBe(before);
  });
});

describe('vmap refuses', () => {
  const x = tensor([[1, 2, 3]]);
  const y = tensor([1, 2]);

  it('sizes and axes that do not fit, by name', () => {
    expect(() => vmap((a: Tensor, b: Tensor) => a.add(b))(x, y)).toThrow(
      'vmap: argument [1] is [2] with 2 members on axis 0; expected 1, as argument [0] has',
    );
    expect(() => vmap((a: Tensor) => a, { inAxes: 1 })(y)).toThrow(
      'vmap: inAxes at [0] is 1, but this argument is [2]; expected -1 to 0, or null',
    );
    expect(() => vmap((a: Tensor) => a, { inAxes: null })(y)).toThrow(
      'vmap: no argument has a batch axis',
    );
    expect(() => vmap((a: Tensor) => a, { inAxes: [0, 0] })(y)).toThrow(
      'vmap: inAxes is [0, 0]; expected a number, null, or 1 entries',
    );
    expect(() => vmap((a: { v: Tensor }) => a.v, { inAxes: [{ w: 0 }] })({ v: y })).toThrow(
      'vmap: inAxes at [0] is Object; expected an entry for "v"',
    );
    expect(() => vmap((a: Tensor) => a, { outAxes: 1 })(y)).toThrow(
      'vmap: outAxes is 1, but this result is []; expected -1 to 0, or null',
    );
    expect(() => vmap((a: Tensor) => a, { outAxes: null })(y)).toThrow('differs between members');
  });

  it('reading values, async functions, jitted functions and setting cells', () => {
    expect(() =>
      vmap((a: Tensor) => {
        a.item();
        return a;
      })(y),
    ).toThrow('item: the value depends on argument [0] of a function that vmap traces');
    expect(() => vmap(async (a: Tensor) => a)(y)).toThrow('vmap: the function is async');
    expect(() => vmap(jit((a: Tensor) => a.add(1)))(y)).toThrow('put jit outermost');
    const cell = new Cell(tensor(0), 'count');
    expect(() =>
      vmap((a: Tensor) => {
        cell.set(a);
        return a;
      })(y),
    ).toThrow('count: set inside vmap');
  });
});
