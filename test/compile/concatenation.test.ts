import { describe, expect, test } from 'vitest';
import { compileProgram } from '../../src/compile/index.ts';
import { concatParts } from '../../src/compile/lower/concat-parts.ts';
import * as g from '../../src/ir/graph/build.ts';
import type { Node } from '../../src/ir/graph/types.ts';
import { kernelCost } from '../../src/ir/kernel/cost.ts';
import { concat, type DeviceName, jit, type Tensor, tensor } from '../../src/tensor/index.ts';
import { COMPILED_DEVICES } from '../support/device-names.ts';
import { numbers } from '../support/run-graph.ts';

/** Parts of different sizes along an axis, with values whose bits are easily lost. */
function parts(axis: number, device: DeviceName): Tensor[] {
  return [3, 1, 5].map((size, i) => {
    const shape = [4, 6, 2].map((d, a) => (a === axis ? size : d));
    const data = numbers(i + 1, shape[0] * shape[1] * shape[2]);
    data.set([-0, Number.NaN, 0]);
    return tensor(data, { shape, device });
  });
}

/** What the gradient of a split is: a sum of padded parts. */
const summed = (axis: number) =>
  jit((...list: Tensor[]) => {
    let before = 0;
    return list
      .map((x) => {
        const size = x.shape[axis] as number;
        const pads = x.shape.map((_, a): [number, number] =>
          a === axis ? [before, 9 - before - size] : [0, 0],
        );
        before += size;
        return x.neg().pad(pads);
      })
      .reduce((sum, x) => sum.add(x));
  });

const joined = (axis: number) =>
  jit((...list: Tensor[]) => {
    const [a, b, c] = list;
    return concat([a.neg(), b, c.mul(2)], axis);
  });

const parted = (node: Node, hasBuffer = (n: Node): boolean => n.op === 'buffer') =>
  concatParts(node, hasBuffer);

describe('a concatenation', () => {
  test.each([0, 1, 2].flatMap((axis) => COMPILED_DEVICES.map((d) => ({ axis, d }))))(
    'along axis $axis on $d keeps every bit',
    async ({ axis, d }) => {
      for (const step of [joined(axis), summed(axis)]) {
        const want = await (await step(...parts(axis, 'interpret'))).data();
        step.dispose();
        const got = await (await step(...parts(axis, d))).data();
        expect(got.some((v) => Object.is(v, -0))).toBe(want.some((v) => Object.is(v, -0)));
        expect(got).toEqual(want);
      }
    },
  );

  test('costs its own size, however many the parts', () => {
    const costOf = (count: number) => {
      const inputs = Array.from({ length: count }, (_, i) => g.bufferNode('f32', [8], `x${i}`));
      const total = count * 8;
      const places = g.iota(total);
      const node = inputs.slice(1).reduce(
        (earlier, x, i) => {
          const start = 8 * (i + 1);
          const before = g.compare('lt', places, g.constLike(places, start));
          return g.where(before, earlier, g.pad(x, [[start, total - start - 8]], 0));
        },
        g.pad(inputs[0], [[0, total - 8]], 0),
      );
      const { kernels } = compileProgram([node], inputs);
      expect(kernels.length).toBe(1);
      return kernelCost(kernels[0]).loads / total;
    };
    expect(costOf(40)).toBeCloseTo(costOf(4), 6);
  });

  test('is told from other choices', () => {
    const x = g.bufferNode('f32', [2, 3], 'x');
    const places = g.expand(g.reshape(g.iota(4), [4, 1]), [4, 3]);
    const below = (n: number, like = places) => g.compare('lt', like, g.constLike(like, n));
    const first = g.pad(
      x,
      [
        [0, 2],
        [0, 0],
      ],
      0,
    );
    const second = g.pad(
      x,
      [
        [2, 0],
        [0, 0],
      ],
      0,
    );
    expect(parted(g.where(below(2), first, second))?.parts).toMatchObject([
      { start: 0 },
      { start: 2 },
    ]);
    expect(parted(g.where(below(1), first, second))).toBeUndefined();
    expect(parted(g.where(below(2), second, first))).toBeUndefined();
    const ones = g.pad(
      x,
      [
        [2, 0],
        [0, 0],
      ],
      1,
    );
    expect(parted(g.where(below(2), first, ones))).toBeUndefined();
    const across = g.expand(g.reshape(g.iota(3), [1, 3]), [4, 3]);
    expect(parted(g.where(below(2, across), first, second))).toBeUndefined();
    expect(parted(g.unary('neg', x))).toBeUndefined();
    const sum = g.binary('add', second, first);
    expect(parted(sum)?.parts).toMatchObject([{ start: 0 }, { start: 2 }]);
    expect(parted(g.binary('add', first, first))).toBeUndefined();
    expect(parted(sum, (node) => node === first)).toBeUndefined();
    const short = g.binary(
      'add',
      g.pad(
        x,
        [
          [0, 3],
          [0, 0],
        ],
        0,
      ),
      g.pad(
        x,
        [
          [2, 1],
          [0, 0],
        ],
        0,
      ),
    );
    expect(parted(short)).toBeUndefined();
  });
});
