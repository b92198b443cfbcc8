import { describe, expect, it } from 'vitest';
import * as g from '../../src/ir/graph/build.ts';
import { BINARY, UNARY } from '../../src/ir/graph/functions.ts';
import { gradientGraph } from '../../src/ir/graph/gradient.ts';
import { interpretGraph } from '../../src/ir/graph/interpret.ts';
import type { BinaryFn, NdArray, Node, UnaryFn } from '../../src/ir/graph/types.ts';
import { sizeOf } from '../../src/ir/shape.ts';

/** Every gradient against central differences, in double precision. */
const STEP = 1e-5;

type Values = readonly number[];

function evaluate(
  outputs: readonly Node[],
  inputs: readonly g.BufferNode[],
  values: readonly Values[],
) {
  const buffers = new Map<number, NdArray>();
  inputs.forEach((node, i) => {
    const shape = node.shape as number[];
    buffers.set(node.arg.id, { dtype: node.dtype, shape, data: Float64Array.from(values[i]) });
  });
  return interpretGraph(outputs, buffers).map((r) => [...r.data]);
}

/** Weights that tell the elements of an output apart. */
function weights(node: Node): Node {
  const flat = g.cast(g.iota(sizeOf(node.shape)), 'f64');
  const scaled = g.binary(
    'add',
    g.binary('mul', flat, g.constLike(flat, 0.37)),
    g.constLike(flat, 0.8),
  );
  return g.reshape(scaled, node.shape);
}

function loss(node: Node): Node {
  const weighted = g.binary('mul', node, weights(node));
  return g.reshape(
    g.reduce(
      'sum',
      weighted,
      node.shape.map((_, i) => i),
    ),
    [],
  );
}

function check(
  build: (inputs: readonly Node[]) => Node,
  shapes: readonly number[][],
  values: readonly Values[],
) {
  const inputs = shapes.map((shape, i) => g.bufferNode('f64', shape, `x${i}`));
  const value = loss(build(inputs));
  const grads = gradientGraph([value], [g.constLike(value, 1)], inputs);
  const got = evaluate(grads, inputs, values);
  inputs.forEach((_, i) => {
    values[i].forEach((x, e) => {
      const moved = (by: number) =>
        evaluate(
          [value],
          inputs,
          values.map((v, j) => (j === i ? v.map((w, k) => (k === e ? w + by : w)) : v)),
        )[0][0];
      const slope = (moved(STEP) - moved(-STEP)) / (2 * STEP);
      expect(got[i][e], `input ${i}, element ${e}, at ${x}`).toBeCloseTo(slope, 4);
    });
  });
  return { value, inputs };
}

const positive = [0.3, 0.7, 1.4, 2.6, 0.9, 1.1];
const mixed = [-1.3, 0.4, 2.2, -0.6, 1.7, -2.1];
const NEEDS_POSITIVE: ReadonlySet<string> = new Set([
  'sqrt',
  'rsqrt',
  'log',
  'log2',
  'log1p',
  'pow',
]);

describe('gradients against finite differences', () => {
  const unaries = (Object.keys(UNARY) as UnaryFn[]).filter((fn) => UNARY[fn].gradient);
  it.each(unaries)('%s', (fn) => {
    check(([x]) => g.unary(fn, x), [[6]], [NEEDS_POSITIVE.has(fn) ? positive : mixed]);
  });

  const binaries = (Object.keys(BINARY) as BinaryFn[]).filter((fn) => BINARY[fn].gradient);
  it.each(binaries)('%s', (fn) => {
    const first = NEEDS_POSITIVE.has(fn) ? positive : mixed;
    check(([x, y]) => g.binary(fn, x, y), [[6], [6]], [first, [0.7, -1.2, 0.9, 1.6, -0.4, 0.8]]);
  });

  it('power of a negative base by its base', () => {
    check(([x]) => g.binary('pow', x, g.constLike(x, 3)), [[6]], [mixed]);
  });

  it.each(['sum', 'prod', 'max', 'min'] as const)('reduce %s', (fn) => {
    check(([x]) => g.reduce(fn, x, [1]), [[2, 3]], [mixed]);
    check(([x]) => g.reduce(fn, x, [0, 1]), [[2, 3]], [mixed]);
  });

  it('prod with zeros', () => {
    check(([x]) => g.reduce('prod', x, [1]), [[2, 3]], [[0, 2, 3, 0, 0, 5]]);
  });

  it.each(['sum', 'prod', 'max', 'min', 'logaddexp'] as const)('scan %s', (fn) => {
    check(([x]) => g.scan(fn, x, 1), [[2, 3]], [mixed]);
    check(([x]) => g.scan(fn, x, 0), [[3, 2]], [mixed]);
    check(([x]) => g.flip(g.scan(fn, g.flip(x, [0]), 0), [0]), [[6]], [mixed]);
  });

  it('scan prod with one zero, several, and at the ends', () => {
    const rows = [
      [2, 0, 3, 0.5],
      [0, 2, 0, 3],
      [0.5, 2, 3, 0],
      [0, 0, 2, 1],
    ];
    check(([x]) => g.scan('prod', x, 1), [[4, 4]], [rows.flat()]);
  });

  it('scan logaddexp where some places are empty', () => {
    const x = g.bufferNode('f64', [5], 'x');
    const upstream = g.bufferNode('f64', [5], 'upstream');
    const [grad] = gradientGraph([g.scan('logaddexp', x, 0)], [upstream], [x]);
    const at = [-Infinity, 800, -800, 801, -Infinity];
    const [got] = evaluate([grad], [x, upstream], [at, [2, 3, -1, 4, -5]]);
    const share = 1 / (1 + Math.E);
    const wanted = [0, 2 - share, 0, share - 1, 0];
    got.forEach((value, i) => {
      expect(value).toBeCloseTo(wanted[i], 12);
    });
  });

  it('movements', () => {
    check(([x]) => g.permute(g.reshape(x, [3, 2]), [1, 0]), [[2, 3]], [mixed]);
    check(([x]) => g.expand(g.reshape(x, [2, 1, 3]), [2, 4, 3]), [[2, 3]], [mixed]);
    check(
      ([x]) =>
        g.pad(
          x,
          [
            [1, 0],
            [2, 1],
          ],
          0.5,
        ),
      [[2, 3]],
      [mixed],
    );
    check(
      ([x]) =>
        g.shrink(x, [
          [1, 1],
          [0, 2],
        ]),
      [[2, 3]],
      [mixed],
    );
    check(([x]) => g.flip(x, [0, 1]), [[2, 3]], [mixed]);
  });

  it('windows and their transposes', () => {
    const axis = { axis: 0, stride: 2, dilation: 3 };
    const wide = (x: Node, k: number) => g.expand(g.reshape(x, [...x.shape, 1]), [...x.shape, k]);
    check(([x]) => g.window(wide(x, 2), { ...axis, size: 2 }), [[6]], [mixed]);
    check(([x]) => g.window(x, { ...axis, size: 1, dilation: 2 }), [[3, 2]], [mixed]);
    check(([x]) => g.spread(x, { ...axis, size: 9 }), [[3, 2]], [mixed]);
    check(([x]) => g.spread(wide(x, 1), { ...axis, size: 11 }), [[6]], [mixed]);
  });

  it('where, cast, gather, scatter', () => {
    const places = g.reshape(g.iota(6), [2, 3]);
    const odd = g.compare(
      'eq',
      g.binary('and', places, g.constLike(places, 1)),
      g.constLike(places, 1),
    );
    check(
      ([x, y]) => g.where(odd, x, y),
      [
        [2, 3],
        [2, 3],
      ],
      [mixed, positive],
    );
    const index = g.binary(
      'rem',
      g.binary('mul', places, g.constLike(places, 2)),
      g.constLike(places, 3),
    );
    check(([x]) => g.gather(x, index, 1), [[2, 3]], [mixed]);
    check(
      ([x, y]) => g.scatter(x, index, y, 1, 'add'),
      [
        [2, 3],
        [2, 3],
      ],
      [mixed, positive],
    );
    const distinct = g.flip(g.expand(g.reshape(g.iota(3), [1, 3]), [2, 3]), [1]);
    check(
      ([x, y]) => g.scatter(x, distinct, y, 1, 'set'),
      [
        [2, 3],
        [2, 3],
      ],
      [mixed, positive],
    );
  });

  it('products with batches and several contracted axes', () => {
    check(
      ([x, y]) => g.dot(x, y, 0, 1),
      [
        [2, 3],
        [3, 2],
      ],
      [mixed, positive],
    );
    const twice = [...mixed, ...positive];
    check(
      ([x, y]) => g.dot(x, y, 1, 1),
      [
        [2, 2, 3],
        [2, 3, 2],
      ],
      [twice, twice],
    );
    check(
      ([x, y]) => g.dot(x, y, 0, 2),
      [
        [2, 3],
        [2, 3, 2],
      ],
      [mixed, twice],
    );
  });

  it('of gradients', () => {
    const x = g.bufferNode('f64', [3], 'x');
    const value = loss(g.unary('tanh', g.binary('mul', x, x)));
    const [first] = gradientGraph([value], [g.constLike(value, 1)], [x]);
    const again = loss(first);
    const [second] = gradientGraph([again], [g.constLike(again, 1)], [x]);
    const at = [0.3, -0.8, 1.1];
    const [got] = evaluate([second], [x], [at]);
    at.forEach((_, e) => {
      const moved = (by: number) =>
        evaluate([again], [x], [at.map((v, i) => (i === e ? v + by : v))])[0][0];
      expect(got[e]).toBeCloseTo((moved(STEP) - moved(-STEP)) / (2 * STEP), 4);
    });
  });
});
