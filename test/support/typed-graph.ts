import * as fc from 'fast-check';
import type { DType } from '../../src/ir/dtype.ts';
import { DTYPES, isFloat } from '../../src/ir/dtype.ts';
import { roundTo } from '../../src/ir/float-formats.ts';
import * as g from '../../src/ir/graph/build.ts';
import { interpretGraph } from '../../src/ir/graph/interpret.ts';
import type {
  BinaryFn,
  CompareFn,
  NdArray,
  Node,
  ReduceFn,
  UnaryFn,
} from '../../src/ir/graph/types.ts';

/**
 * Random graphs over all kinds of types and over the values at which identities break: both zeros,
 * infinities, NaN, the ends of ranges. Nothing in them is rounded in two ways, so two graphs of one
 * meaning give the same bits.
 */
export interface TypedRecipe {
  readonly seed: number;
  readonly steps: readonly { op: number; a: number; b: number; c: number }[];
}

const natural = fc.nat({ max: 10_000 });

export const anyTypedRecipe: fc.Arbitrary<TypedRecipe> = fc.record({
  seed: natural,
  steps: fc.array(fc.record({ op: natural, a: natural, b: natural, c: natural }), {
    minLength: 2,
    maxLength: 16,
  }),
});

export const SPECIAL: readonly number[] = [
  0,
  -0,
  1,
  -1,
  2,
  0.5,
  -3.25,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.NaN,
  2 ** -149,
  -(2 ** -126),
  3.4028234663852886e38,
  255,
  -128,
  2 ** 31,
  0.1,
  -7,
];

/** Values of a type, those of SPECIAL among them. */
export function specialValues(dtype: DType, size: number, seed: number): Float64Array {
  const { kind } = DTYPES[dtype];
  return Float64Array.from({ length: size }, (_, i) => {
    const value = SPECIAL[(i * 7 + seed) % SPECIAL.length];
    if (kind === 'float') return roundTo(dtype, value);
    return roundTo(dtype, Number.isFinite(value) ? Math.trunc(value % 2 ** 33) : i);
  });
}

const SHAPE = [3, 6];
const TYPES: readonly DType[] = ['f32', 'f32', 'i32', 'u32', 'u8', 'i8', 'bool'];
const FLOAT_UNARY: readonly UnaryFn[] = ['neg', 'abs', 'sign', 'floor', 'ceil', 'round', 'trunc'];
const FLOAT_BINARY: readonly BinaryFn[] = ['add', 'sub', 'mul', 'div', 'max', 'min', 'pow'];
const INT_BINARY: readonly BinaryFn[] = ['add', 'sub', 'mul', 'max', 'min', 'and', 'or', 'xor'];
const COMPARISONS: readonly CompareFn[] = ['eq', 'ne', 'lt', 'le'];
const REDUCTIONS: readonly ReduceFn[] = ['max', 'min', 'sum', 'prod'];
const CONSTANTS = [0, -0, 1, -1, 2, 0.5, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 4];
const EXPONENTS = [0, 1, 2, -1];

const pick = <T>(list: readonly T[], c: number): T => list[c % list.length];

function constant(dtype: DType, c: number): Node {
  const value = pick(CONSTANTS, c);
  const usable = isFloat(dtype) || Number.isFinite(value) ? value : 1;
  return g.full(roundTo(dtype, Math.trunc(usable) || usable), SHAPE, dtype);
}

type Step = (x: Node, nodes: readonly Node[], b: number, c: number) => Node;

/** Another node of the type, or now and then a constant. */
function partner(x: Node, nodes: readonly Node[], b: number, c: number): Node {
  if (b % 3 === 0) return constant(x.dtype, c);
  const same = nodes.filter((n) => n.dtype === x.dtype);
  return pick(same, b);
}

const STEPS: readonly Step[] = [
  (x, _n, b) => {
    const { kind } = DTYPES[x.dtype];
    if (kind === 'float') return g.unary(pick(FLOAT_UNARY, b), x);
    if (kind === 'int') return g.unary(pick<UnaryFn>(['neg', 'abs', 'not', 'sign'], b), x);
    return g.unary('not', x);
  },
  (x, nodes, b, c) => {
    const { kind } = DTYPES[x.dtype];
    const logic: readonly BinaryFn[] = ['and', 'or', 'xor'];
    const fns = kind === 'float' ? FLOAT_BINARY : kind === 'bool' ? logic : INT_BINARY;
    const fn = pick(fns, c);
    if (fn === 'pow') return g.binary(fn, x, g.full(pick(EXPONENTS, b), SHAPE, x.dtype));
    const y = partner(x, nodes, b, c >> 3);
    return b % 2 === 0 ? g.binary(fn, x, y) : g.binary(fn, y, x);
  },
  (x, nodes, b, c) => {
    const y = partner(x, nodes, b, c >> 2);
    return b % 2 === 0
      ? g.compare(pick(COMPARISONS, c), x, y)
      : g.compare(pick(COMPARISONS, c), y, x);
  },
  (x, nodes, b, c) => {
    const condition = pick(
      nodes.filter((n) => n.dtype === 'bool'),
      c,
    );
    const y = partner(x, nodes, b, c >> 2);
    return c % 2 === 0 ? g.where(condition, x, y) : g.where(condition, y, x);
  },
  (x, _n, b) => g.cast(x, pick(TYPES, b)),
  (x, nodes, b, c) => moved(x, nodes, b, c),
  (x, _n, b, c) => {
    if (x.dtype === 'bool') return x;
    // A sum of random floats depends on its order; extremes do not.
    const fn = pick(isFloat(x.dtype) ? REDUCTIONS.slice(0, 2) : REDUCTIONS, b);
    const repeated =
      c % 3 === 0
        ? g.expand(
            g.shrink(x, [
              [0, 1],
              [0, 6],
            ]),
            SHAPE,
          )
        : x;
    return g.expand(g.reduce(fn, repeated, c % 2 === 0 ? [0] : [0, 1]), SHAPE);
  },
  (x, _n, b) => {
    if (x.dtype === 'bool') return x;
    const reduced = g.reduce(pick(REDUCTIONS, b), constant(x.dtype, b >> 2), [1]);
    return g.expand(reduced, SHAPE);
  },
];

/** Movements that end in the shape they began with, through forms that the builder does not see. */
function moved(x: Node, _nodes: readonly Node[], b: number, c: number): Node {
  const padding = roundTo(x.dtype, b % 2);
  const pads = [
    [1, b % 3],
    [0, 1],
  ] as const;
  switch (c % 6) {
    case 0:
      return g.flip(x, [b % 2]);
    case 1:
      return g.permute(g.reshape(g.permute(x, [1, 0]), [6, 3]), [1, 0]);
    case 2:
      return g.reshape(g.reshape(x, [18]), SHAPE);
    case 3:
      return g.shrink(g.pad(x, pads, padding), [
        [c % 2, 3],
        [0, 6],
      ]);
    case 4:
      return g.shrink(g.pad(g.pad(x, pads, padding), pads, padding), [
        [1 + (b % 2), 3],
        [0, 6],
      ]);
    default:
      return g.flip(
        g.makeNode('pad', [x], {
          pads: [
            [0, 0],
            [0, 0],
          ],
          value: 1,
        }),
        [0, 1],
      );
  }
}

export interface TypedGraph {
  readonly inputs: readonly g.BufferNode[];
  readonly outputs: readonly Node[];
  readonly values: readonly Float64Array[];
}

export function buildTypedGraph({ seed, steps }: TypedRecipe): TypedGraph {
  const inputs = TYPES.map((dtype, i) => g.bufferNode(dtype, SHAPE, `${dtype} ${i}`));
  const nodes: Node[] = [...inputs];
  for (const { op, a, b, c } of steps) {
    nodes.push(pick(STEPS, op)(pick(nodes, a), nodes, b, c));
  }
  return {
    inputs,
    outputs: nodes.slice(inputs.length),
    values: inputs.map(({ dtype }, i) => specialValues(dtype, 18, seed + i)),
  };
}

/** The outputs by the definition of every op. */
export function interpreted(
  outputs: readonly Node[],
  inputs: readonly g.BufferNode[],
  values: readonly Float64Array[],
): NdArray[] {
  const buffers = inputs.map(({ dtype, shape, arg }, i): [number, NdArray] => [
    arg.id,
    { dtype, shape: shape as readonly number[], data: values[i] },
  ]);
  return interpretGraph(outputs, new Map(buffers));
}
