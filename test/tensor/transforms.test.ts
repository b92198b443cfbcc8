import { describe, expect, it } from 'vitest';
import { compileProgram } from '../../src/compile/index.ts';
import { type BufferNode, bufferNode } from '../../src/ir/graph/build.ts';
import {
  checkpoint,
  customGradient,
  device as deviceOf,
  grad,
  hessian,
  hvp,
  jacobian,
  jit,
  jvp,
  Parameter,
  Tensor,
  tensor,
  vjp,
  vmap,
} from '../../src/tensor/index.ts';
import { Lazy } from '../../src/tensor/lazy.ts';
import { values } from '../support/derivatives.ts';
import { MACHINE_DEVICES } from '../support/device-names.ts';

/**
 * f(x) = sum over i of sin(x_i) x_(i+1)^2 (places in a circle), with its first and second derivatives in
 * closed form; written in three ways.
 */
type Scalar = (x: Tensor) => Tensor;
const turned = (x: Tensor) =>
  x
    .slice([[1, null]])
    .pad([[0, 1]])
    .add(x.slice([[0, 1]]).pad([[x.size - 1, 0]]));
const inner: Scalar = (x) => x.sin().mul(turned(x).square());
const square = customGradient(
  (x: Tensor) => x.mul(x),
  (upstream, [x]) => upstream.mul(x).mul(2),
);
const WAYS: Record<string, Scalar> = {
  plain: (x) => inner(x).sum(),
  checkpoint: (x) => checkpoint(inner)(x).sum(),
  customGradient: (x) =>
    x
      .sin()
      .mul(square(turned(x)))
      .sum(),
  'checkpoint in customGradient in checkpoint': (x) =>
    checkpoint((v: Tensor) =>
      v.sin().mul(
        customGradient(
          (u: Tensor) => checkpoint((t: Tensor) => t.mul(t))(u),
          (upstream, [u]) => checkpoint((g: Tensor) => g.mul(u).mul(2))(upstream),
        )(turned(v)),
      ),
    )(x).sum(),
};

const next = (i: number, n: number) => (i + 1) % n;
const before = (i: number, n: number) => (i + n - 1) % n;
const value = (x: readonly number[]) =>
  x.reduce((sum, v, i) => sum + Math.sin(v) * x[next(i, x.length)] ** 2, 0);
const slope = (x: readonly number[]) =>
  x.map((v, i) => {
    const n = x.length;
    return Math.cos(v) * x[next(i, n)] ** 2 + 2 * v * Math.sin(x[before(i, n)]);
  });
const curvature = (x: readonly number[]) =>
  x.map((v, i) =>
    x.map((_, j) => {
      const n = x.length;
      let sum = 0;
      if (i === j) sum += -Math.sin(v) * x[next(i, n)] ** 2 + 2 * Math.sin(x[before(i, n)]);
      if (j === next(i, n)) sum += 2 * x[j] * Math.cos(v);
      if (j === before(i, n)) sum += 2 * v * Math.cos(x[j]);
      return sum;
    }),
  );
const times = (m: readonly number[][], v: readonly number[]) =>
  m.map((row) => row.reduce((sum, a, i) => sum + a * v[i], 0));

const POINTS = [
  [0.3, -1.2, 0.8, 1.9],
  [1.1, 0.4, -0.6, -2.3],
];
const AT = POINTS[0];
const DIRECTION = [0.5, -1, 2, 0.25];

async function near(got: Tensor, expected: readonly number[]): Promise<void> {
  const found = await values(got);
  expect(found).toHaveLength(expected.length);
  found.forEach((v, i) => {
    expect(v, `element ${i}`).toBeCloseTo(expected[i], 4);
  });
}

describe.each(['interpret', ...MACHINE_DEVICES] as const)('on %s', (device) => {
  const on = { device };
  const x = tensor(AT, on);
  const v = tensor(DIRECTION, on);
  const batch = tensor(POINTS, on);
  const directional = (p: readonly number[]) =>
    slope(p).reduce((sum, g, i) => sum + g * DIRECTION[i], 0);

  describe.each(Object.keys(WAYS))('%s', (way) => {
    const f = WAYS[way];
    /** Derivative along DIRECTION in forward mode. */
    const along = (y: Tensor) => jvp(f, [y], [v]).tangent;

    it('jit(grad), vmap(grad), jit(vmap(grad)), vmap(jit) refused', async () => {
      await near(await jit(grad(f))(x), slope(AT));
      await near(vmap(grad(f))(batch), POINTS.flatMap(slope));
      await near(await jit(vmap(grad(f)))(batch), POINTS.flatMap(slope));
      expect(() => vmap(jit(f))(batch)).toThrow('put jit outermost');
    });

    it('grad(vmap), grad(jit)', async () => {
      await near(grad((y: Tensor) => vmap(f)(y).sum())(batch), POINTS.flatMap(slope));
      const compiled = jit(f);
      await near(await grad((y: Tensor) => compiled(y))(x), slope(AT));
      await near(await compiled(x), [value(AT)]);
    });

    it('grad(grad), jvp(grad), grad(jvp), jvp(jvp)', async () => {
      const expected = times(curvature(AT), DIRECTION);
      await near(grad((y: Tensor) => grad(f)(y).mul(v).sum())(x), expected);
      await near(jvp(grad(f), [x], [v]).tangent, expected);
      await near(grad(along)(x), expected);
      const second = expected.reduce((sum, h, i) => sum + h * DIRECTION[i], 0);
      await near(jvp(along, [x], [v]).tangent, [second]);
    });

    it('vmap(jvp), jvp(vmap), jit(jvp)', async () => {
      await near(vmap(along)(batch), POINTS.map(directional));
      const both = tensor([DIRECTION, DIRECTION], on);
      await near(jvp(vmap(f), [batch], [both]).tangent, POINTS.map(directional));
      const compiled = await jit((y: Tensor) => jvp(f, [y], [v]))(x);
      await near(compiled.value, [value(AT)]);
      await near(compiled.tangent, [directional(AT)]);
    });

    it('hessian, hvp, jacobian, vmap(hessian), jit(hessian)', async () => {
      const expected = curvature(AT).flat();
      await near(hessian(f)(x), expected);
      await near(await jit(hessian(f))(x), expected);
      await near(
        vmap(hessian(f))(batch),
        POINTS.flatMap((p) => curvature(p).flat()),
      );
      await near(hvp(f, x, v), times(curvature(AT), DIRECTION));
      await near(jacobian(vmap(f))(batch).select(0, 1).select(0, 1), slope(POINTS[1]));
      await near(
        jacobian((y: Tensor) => jvp(f, [y], [v]).tangent)(x),
        times(curvature(AT), DIRECTION),
      );
    });

    it('around another checkpoint and customGradient', async () => {
      const outer = checkpoint((y: Tensor) => grad(f)(y).mul(v).sum());
      await near(grad(outer)(x), times(curvature(AT), DIRECTION));
      await near(vmap(grad(checkpoint(f)))(batch), POINTS.flatMap(slope));
      const doubled = customGradient(f, (upstream, [y]) => upstream.mul(grad(f)(y)).mul(2));
      await near(
        vmap(grad(doubled))(batch),
        POINTS.flatMap(slope).map((g) => 2 * g),
      );
      await near(jvp(doubled, [x], [v]).tangent, [2 * directional(AT)]);
    });
  });

  it('vjp of a function: its value, and gradients of all arguments for any upstream', async () => {
    const w = new Parameter(tensor([2, 3], on), 'w');
    const a = tensor([1, -1], on);
    const f = (p: { scale: Parameter }, y: Tensor) => p.scale.value.mul(y).mul(y);
    const { value: out, pullback } = vjp(f, { scale: w }, a);
    await near(out, [2, 3]);
    const [byModel, byTensor] = pullback(tensor([1, 10], on));
    await near(byModel.scale, [1, 10]);
    await near(byTensor, [4, -60]);
    const [again] = pullback(tensor([0, 1], on));
    await near(again.scale, [0, 1]);
  });

  it('jvp takes structures, several results, and one tensor as two arguments', async () => {
    const w = new Parameter(tensor([2, 3], on), 'w');
    const { value: out, tangent } = jvp(
      (p: Parameter, [y, z]: [Tensor, Tensor]) => ({ product: p.value.mul(y), sum: y.sub(z) }),
      [w, [x.narrow(0, 0, 2), x.narrow(0, 2, 2)]],
      [tensor([1, 0], on), [tensor([0, 1], on), tensor([5, 5], on)]],
    );
    await near(out.product, [0.6, -3.6]);
    await near(tangent.product, [0.3, 3]);
    await near(tangent.sum, [-5, -4]);
    const one = tensor([1], on);
    const a = tensor([3], on);
    // d(a b) = b da + a db; with the tangents 1 and 0 that is b alone.
    await near(
      jvp((p: Tensor, q: Tensor) => p.mul(q).mul(q), [a, a], [one, one.mul(0)]).tangent,
      [9],
    );
  });
});

describe('forward mode', () => {
  /** Kernels of what `build` makes of a vector of 64. */
  function kernels(build: (x: Tensor, v: Tensor) => Tensor[]): number {
    const inputs: BufferNode[] = [];
    const place = (name: string) => {
      const node = bufferNode('f32', [64], name);
      inputs.push(node);
      return new Tensor(new Lazy(deviceOf('wasm'), node, []));
    };
    const outputs = build(place('x'), place('v'));
    return compileProgram(
      outputs.map((t) => t.node),
      inputs,
    ).steps.length;
  }

  it('leaves nothing of the backward passes behind', () => {
    const f = (x: Tensor) => x.sin().mul(x).exp();
    expect(kernels((x, v) => [jvp(f, [x], [v]).tangent])).toBe(1);
    expect(kernels((x, v) => Object.values(jvp(f, [x], [v])))).toBe(1);
    expect(kernels((x, v) => Object.values(jvp(checkpoint(f), [x], [v])))).toBe(1);
    // The tangent by hand takes as many kernels.
    const matrix = (x: Tensor) => x.reshape([8, 8]);
    const byHand = kernels((x, v) => [
      matrix(x).matmul(matrix(x)),
      matrix(v)
        .matmul(matrix(x))
        .add(matrix(x).matmul(matrix(v))),
    ]);
    expect(
      kernels((x, v) => Object.values(jvp((y: Tensor) => matrix(y).matmul(matrix(y)), [x], [v]))),
    ).toBe(byHand);
  });

  it('refuses tangents and results that do not fit', () => {
    const x = tensor([1, 2]);
    expect(() => jvp((y: Tensor) => y, [x], [tensor([1])])).toThrow(
      'jvp: tangent 0 is f32[1]; expected f32[2]',
    );
    expect(() => jvp((y: Tensor) => y.cast('i32'), [x], [x])).toThrow('expected floats');
    expect(() => jacobian((y: Tensor) => y.cast('i32'))(x)).toThrow(
      'jacobian: the function returned i32[2]; expected a float tensor',
    );
  });
});
