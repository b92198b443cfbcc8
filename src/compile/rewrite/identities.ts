import { DTYPES, isFloat } from '../../ir/dtype.ts';
import { binary, unary } from '../../ir/graph/build.ts';
import { reduceIdentity } from '../../ir/graph/ops/reduce.ts';
import type { Node, NodeOf, UnaryFn } from '../../ir/graph/types.ts';
import { constantLike, constantValue } from './constants.ts';
import type { Pass } from './pass.ts';

/**
 * x * 1, x - 0, -(-x), x + (-y), |-x|, max(x, x) and the like: only what is exact for every x. So
 * x + 0 stays (-0 + 0 is 0), and so does x * 0 of floats (infinity * 0 is NaN).
 */
export const identities: Pass = {
  name: 'identities',
  start: () => (node) => {
    switch (node.op) {
      case 'unary':
        return ofUnary(node);
      case 'binary':
        return ofBinary(node);
      default:
        return node;
    }
  },
};

/** The operand of a given function, where the node is that. */
function operandOf(node: Node, fn: UnaryFn): Node | undefined {
  return node.op === 'unary' && node.arg.fn === fn ? node.src[0] : undefined;
}

const IDEMPOTENT: ReadonlySet<UnaryFn> = new Set<UnaryFn>([
  'abs',
  'sign',
  'floor',
  'ceil',
  'round',
  'trunc',
]);

function ofUnary(node: Node & NodeOf<'unary'>): Node {
  const [x] = node.src;
  const { fn } = node.arg;
  if (IDEMPOTENT.has(fn) && operandOf(x, fn)) return x;
  const negated = operandOf(x, 'neg');
  if (!negated) return node;
  if (fn === 'neg') return negated;
  return fn === 'abs' ? unary('abs', negated) : node;
}

function ofBinary(node: Node & NodeOf<'binary'>): Node {
  const [x, y] = node.src;
  switch (node.arg.fn) {
    case 'add':
      return ofSum(node, x, y);
    case 'sub':
      return ofDifference(node, x, y);
    case 'mul':
      return ofProduct(node, x, y);
    case 'div':
      return ofQuotient(node, x, y);
    case 'pow':
      return ofPower(node, x, y);
    case 'max':
    case 'min':
      return ofExtreme(node, x, y);
    default:
      return node;
  }
}

/** The number that added changes nothing: 0, but of floats -0. */
function isNeutral(value: number | undefined, { dtype }: Node): boolean {
  return isFloat(dtype) ? Object.is(value, -0) : value === 0;
}

function ofSum(node: Node, x: Node, y: Node): Node {
  if (isNeutral(constantValue(y), node)) return x;
  if (isNeutral(constantValue(x), node)) return y;
  const [minusX, minusY] = [operandOf(x, 'neg'), operandOf(y, 'neg')];
  if (minusY) return binary('sub', x, minusY);
  return minusX ? binary('sub', y, minusX) : node;
}

function ofDifference(node: Node, x: Node, y: Node): Node {
  const { kind } = DTYPES[node.dtype];
  if (Object.is(constantValue(y), 0)) return x;
  if (kind !== 'uint' && isNeutral(constantValue(x), node)) return unary('neg', y);
  if (x === y && kind !== 'float') return constantLike(node, 0);
  const minusY = operandOf(y, 'neg');
  return minusY ? binary('add', x, minusY) : node;
}

function ofProduct(node: Node, x: Node, y: Node): Node {
  const { kind } = DTYPES[node.dtype];
  for (const [factor, other] of [
    [constantValue(x), y],
    [constantValue(y), x],
  ] as const) {
    if (factor === 1) return other;
    if (factor === 0 && kind !== 'float') return constantLike(node, 0);
    if (factor === -1 && kind !== 'uint') return negated(other);
    const inner = factor === undefined ? undefined : operandOf(other, 'neg');
    if (inner) return binary('mul', inner, constantLike(node, -(factor as number)));
  }
  return withoutSigns(node, 'mul', x, y);
}

function negated(x: Node): Node {
  return operandOf(x, 'neg') ?? unary('neg', x);
}

/** (-x) (-y) = x y, (-x) / (-y) = x / y, |x| |x| = x x. */
function withoutSigns(node: Node, fn: 'mul' | 'div', x: Node, y: Node): Node {
  const [minusX, minusY] = [operandOf(x, 'neg'), operandOf(y, 'neg')];
  if (minusX && minusY) return binary(fn, minusX, minusY);
  const bare = x === y ? operandOf(x, 'abs') : undefined;
  return bare && fn === 'mul' ? binary(fn, bare, bare) : node;
}

function ofQuotient(node: Node, x: Node, y: Node): Node {
  const divisor = constantValue(y);
  if (divisor === 1) return x;
  if (!isFloat(node.dtype)) return node;
  return divisor === -1 ? negated(x) : withoutSigns(node, 'div', x, y);
}

/** Powers that one correctly rounded operation computes; those of other types are rounded twice. */
function ofPower(node: Node, x: Node, y: Node): Node {
  const exponent = constantValue(y);
  if (exponent === 0 || constantValue(x) === 1) return constantLike(node, 1);
  if (exponent === 1) return x;
  if (node.dtype !== 'f32') return node;
  if (exponent === 2) return binary('mul', x, x);
  return exponent === -1 ? unary('reciprocal', x) : node;
}

function ofExtreme(node: Node & NodeOf<'binary'>, x: Node, y: Node): Node {
  if (x === y) return x;
  const fn = node.arg.fn as 'max' | 'min';
  const [a, b] = [constantValue(x), constantValue(y)];
  const lowest = reduceIdentity(fn, node.dtype);
  if (Object.is(b, lowest)) return x;
  if (Object.is(a, lowest)) return y;
  // max(max(x, a), b) has one bound, the larger of both.
  const inner = b !== undefined && x.op === 'binary' && x.arg.fn === fn ? x : undefined;
  const bound = inner && constantValue(inner.src[1]);
  if (!inner || bound === undefined) return node;
  return binary(fn, inner.src[0], constantLike(node, Math[fn](bound, b as number)));
}
