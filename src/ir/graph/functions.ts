import type { DTypeKind } from '../dtype.ts';
import type { Arithmetic } from './arithmetic.ts';
import { erf, roundEven } from './special.ts';
import type { BinaryFn, Build, CompareFn, Node, ReduceFn, UnaryFn } from './types.ts';

/**
 * The scalar functions: operand kinds, meaning (in double precision) and derivative, one entry
 * each. Adding a function means adding an entry here and its expansion in compile/lower.
 */
interface UnaryRule {
  readonly kinds: readonly DTypeKind[];
  readonly evaluate: (x: number) => number;
  /** d/dx times the upstream gradient; null where the derivative is zero everywhere. */
  readonly gradient: ((m: Arithmetic, g: Node, x: Node, y: Node) => Node) | null;
}

interface BinaryRule {
  readonly kinds: readonly DTypeKind[];
  readonly evaluate: (x: number, y: number, integer: boolean) => number;
  readonly gradient:
    | ((m: Arithmetic, g: Node, x: Node, y: Node, out: Node) => readonly [Node, Node])
    | null;
}

interface ReduceRule {
  readonly combine: BinaryFn;
  /** The value of an empty reduction; integers take the end of their range for infinity. */
  readonly identity: number;
  /** The upstream gradient `g` is already repeated to the shape of `x`. */
  readonly gradient: (b: Build, g: Node, x: Node, out: Node, axes: readonly number[]) => Node;
}

const FLOAT: readonly DTypeKind[] = ['float'];
const SIGNED: readonly DTypeKind[] = ['float', 'int'];
const NUMBER: readonly DTypeKind[] = ['float', 'int', 'uint'];
const BITS: readonly DTypeKind[] = ['int', 'uint', 'bool'];
const INTEGER: readonly DTypeKind[] = ['int', 'uint'];

export const UNARY: { readonly [F in UnaryFn]: UnaryRule } = {
  neg: { kinds: SIGNED, evaluate: (x) => -x, gradient: (m, g) => m.neg(g) },
  abs: {
    kinds: SIGNED,
    evaluate: Math.abs,
    gradient: (m, g, x) => m.mul(g, m.unary('sign', x)),
  },
  sign: {
    kinds: SIGNED,
    // +0 for both zeros; a NaN stays one, though PyTorch makes it 0.
    evaluate: (x) => (x > 0 ? 1 : x < 0 ? -1 : x === 0 ? 0 : x),
    gradient: null,
  },
  not: { kinds: BITS, evaluate: (x) => ~x, gradient: null },
  sqrt: {
    kinds: FLOAT,
    evaluate: Math.sqrt,
    gradient: (m, g, _x, y) => m.div(m.times(g, 0.5), y),
  },
  rsqrt: {
    kinds: FLOAT,
    evaluate: (x) => 1 / Math.sqrt(x),
    gradient: (m, g, _x, y) => m.mul(m.times(g, -0.5), m.mul(y, m.square(y))),
  },
  reciprocal: {
    kinds: FLOAT,
    evaluate: (x) => 1 / x,
    gradient: (m, g, _x, y) => m.neg(m.mul(g, m.square(y))),
  },
  exp: { kinds: FLOAT, evaluate: Math.exp, gradient: (m, g, _x, y) => m.mul(g, y) },
  exp2: {
    kinds: FLOAT,
    evaluate: (x) => 2 ** x,
    gradient: (m, g, _x, y) => m.mul(g, m.times(y, Math.LN2)),
  },
  expm1: { kinds: FLOAT, evaluate: Math.expm1, gradient: (m, g, _x, y) => m.mul(g, m.onePlus(y)) },
  log: { kinds: FLOAT, evaluate: Math.log, gradient: (m, g, x) => m.div(g, x) },
  log2: {
    kinds: FLOAT,
    evaluate: Math.log2,
    gradient: (m, g, x) => m.div(m.times(g, Math.LOG2E), x),
  },
  log1p: { kinds: FLOAT, evaluate: Math.log1p, gradient: (m, g, x) => m.div(g, m.onePlus(x)) },
  sin: { kinds: FLOAT, evaluate: Math.sin, gradient: (m, g, x) => m.mul(g, m.unary('cos', x)) },
  cos: {
    kinds: FLOAT,
    evaluate: Math.cos,
    gradient: (m, g, x) => m.neg(m.mul(g, m.unary('sin', x))),
  },
  tan: {
    kinds: FLOAT,
    evaluate: Math.tan,
    gradient: (m, g, _x, y) => m.mul(g, m.onePlus(m.square(y))),
  },
  atan: {
    kinds: FLOAT,
    evaluate: Math.atan,
    gradient: (m, g, x) => m.div(g, m.onePlus(m.square(x))),
  },
  tanh: {
    kinds: FLOAT,
    evaluate: Math.tanh,
    gradient: (m, g, _x, y) => m.mul(g, m.sub(m.like(y, 1), m.square(y))),
  },
  // An op of its own for its derivative: that of 1 / (1 + e^-x) is 0 times infinity far below 0.
  sigmoid: {
    kinds: FLOAT,
    evaluate: (x) => 1 / (1 + Math.exp(-x)),
    gradient: (m, g, _x, y) => m.mul(g, m.mul(y, m.sub(m.like(y, 1), y))),
  },
  erf: {
    kinds: FLOAT,
    evaluate: erf,
    gradient: (m, g, x) =>
      m.mul(g, m.times(m.unary('exp', m.neg(m.square(x))), 2 / Math.sqrt(Math.PI))),
  },
  floor: { kinds: FLOAT, evaluate: Math.floor, gradient: null },
  ceil: { kinds: FLOAT, evaluate: Math.ceil, gradient: null },
  round: { kinds: FLOAT, evaluate: roundEven, gradient: null },
  trunc: { kinds: FLOAT, evaluate: Math.trunc, gradient: null },
};

/** JavaScript's Math.max and Math.min already give NaN for NaN and order the zeros. */
export const BINARY: { readonly [F in BinaryFn]: BinaryRule } = {
  add: { kinds: NUMBER, evaluate: (x, y) => x + y, gradient: (_m, g) => [g, g] },
  sub: { kinds: NUMBER, evaluate: (x, y) => x - y, gradient: (m, g) => [g, m.neg(g)] },
  mul: {
    kinds: NUMBER,
    evaluate: (x, y, integer) => (integer ? Math.imul(x, y) : x * y),
    gradient: (m, g, x, y) => [m.mul(g, y), m.mul(g, x)],
  },
  div: {
    kinds: NUMBER,
    evaluate: (x, y, integer) => (integer ? (y === 0 ? 0 : Math.trunc(x / y)) : x / y),
    gradient: (m, g, _x, y, out) => [m.div(g, y), m.neg(m.div(m.mul(g, out), y))],
  },
  rem: {
    kinds: NUMBER,
    evaluate: (x, y, integer) => (integer && y === 0 ? 0 : x % y),
    gradient: (m, g, x, y) => [g, m.neg(m.mul(g, m.unary('trunc', m.div(x, y))))],
  },
  pow: {
    kinds: FLOAT,
    // IEEE: 1 to any power is 1, also -1 to infinity; JavaScript says NaN.
    evaluate: (x, y) =>
      x === 1 || (x === -1 && Math.abs(y) === Number.POSITIVE_INFINITY) ? 1 : x ** y,
    gradient: (m, g, x, y, out) => m.power(g, x, y, out),
  },
  atan2: {
    kinds: FLOAT,
    evaluate: Math.atan2,
    gradient: (m, g, x, y) => {
      const scaled = m.div(g, m.add(m.square(x), m.square(y)));
      return [m.mul(scaled, y), m.neg(m.mul(scaled, x))];
    },
  },
  max: {
    kinds: NUMBER,
    evaluate: (x, y) => Math.max(x, y),
    gradient: (m, g, x, y) => m.extreme('max', g, x, y),
  },
  min: {
    kinds: NUMBER,
    evaluate: (x, y) => Math.min(x, y),
    gradient: (m, g, x, y) => m.extreme('min', g, x, y),
  },
  and: { kinds: BITS, evaluate: (x, y) => x & y, gradient: null },
  or: { kinds: BITS, evaluate: (x, y) => x | y, gradient: null },
  xor: { kinds: BITS, evaluate: (x, y) => x ^ y, gradient: null },
  shl: { kinds: INTEGER, evaluate: (x, y) => x << y, gradient: null },
  shr: { kinds: INTEGER, evaluate: (x, y) => (x < 0 ? x >> y : x >>> y), gradient: null },
};

export const COMPARE: { readonly [F in CompareFn]: (x: number, y: number) => boolean } = {
  eq: (x, y) => x === y,
  ne: (x, y) => x !== y,
  lt: (x, y) => x < y,
  le: (x, y) => x <= y,
};

export const REDUCE: { readonly [F in ReduceFn]: ReduceRule } = {
  sum: { combine: 'add', identity: 0, gradient: (_b, g) => g },
  prod: { combine: 'mul', identity: 1, gradient: productGradient },
  max: { combine: 'max', identity: Number.NEGATIVE_INFINITY, gradient: extremesGradient },
  min: { combine: 'min', identity: Number.POSITIVE_INFINITY, gradient: extremesGradient },
};

/** Shared equally by the places that hold the extreme (a NaN holds itself). */
function extremesGradient(b: Build, g: Node, x: Node, out: Node, axes: readonly number[]): Node {
  const top = b.expand(out, x.shape);
  const bothNaN = b.binary('and', b.compare('ne', x, x), b.compare('ne', top, top));
  const holds = b.cast(b.binary('or', b.compare('eq', x, top), bothNaN), x.dtype);
  const count = b.expand(b.reduce('sum', holds, axes), x.shape);
  return b.binary('div', b.binary('mul', g, holds), count);
}

/** Not out / x: a single zero among the factors still has the product of the others. */
function productGradient(b: Build, g: Node, x: Node, _out: Node, axes: readonly number[]): Node {
  const zero = b.constLike(x, 0);
  const one = b.constLike(x, 1);
  const isZero = b.compare('eq', x, zero);
  const repeated = (fn: ReduceFn, y: Node) => b.expand(b.reduce(fn, y, axes), x.shape);
  const zeros = repeated('sum', b.cast(isZero, x.dtype));
  const rest = repeated('prod', b.where(isZero, one, x));
  const withoutZeros = b.binary('div', rest, b.where(isZero, one, x));
  const withOneZero = b.where(isZero, rest, zero);
  const several = b.where(b.compare('eq', zeros, one), withOneZero, zero);
  return b.binary('mul', g, b.where(b.compare('eq', zeros, zero), withoutZeros, several));
}
