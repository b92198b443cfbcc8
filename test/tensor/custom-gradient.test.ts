import { describe, expect, it } from 'vitest';
import { GraphInterpreter } from '../../src/device/index.ts';
import {
  customGradient,
  grad,
  jit,
  jvp,
  scope,
  stopGradient,
  type Tensor,
  tensor,
  vjp,
  vmap,
} from '../../src/tensor/index.ts';
import { values } from '../support/derivatives.ts';
import { MACHINE_DEVICES } from '../support/device-names.ts';

const roundThrough = customGradient(
  (x: Tensor) => x.round(),
  (upstream) => upstream,
);
const reversed = customGradient(
  (x: Tensor) => x,
  (upstream) => upstream.neg(),
);
const clipped = customGradient(
  (x: Tensor) => x,
  (upstream) => upstream.clamp(-1, 1),
);
/** x * y, whose gradients are ten times too large, in terms of what backward gets. */
const tenfold = customGradient(
  (x: Tensor, y: Tensor) => x.mul(y),
  (upstream, [x, y], output) => {
    const scaled = upstream.mul(10);
    return [scaled.mul(output.div(x)), scaled.mul(output.div(y))];
  },
);

describe.each(['interpret', ...MACHINE_DEVICES] as const)('customGradient on %s', (device) => {
  const x = tensor([0.4, 1.7, -2.2], { device });

  it('takes its gradient from the given function', async () => {
    expect(await values(roundThrough(x))).toEqual([0, 2, -2]);
    // d/dx round(x)^2 = 2 round(x), straight through
    expect(await values(grad((v: Tensor) => roundThrough(v).square().sum())(x))).toEqual([
      0, 4, -4,
    ]);
    expect(await values(grad((v: Tensor) => reversed(v).sum())(x))).toEqual([-1, -1, -1]);
    const steep = grad((v: Tensor) =>
      clipped(v)
        .mul(tensor([5, 0.5, -3], { device }))
        .sum(),
    );
    expect(await values(steep(x))).toEqual([1, 0.5, -1]);
    const [dx, dy] = grad(([a, b]: [Tensor, Tensor]) => tenfold(a, b).sum())([
      tensor([2, 4], { device }),
      tensor([3, 5], { device }),
    ]);
    expect([await values(dx), await values(dy)]).toEqual([
      [30, 50],
      [20, 40],
    ]);
  });

  it('works in jit, under vmap on both sides of grad, and in forward mode', async () => {
    const loss = (v: Tensor) => roundThrough(v).square().sum();
    expect(await values(await jit(grad(loss))(x))).toEqual([0, 4, -4]);
    const rows = tensor([[0.4], [1.7], [-2.2]], { device });
    expect(await values(vmap(grad(loss))(rows))).toEqual([0, 4, -4]);
    expect(await values(grad((v: Tensor) => vmap(loss)(v).sum())(rows))).toEqual([0, 4, -4]);
    // Clipped for each member; what is the same for all members has one gradient, their sum.
    const pulled = vmap((row: Tensor) => clipped(row).mul(row.detach()).sum());
    const byRow = await values(grad((v: Tensor) => pulled(v).sum())(rows));
    [0.4, 1, -1].forEach((g, i) => {
      expect(byRow[i]).toBeCloseTo(g, 6);
    });
    const shared = (v: Tensor) => vmap((row: Tensor) => clipped(v).mul(row).sum())(rows).sum();
    expect((await values(grad(shared)(tensor([1], { device }))))[0]).toBeCloseTo(-0.1, 6);
    expect(await values(await jit(vmap(grad(loss)))(rows))).toEqual([0, 4, -4]);
    const { tangent } = jvp((v: Tensor) => roundThrough(v).square(), [x], [x.mul(0).add(1)]);
    expect(await values(tangent)).toEqual([0, 4, -4]);
  });

  it('can be differentiated twice: backward has its own derivative', async () => {
    // The gradient of sin is given as cos of it all: its derivative is -sin.
    const sine = customGradient(
      (v: Tensor) => v.sin(),
      (upstream, [v]) => upstream.mul(v.cos()),
    );
    const twice = grad((v: Tensor) => grad((u: Tensor) => sine(u).sum())(v).sum())(x);
    const expected = [0.4, 1.7, -2.2].map((v) => -Math.sin(v));
    (await values(twice)).forEach((v, i) => {
      expect(v).toBeCloseTo(expected[i], 5);
    });
    // Through the output, which is differentiated by the rule, not by its graph.
    const exponential = customGradient(
      (v: Tensor) => v.exp(),
      (upstream, _inputs, output) => upstream.mul(output).mul(2),
    );
    const quadruple = grad((v: Tensor) => grad((u: Tensor) => exponential(u).sum())(v).sum())(x);
    (await values(quadruple)).forEach((v, i) => {
      expect(v).toBeCloseTo(4 * Math.exp([0.4, 1.7, -2.2][i]), 3);
    });
  });
});

describe('customGradient and memory', () => {
  it('keeps what backward uses alive', async () => {
    const device = new GraphInterpreter();
    const x = tensor([1, 2, 3], { device });
    const before = device.liveBytes;
    const scaled = customGradient(
      (v: Tensor) => v.mul(1),
      (upstream) => {
        using factor = tensor([2, 3, 4], { device });
        return upstream.mul(factor);
      },
    );
    await scope(async () => {
      expect(await values(grad((v: Tensor) => scaled(v).sum())(x))).toEqual([2, 3, 4]);
    });
    expect(device.liveBytes).toBe(before);
  });
});

describe('customGradient refuses', () => {
  const x = tensor([1, 2, 3]);

  it('gradients that do not fit', () => {
    const short = customGradient(
      (v: Tensor) => v,
      (upstream) => upstream.sum(),
    );
    expect(() => grad((v: Tensor) => short(v).sum())(x)).toThrow(
      'customGradient: gradient 0 is f32[]; expected f32[3], as its input',
    );
    const none = customGradient(
      (v: Tensor) => v,
      () => [],
    );
    expect(() => grad((v: Tensor) => none(v).sum())(x)).toThrow('expected 1 gradients');
  });

  it('tensors differentiated by that are no inputs', () => {
    const hidden = customGradient(
      (v: Tensor) => v.mul(x),
      (upstream) => upstream,
    );
    expect(() =>
      grad((w: Tensor) => hidden(x.add(1)).mul(w).sum())(tensor([1, 1, 1])),
    ).not.toThrow();
    expect(() => vjp([hidden(x.mul(2))], [x], [x])).toThrow(
      'customGradient: the function depends on a tensor (f32[3]) that is differentiated by',
    );
  });

  it('forward mode of what is not linear', () => {
    expect(() => jvp((v: Tensor) => clipped(v), [x], [x])).toThrow('not linear in its upstream');
  });
});

describe('stopGradient', () => {
  it('stops gradients through structures, also under vmap', async () => {
    const x = tensor([1, 2, 3]);
    const f = (v: Tensor) => {
      const { a, rest } = stopGradient({ a: v.mul(2), rest: [v, 'text'] as [Tensor, string] });
      expect(rest[1]).toBe('text');
      return v.mul(a).add(rest[0]).sum();
    };
    expect(await values(grad(f)(x))).toEqual([2, 4, 6]);
    const rows = x.reshape([3, 1]);
    expect(await values(grad((v: Tensor) => vmap(f)(v).sum())(rows))).toEqual([2, 4, 6]);
    expect(await values(grad((v: Tensor) => v.detach().sum())(x))).toEqual([0, 0, 0]);
  });
});
