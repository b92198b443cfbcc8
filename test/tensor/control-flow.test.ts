import { describe, expect, it } from 'vitest';
import { GraphInterpreter } from '../../src/device/index.ts';
import {
  bind,
  checkpoint,
  grad,
  jit,
  Parameter,
  scope,
  type Tensor,
  tensor,
  type Var,
  valueAndGrad,
  variable,
  vmap,
} from '../../src/tensor/index.ts';
import { slopes, values } from '../support/derivatives.ts';

/** In double precision, so that differences tell six digits. */
const on = { device: 'interpret', dtype: 'f64' } as const;

type Scalar = (x: Tensor) => Promise<Tensor>;

async function check(f: Scalar, at: readonly number[]): Promise<void> {
  const x = tensor([...at], on);
  const { value, grads } = await valueAndGrad(f)(x);
  const run = async (v: readonly number[]) => (await f(tensor([...v], on))).item();
  expect(await value.item()).toBe(await run(at));
  const expected = await slopes(run, at);
  (await values(grads)).forEach((g, i) => {
    const scale = Math.max(1, Math.abs(expected[i]));
    expect(g / scale, `at ${at[i]}`).toBeCloseTo(expected[i] / scale, 5);
  });
}

/** The root of y^3 + y = x, until it does not change any more. */
const newton: Scalar = async (x) => {
  let y = x.mul(0).add(1);
  for (;;) {
    const next = y.sub(y.mul(y).mul(y).add(y).sub(x).div(y.mul(y).mul(3).add(1)));
    const change = await next.sub(y).abs().max().item();
    y = next;
    if (change < 1e-12) return y.sum();
  }
};

/** Pieces with values and slopes of their own. */
const pieces: Scalar = async (x) => {
  const terms: Tensor[] = [];
  for (let i = 0; i < x.size; i++) {
    const v = x.select(0, i);
    const read = await v.item();
    terms.push(read < 0 ? v.exp() : read < 1 ? v.mul(v).mul(v) : v.log().mul(5));
  }
  return terms.reduce((a, b) => a.add(b));
};

/** Doubles until it is long enough: the number of turns is in the data. */
const growing: Scalar = async (x) => {
  let y = x;
  while ((await y.norm().item()) < 50) y = y.mul(y.sin().add(2));
  return y.square().sum().log();
};

/** x^n by halving n, which is itself read from a tensor. */
async function power(x: Tensor, n: number): Promise<Tensor> {
  if (n === 0) return x.mul(0).add(1);
  const half = await power(x, Math.floor(n / 2));
  await half.realize();
  const square = half.mul(half);
  return (await square.sum().item()) < 0 || n % 2 === 1 ? square.mul(x) : square;
}

describe('gradients through control flow that reads values', () => {
  it('Newton iteration', () => check(newton, [0.3, 2, -7.5]));
  it('branches', () => check(pieces, [-0.7, 0.4, 3.1]));
  it('loops of a length in the data', () => check(growing, [0.2, -1.4, 0.9]));
  it('recursion', () => check(async (x) => (await power(x, 11)).sum(), [0.8, -1.3, 1.1]));

  it('with f32 on wasm', async () => {
    const x = tensor([0.3, 2, -7.5], { device: 'wasm' });
    const f: Scalar = async (v) => {
      let y = v.mul(0).add(1);
      for (let i = 0; (await y.mul(y).mul(y).add(y).sub(v).abs().max().item()) > 1e-4; i++) {
        if (i > 50) throw new Error('does not converge');
        y = y.sub(y.mul(y).mul(y).add(y).sub(v).div(y.mul(y).mul(3).add(1)));
      }
      return y.sum();
    };
    // dy/dx = 1 / (3 y^2 + 1) at the root
    const found = await values(await grad(f)(x));
    const exact = await values(await grad(newton)(tensor([0.3, 2, -7.5], on)));
    found.forEach((g, i) => {
      expect(g).toBeCloseTo(exact[i], 3);
    });
  });

  it('of parameters, second derivatives, and inputs that are not in memory yet', async () => {
    const w = new Parameter(tensor([2, 3], on), 'w');
    const loss = async (p: Parameter) => {
      const square = await p.value.mul(p.value).realize();
      return (await square.sum().item()) > 10 ? square.mul(p.value).sum() : square.sum();
    };
    expect(await values(await grad(loss)(w))).toEqual([12, 27]);
    // d/dx of (d/dx x^3)^2 = 36 x^3, with values read on both levels
    const outer = grad(async (x: Tensor) => {
      const inner = await grad(async (v: Tensor) => {
        const cube = await v.mul(v).mul(v).realize();
        return cube.sum();
      })(x);
      await inner.realize();
      return inner.square().sum();
    });
    expect(await values(await outer(tensor([1, 2], on)))).toEqual([36, 288]);
    const lazy = tensor([1, 2], on).add(1);
    const found = await grad(async (v: Tensor) => {
      await v.realize();
      return v.square().sum();
    })(lazy);
    expect(await values(found)).toEqual([4, 6]);
  });

  it('two at a time do not disturb each other', async () => {
    const slope = grad(newton);
    const one = await values(await slope(tensor([0.3], on)));
    const two = await values(await slope(tensor([9], on)));
    const both = await Promise.all([slope(tensor([0.3], on)), slope(tensor([9], on))]);
    expect([await values(both[0]), await values(both[1])]).toEqual([one, two]);
  });

  it('frees the history when it is done, also after an error', async () => {
    const device = new GraphInterpreter();
    const x = tensor([0.3, 2], { ...on, device });
    const before = device.liveBytes;
    const during: number[] = [];
    await scope(async () => {
      const g = await grad(async (v: Tensor) => {
        const y = await growing(v);
        during.push(device.liveBytes);
        return y;
      })(x);
      await g.realize();
    });
    expect(during[0]).toBeGreaterThan(before);
    expect(device.liveBytes).toBe(before);
    await scope(async () => {
      const failing = grad(async (v: Tensor) => {
        await v.exp().realize();
        throw new Error('stop');
      });
      await expect(failing(x)).rejects.toThrow('stop');
    });
    expect(device.liveBytes).toBe(before);
    // What is realised after the end has no history.
    const y = await x.exp().realize();
    expect(y.lazy.sources).toHaveLength(0);
  });

  it('a jitted function inside runs as the plain one', async () => {
    const w = new Parameter(tensor([2, 3], on), 'w');
    const squared = jit((v: Tensor) => v.mul(w.value).square().sum());
    const byArgument = grad(async (v: Tensor) => (await squared(v)).mul(2));
    const byCell = grad(async (_: Parameter) => squared(tensor([1, 2], on)));
    expect(await values(await byArgument(tensor([1, 2], on)))).toEqual([16, 72]);
    expect(await values(await byCell(w))).toEqual([4, 24]);
    const byCaptured = grad(async (v: Tensor) => {
      const inner = jit((u: Tensor) => u.mul(v).sum());
      const first = await inner(tensor([1, 2], on));
      return first.add(await inner(tensor([10, 20], on)));
    });
    expect(await values(await byCaptured(tensor([1, 1], on)))).toEqual([11, 22]);
    expect(await (await squared(tensor([1, 2], on))).item()).toBe(40);
    const size = variable('size', 1, 4);
    const symbolic = jit((v: Tensor, n: Var) => v.narrow(0, 0, n).sum());
    const byPart = grad(async (v: Tensor) => symbolic(v, bind(size, 2) as never));
    await expect(byPart(tensor([1, 2, 3, 4], on))).rejects.toThrow(
      'jit: called with the symbolic size size on tensors that are differentiated by',
    );
  });

  it('works with checkpoint and vmap on the way', async () => {
    await check(
      async (x) => {
        const y = checkpoint((v: Tensor) => v.sin().exp())(x);
        const z = (await y.sum().item()) > 0 ? y.mul(x) : y;
        await z.realize();
        return vmap((v: Tensor) => v.square())(z).sum();
      },
      [0.4, -0.2],
    );
  });
});

describe('values are not read while jit traces', () => {
  it('says so', async () => {
    const x = tensor([1, 2, 3]);
    const reads = (how: (y: Tensor) => unknown) =>
      jit((v: Tensor) => {
        how(v.sum());
        return v;
      })(x);
    const message = 'depends on argument 0 of a function that jit traces, and is not known yet';
    await expect(reads((y) => y.item())).rejects.toThrow(`item: the value ${message}`);
    await expect(reads((y) => y.data())).rejects.toThrow(message);
    await expect(reads((y) => y.toArray())).rejects.toThrow(message);
    await expect(reads((y) => y.realize())).rejects.toThrow(message);
    const asynchronous = jit(async (v: Tensor) => {
      await v.sum().item();
      return v;
    });
    await expect(asynchronous(x)).rejects.toThrow('jit: the function is async');
    await expect(jit(grad(async (v: Tensor) => v.sum()))(x)).rejects.toThrow(
      'jit: the function is async',
    );
    // What does not depend on the arguments may be read.
    const constant = jit((v: Tensor) => {
      void x.sum().item();
      return v.add(1);
    });
    expect(await values(await constant(x))).toEqual([2, 3, 4]);
  });
});
