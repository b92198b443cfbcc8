import { isFloat } from '../../ir/dtype.ts';
import { binary, compare, constLike, expand, reduce, unary, where } from '../../ir/graph/build.ts';
import type { Node, NodeOf, UnaryFn } from '../../ir/graph/types.ts';
import { constantValue } from './constants.ts';
import type { Pass } from './pass.ts';

/**
 * Formulas that lose digits, or overflow on the way, become those that do not: log(1 + x), log(1 - x),
 * exp(x) - 1, log(sigmoid(x)), log(softmax(x)), log(sum(exp(x))). The results are closer to the
 * formula's value in exact arithmetic, and the same for NaN and for infinities that it has; a zero
 * may have the sign of x.
 */
export const stability: Pass = {
  name: 'stability',
  start: () => (node) => {
    if (!isFloat(node.dtype)) return node;
    if (node.op === 'unary' && node.arg.fn === 'log') return ofLog(node);
    return node.op === 'binary' ? ofExpLess1(node) : node;
  },
};

function operandOf(node: Node, fn: UnaryFn): Node | undefined {
  return node.op === 'unary' && node.arg.fn === fn ? node.src[0] : undefined;
}

function ofLog(node: Node): Node {
  const [x] = node.src;
  if (x.op === 'binary') {
    const [a, b] = x.src;
    if (x.arg.fn === 'add' && constantValue(b) === 1) return unary('log1p', a);
    if (x.arg.fn === 'add' && constantValue(a) === 1) return unary('log1p', b);
    if (x.arg.fn === 'sub' && constantValue(a) === 1) return unary('log1p', unary('neg', b));
    return x.arg.fn === 'div' ? (logOfSoftmax(a, b) ?? node) : node;
  }
  if (x.op === 'reduce') return logOfSum(x) ?? node;
  const inner = operandOf(x, 'sigmoid');
  return inner ? logOfSigmoid(inner) : node;
}

function ofExpLess1(node: Node & NodeOf<'binary'>): Node {
  const [x, y] = node.src;
  const { fn } = node.arg;
  const [left, right] = [operandOf(x, 'exp'), operandOf(y, 'exp')];
  if (left && fn === 'sub' && constantValue(y) === 1) return unary('expm1', left);
  if (left && fn === 'add' && constantValue(y) === -1) return unary('expm1', left);
  return right && fn === 'add' && constantValue(x) === -1 ? unary('expm1', right) : node;
}

/** min(x, 0) - log(1 + exp(-|x|)): the sigmoid is 0 below -104, its logarithm is x. */
function logOfSigmoid(x: Node): Node {
  const rest = unary('log1p', unary('exp', unary('neg', unary('abs', x))));
  return binary('sub', binary('min', x, constLike(x, 0)), rest);
}

/** e / sum(e) with e = exp(x - max(x)): its logarithm is x - max(x) - log(sum(e)). */
function logOfSoftmax(e: Node, divisor: Node): Node | undefined {
  const shifted = operandOf(e, 'exp');
  if (!shifted || divisor.op !== 'expand') return undefined;
  const [sum] = divisor.src;
  if (sum.op !== 'reduce' || sum.arg.fn !== 'sum' || sum.src[0] !== e) return undefined;
  if (!isShifted(shifted)) return undefined;
  return binary('sub', shifted, expand(unary('log', sum), e.shape));
}

/** x - max(x): no sum of its exponentials overflows, and none is 0. */
function isShifted(node: Node): boolean {
  if (node.op !== 'binary' || node.arg.fn !== 'sub') return false;
  const [x, top] = node.src;
  if (top.op !== 'expand') return false;
  const [most] = top.src;
  return most.op === 'reduce' && most.arg.fn === 'max' && most.src[0] === x;
}

/** m + log(sum(exp(x - m))) with m = max(x), but 0 where that is infinite. */
function logOfSum(sum: NodeOf<'reduce'>): Node | undefined {
  const x = sum.arg.fn === 'sum' ? operandOf(sum.src[0], 'exp') : undefined;
  // A difference has been shifted already, by whoever wrote it.
  if (!x || (x.op === 'binary' && x.arg.fn === 'sub')) return undefined;
  const { axes } = sum.arg;
  const top = reduce('max', x, axes);
  const bounded = compare('lt', unary('abs', top), constLike(top, Number.POSITIVE_INFINITY));
  const m = where(bounded, top, constLike(top, 0));
  const terms = unary('exp', binary('sub', x, expand(m, x.shape)));
  return binary('add', unary('log', reduce('sum', terms, axes)), m);
}
