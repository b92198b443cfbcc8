import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { exactCasts } from '../../src/compile/rewrite/casts.ts';
import { constantFolding } from '../../src/compile/rewrite/constant-folding.ts';
import { constantReductions } from '../../src/compile/rewrite/constant-reductions.ts';
import { constantValue } from '../../src/compile/rewrite/constants.ts';
import { identities } from '../../src/compile/rewrite/identities.ts';
import { PASSES, rewriteGraph } from '../../src/compile/rewrite/index.ts';
import { joinedMovements } from '../../src/compile/rewrite/movements.ts';
import type { Pass } from '../../src/compile/rewrite/pass.ts';
import { powerOfTwoDivision } from '../../src/compile/rewrite/powers-of-two.ts';
import { selections } from '../../src/compile/rewrite/selections.ts';
import { stability } from '../../src/compile/rewrite/stability.ts';
import type { DType } from '../../src/ir/dtype.ts';
import * as g from '../../src/ir/graph/build.ts';
import { printExpression } from '../../src/ir/graph/print.ts';
import { topological } from '../../src/ir/graph/traverse.ts';
import type { BinaryFn, Node } from '../../src/ir/graph/types.ts';
import {
  anyTypedRecipe,
  buildTypedGraph,
  interpreted,
  SPECIAL,
  specialValues,
} from '../support/typed-graph.ts';

const SIZE = SPECIAL.length ** 2;
const inputOf = (dtype: DType, name: string) => g.bufferNode(dtype, [SIZE], name);
const [x, y] = [inputOf('f32', 'x'), inputOf('f32', 'y')];
const [i, u, b, c] = [
  inputOf('i32', 'i'),
  inputOf('u32', 'u'),
  inputOf('bool', 'b'),
  inputOf('u8', 'c'),
];
const inputs = [x, y, i, u, b, c];
/** Every special value of x with every one of y. */
const values = inputs.map(({ dtype }, at) =>
  at === 1
    ? Float64Array.from({ length: SIZE }, (_, n) =>
        Math.fround(SPECIAL[Math.floor(n / SPECIAL.length)]),
      )
    : specialValues(dtype, SIZE, at),
);

const like = (node: Node, value: number) => g.constLike(node, value);
const un = g.unary;
const bin = g.binary;
/** Nodes that compute: constants cost nothing. */
const size = (node: Node) =>
  topological([node]).filter((n) => constantValue(n) === undefined).length;

/** What stands in a node's place after a pass; its values are the same to the bit. */
function rewritten(pass: Pass, node: Node): Node {
  const [after] = rewriteGraph([node], [pass]);
  const [expected, actual] = interpreted([node, after], inputs, values);
  expect(actual.dtype).toBe(expected.dtype);
  expect(actual.shape).toEqual(expected.shape);
  // Object.is tells 0 from -0, and takes a NaN for a NaN.
  const wrong = expected.data.findIndex((v, n) => !Object.is(v, actual.data[n]));
  expect(wrong, `${printExpression(node)} became ${printExpression(after)}`).toBe(-1);
  return after;
}

const magnitude = un('abs', x);

const FEWER: readonly (readonly [Pass, readonly Node[]])[] = [
  [
    identities,
    [
      un('neg', un('neg', x)),
      un('abs', un('neg', x)),
      un('abs', un('abs', i)),
      un('floor', un('floor', x)),
      bin('add', x, un('neg', y)),
      bin('add', un('neg', x), y),
      bin('add', like(x, -0), x),
      bin('add', i, like(i, 0)),
      bin('sub', x, un('neg', y)),
      bin('sub', like(x, -0), x),
      bin('sub', like(i, 0), i),
      bin('sub', i, i),
      bin('mul', x, like(x, -1)),
      bin('mul', like(x, 3), un('neg', x)),
      bin('mul', un('neg', x), un('neg', y)),
      bin('mul', magnitude, magnitude),
      bin('mul', i, like(i, 0)),
      bin('div', x, like(x, -1)),
      bin('div', un('neg', x), un('neg', y)),
      bin('pow', x, like(x, 0)),
      bin('pow', x, like(x, 1)),
      bin('pow', x, like(x, 2)),
      bin('pow', x, like(x, -1)),
      bin('pow', like(x, 1), x),
      bin('max', x, x),
      bin('max', x, like(x, Number.NEGATIVE_INFINITY)),
      bin('min', like(x, Number.POSITIVE_INFINITY), x),
      bin('max', u, like(u, 0)),
      bin('min', i, like(i, 2 ** 31 - 1)),
      bin('max', bin('max', x, like(x, 0)), like(x, -0)),
    ],
  ],
  [
    selections,
    [
      g.where(b, x, x),
      g.where(like(b, 1), x, y),
      g.where(un('not', b), x, y),
      g.where(b, g.where(b, x, y), x),
      g.where(b, x, g.where(b, y, y)),
      g.where(b, like(b, 1), like(b, 0)),
      g.where(b, like(b, 0), like(b, 1)),
      g.compare('lt', x, x),
      g.compare('eq', i, i),
      g.compare('ne', i, i),
      g.compare('le', u, u),
      g.compare('lt', u, like(u, 0)),
      g.compare('le', like(u, 0), u),
      g.compare('ne', g.cast(b, 'f32'), like(x, 0)),
      g.compare('eq', g.cast(b, 'i32'), like(i, 0)),
      g.compare('eq', g.cast(b, 'f32'), like(x, 1)),
      un('not', un('not', i)),
      un('not', un('not', b)),
      un('not', g.compare('eq', x, y)),
      un('not', g.compare('ne', x, y)),
      un('not', g.compare('lt', i, like(i, 7))),
      bin('and', b, like(b, 1)),
      bin('and', i, like(i, 0)),
      bin('and', like(u, 2 ** 32 - 1), u),
      bin('or', c, like(c, 255)),
      bin('or', b, b),
      bin('xor', i, like(i, -1)),
      bin('xor', b, like(b, 1)),
      bin('xor', i, i),
      bin('shl', i, like(i, 0)),
    ],
  ],
  [
    exactCasts,
    [
      g.makeNode('cast', [x], { to: 'f32' }),
      g.cast(g.cast(x, 'f64'), 'f32'),
      g.cast(g.cast(x, 'f64'), 'i32'),
      g.cast(g.cast(c, 'f32'), 'u8'),
      g.cast(g.cast(c, 'i32'), 'i8'),
      g.cast(g.cast(c, 'i32'), 'f32'),
      g.cast(g.cast(b, 'f32'), 'i32'),
      g.cast(g.cast(i, 'f64'), 'i32'),
      g.cast(g.cast(g.cast(x, 'f16'), 'f32'), 'f16'),
      g.cast(g.where(b, like(x, 1.5), like(x, 1e30)), 'i32'),
    ],
  ],
  [
    joinedMovements,
    [
      g.makeNode('pad', [x], { pads: [[0, 0]], value: 3 }),
      g.makeNode('shrink', [x], { ranges: [[0, SIZE]] }),
      g.makeNode('reshape', [x], { shape: [SIZE] }),
      g.makeNode('expand', [x], { shape: [SIZE] }),
      g.makeNode('permute', [x], { order: [0] }),
      g.flip(g.flip(x, [0]), [0]),
      g.flip(g.reshape(x, [SIZE, 1]), [1]),
      g.flip(g.flip(g.reshape(x, [2, SIZE / 2]), [0]), [0, 1]),
      g.reshape(g.reshape(x, [2, SIZE / 2]), [SIZE]),
      g.permute(g.permute(g.reshape(x, [1, 2, SIZE / 2]), [1, 2, 0]), [1, 2, 0]),
      g.expand(g.expand(g.reshape(x, [1, 1, SIZE]), [1, 2, SIZE]), [3, 2, SIZE]),
      g.shrink(g.shrink(x, [[5, 90]]), [[10, 20]]),
      g.shrink(g.pad(x, [[2, 3]], 1), [[2, SIZE]]),
      g.shrink(g.pad(x, [[2, 3]], 1), [[4, 9]]),
      g.pad(g.pad(x, [[1, 0]], 2), [[0, 4]], 2),
    ],
  ],
  [
    constantFolding,
    [
      bin('div', like(x, 1), like(x, 3)),
      g.cast(like(x, 2 ** 31), 'i32'),
      g.compare('lt', g.flip(like(x, 1), [0]), like(x, 2)),
      bin('add', g.pad(g.full(7, [SIZE - 1], 'f32'), [[0, 1]], 7), like(x, 1)),
    ],
  ],
  [
    constantReductions,
    [
      g.reduce('sum', like(x, 3), [0]),
      g.reduce('sum', like(i, -(2 ** 31)), [0]),
      g.reduce('max', like(x, Number.NaN), [0]),
      g.reduce('prod', like(x, 1), [0]),
      g.reduce('max', g.expand(g.reshape(x, [1, SIZE]), [3, SIZE]), [0]),
      g.reduce('min', g.expand(g.reshape(x, [1, SIZE]), [3, SIZE]), [0, 1]),
    ],
  ],
  [powerOfTwoDivision, [bin('div', x, like(x, -8)), bin('div', x, like(x, 2 ** 120))]],
];

/** What looks as if it could go, but would change a value. */
const KEPT: readonly (readonly [Pass, readonly Node[]])[] = [
  [
    identities,
    [
      bin('add', x, like(x, 0)),
      bin('mul', x, like(x, 0)),
      bin('sub', x, x),
      bin('sub', like(x, 0), x),
      bin('div', x, x),
      un('neg', bin('sub', x, y)),
      bin('pow', x, like(x, 0.5)),
      bin('mul', un('sqrt', x), un('sqrt', x)),
      un('reciprocal', un('reciprocal', x)),
    ],
  ],
  [selections, [g.compare('eq', x, x), un('not', g.compare('lt', x, y)), g.compare('le', x, x)]],
  [
    exactCasts,
    [
      g.cast(g.cast(x, 'i32'), 'f32'),
      g.cast(g.cast(i, 'f32'), 'i32'),
      g.cast(g.cast(u, 'f64'), 'i32'),
      g.cast(g.cast(c, 'i8'), 'u8'),
      g.cast(g.cast(x, 'f16'), 'f32'),
    ],
  ],
  [
    joinedMovements,
    [
      g.pad(g.pad(x, [[1, 1]], 0), [[1, 1]], -0),
      g.shrink(g.pad(x, [[2, 3]], 1), [[1, SIZE]]),
      g.flip(x, [0]),
    ],
  ],
  [
    constantReductions,
    [
      g.reduce('sum', like(x, 0.1), [0]),
      g.reduce('sum', like(x, -0), [0]),
      g.reduce('sum', g.expand(g.reshape(x, [1, SIZE]), [3, SIZE]), [0]),
      g.reduce('prod', like(x, 2), [0]),
    ],
  ],
  [powerOfTwoDivision, [bin('div', x, like(x, 3)), bin('div', x, like(x, 2 ** -149))]],
];

describe('exact rewrites', () => {
  for (const [pass, nodes] of FEWER) {
    test.each(nodes.map((node) => [printExpression(node), node] as const))(
      `${pass.name}: %s is made simpler`,
      (_text, node) => {
        const after = rewritten(pass, node);
        expect(after).not.toBe(node);
        expect(size(after)).toBeLessThanOrEqual(size(node));
      },
    );
  }

  for (const [pass, nodes] of KEPT) {
    test.each(nodes.map((node) => [printExpression(node), node] as const))(
      `${pass.name}: %s stays`,
      (_text, node) => {
        expect(rewritten(pass, node)).toBe(node);
      },
    );
  }

  test.each(['lt', 'le'] as const)('selections: %s of bools is logic', (fn) => {
    expect(rewritten(selections, g.compare(fn, b, g.compare('lt', x, y))).op).toBe('binary');
    expect(rewritten(selections, g.compare(fn, g.compare('lt', x, y), b)).op).toBe('binary');
  });

  test('division of small floats by powers of two that have no inverse in their type stays', () => {
    const small = g.cast(x, 'f16');
    const node = bin('div', small, like(small, 2 ** 15));
    expect(rewritten(powerOfTwoDivision, node).op).toBe('binary');
    expect(constantValue(node.src[1])).toBe(2 ** 15);
  });

  const exact = PASSES.filter((pass) => pass !== stability);

  test.each(exact.map((pass) => [pass.name, pass] as const))(
    '%s keeps the bits of random graphs',
    (_name, pass) => keepsBits([pass]),
  );

  test('all of them together keep the bits of random graphs', () => keepsBits(exact));

  test('max, min, add and mul do not depend on the order of their operands', () => {
    for (const fn of ['max', 'min', 'add', 'mul'] satisfies BinaryFn[]) {
      const [one, other] = interpreted([bin(fn, x, y), bin(fn, y, x)], inputs, values);
      expect(one.data).toEqual(other.data);
    }
  });
});

function keepsBits(passes: readonly Pass[]): void {
  fc.assert(
    fc.property(anyTypedRecipe, (recipe) => {
      const { inputs: own, outputs, values: data } = buildTypedGraph(recipe);
      const after = rewriteGraph(outputs, passes);
      const results = interpreted([...outputs, ...after], own, data);
      outputs.forEach((node, n) => {
        const [before, now] = [results[n], results[n + outputs.length]];
        expect(now.dtype).toBe(before.dtype);
        const wrong = before.data.findIndex((v, at) => !Object.is(v, now.data[at]));
        expect(wrong, `${printExpression(node)} became ${printExpression(after[n])}`).toBe(-1);
      });
    }),
    { numRuns: 150 },
  );
}
