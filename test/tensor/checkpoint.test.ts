import { describe, expect, it } from 'vitest';
import { compileProgram } from '../../src/compile/index.ts';
import { type BufferNode, bufferNode } from '../../src/ir/graph/build.ts';
import {
  checkpoint,
  device,
  grad,
  jit,
  Parameter,
  random,
  Tensor,
  tensor,
  valueAndGrad,
  vjp,
} from '../../src/tensor/index.ts';
import { Lazy } from '../../src/tensor/lazy.ts';
import { values } from '../support/derivatives.ts';
import { COMPILED_DEVICES } from '../support/device-names.ts';

const [ROWS, WIDTH, INNER] = [64, 32, 128];
type Wrap = <A extends unknown[], T>(f: (...args: A) => T) => (...args: A) => T;
const plain: Wrap = (f) => f;

function block(x: Tensor, up: Tensor, down: Tensor, bias: Tensor): Tensor {
  return x.add(x.matmul(up).add(bias).tanh().square().sigmoid().matmul(down));
}

/** One step of gradient descent on a number of equal blocks, as the compiler plans it. */
function planned(blocks: number, wrap: Wrap) {
  const inputs: BufferNode[] = [];
  const place = (shape: number[], name: string) => {
    const node = bufferNode('f32', shape, name);
    inputs.push(node);
    return new Tensor(new Lazy(device('wasm'), node, []));
  };
  const weights = Array.from({ length: blocks }, (_, i) => [
    place([WIDTH, INNER], `up${i}`),
    place([INNER, WIDTH], `down${i}`),
    place([INNER], `bias${i}`),
  ]);
  const x = place([ROWS, WIDTH], 'x');
  const y = weights.reduce((h, [up, down, bias]) => wrap(block)(h, up, down, bias), x);
  const loss = y.square().mean();
  const all = weights.flat();
  const one = new Tensor(new Lazy(loss.device, loss.add(1).node, []));
  const grads = vjp([loss], [one], all);
  const updated = all.map((w, i) => w.sub(grads[i].mul(0.1)));
  return compileProgram(
    [loss, ...updated].map((t) => t.node),
    inputs,
    { donations: new Map(all.map((_, i) => [i + 1, i])) },
  );
}

describe('checkpoint', () => {
  it('keeps the input of each block and nothing else', () => {
    const scratch = (blocks: number, wrap: Wrap) => planned(blocks, wrap).scratchBytes;
    const grown = (wrap: Wrap) => (scratch(12, wrap) - scratch(4, wrap)) / 8;
    // Without it a block leaves its input and at least one array of its inner width behind.
    expect(grown(plain)).toBeGreaterThanOrEqual(4 * ROWS * (WIDTH + INNER));
    expect(grown(checkpoint)).toBe(4 * ROWS * WIDTH);
    expect(scratch(12, checkpoint)).toBeLessThan(scratch(12, plain) / 2);
  });

  it('lets updates lie where they lie without it', () => {
    const reuse = (wrap: Wrap) => planned(4, wrap).outputs.map((o) => o.mayReuse);
    expect(reuse(checkpoint)).toEqual(reuse(plain));
    // Biases are in place; products with their update in the same kernel never are.
    expect(reuse(checkpoint).filter((r) => r !== undefined)).toHaveLength(4);
  });

  it('computes each block twice, not more', () => {
    const dots = (wrap: Wrap) =>
      planned(6, wrap).steps.filter(({ label }) => label.startsWith('dot')).length;
    // The second product of a block is not needed again.
    expect(dots(checkpoint)).toBe(dots(plain) + 6);
  });

  it.each(COMPILED_DEVICES)('trains with the same bits on %s', async (on) => {
    const train = async (wrap: Wrap) => {
      random.seed(5);
      const sizes = { device: on };
      const weights = [0, 1].flatMap(() => [
        new Parameter(random.normal([6, 10], sizes)),
        new Parameter(random.normal([10, 6], sizes)),
        new Parameter(random.normal([10], sizes)),
      ]);
      const step = jit((x: Tensor) => {
        const { value, grads } = valueAndGrad((list: Parameter[]) => {
          let h = x;
          // Parameters are read inside, and noise is the same when it is computed again.
          for (let i = 0; i < list.length; i += 3) {
            h = wrap((y: Tensor) => {
              const kept = random.bernoulli([7, 6], 0.8, sizes);
              return kept.where(block(y, list[i].value, list[i + 1].value, list[i + 2].value), y);
            })(h).add(h.mul(0.3));
          }
          return h.square().mean();
        })(weights);
        weights.forEach((w, i) => {
          w.set(w.value.sub(grads[i].mul(0.3)));
        });
        return value;
      });
      const x = random.normal([7, 6], sizes);
      const seen: number[] = [];
      for (let i = 0; i < 4; i++) seen.push(await (await step(x)).item());
      for (const w of weights) seen.push(...(await values(w.value)));
      return seen;
    };
    const expected = await train(plain);
    expect(await train(checkpoint)).toEqual(expected);
    expect(expected[3]).toBeLessThan(expected[0]);
  });

  it('works outside jit, nested, with several results and with unused ones', async () => {
    const x = tensor([0.3, -0.7, 1.2], { device: 'interpret' });
    const w = tensor([1.5, 0.5, -1], { device: 'interpret' });
    const f = (wrap: Wrap) => (v: Tensor) => {
      const { sum, product } = wrap((a: Tensor) => ({
        sum: wrap((b: Tensor) => b.sin().add(w))(a),
        product: a.exp().mul(w),
        unused: a.tanh(),
      }))(v);
      return sum.mul(product).mul(sum).sum();
    };
    expect(await values(grad(f(checkpoint))(x))).toEqual(await values(grad(f(plain))(x)));
    const second = (wrap: Wrap) => grad((v: Tensor) => grad(f(wrap))(v).square().sum())(x);
    const [got, expected] = [await values(second(checkpoint)), await values(second(plain))];
    got.forEach((v, i) => {
      expect(v).toBeCloseTo(expected[i], 4);
    });
    // By what the function reads beside its argument.
    const byW = (wrap: Wrap) =>
      grad((v: Tensor) => wrap((a: Tensor) => a.mul(v).exp())(x).sum())(w);
    expect(await values(byW(checkpoint))).toEqual(await values(byW(plain)));
  });

  it('refuses async functions and gradients by what is made inside', () => {
    const x = tensor([1, 2]);
    expect(() => checkpoint(async (v: Tensor) => v)(x)).toThrow(
      'checkpoint: the function is async',
    );
    let inside = x;
    const y = checkpoint((v: Tensor) => {
      inside = v.exp();
      return inside.sum();
    })(x);
    expect(() => vjp([y], [tensor(1)], [inside, x])).toThrow(
      'checkpoint: a tensor made inside the function (f32[2]) is differentiated by',
    );
  });
});
