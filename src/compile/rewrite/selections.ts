import { DTYPES, isFloat } from '../../ir/dtype.ts';
import { roundTo } from '../../ir/float-formats.ts';
import { binary, compare, unary, where } from '../../ir/graph/build.ts';
import type { Node, NodeOf } from '../../ir/graph/types.ts';
import { constantLike, constantValue } from './constants.ts';
import type { Pass } from './pass.ts';

/** Choices that are decided, comparisons of a thing with itself, logic with known operands. */
export const selections: Pass = {
  name: 'selections',
  start: () => (node) => {
    switch (node.op) {
      case 'where':
        return ofWhere(node);
      case 'compare':
        return ofCompare(node);
      case 'unary':
        return node.arg.fn === 'not' ? ofNot(node) : node;
      case 'binary':
        return ofLogic(node);
      default:
        return node;
    }
  },
};

function operandOfNot(node: Node): Node | undefined {
  return node.op === 'unary' && node.arg.fn === 'not' ? node.src[0] : undefined;
}

function ofWhere(node: Node & NodeOf<'where'>): Node {
  const [condition, x, y] = node.src;
  if (x === y) return x;
  const known = constantValue(condition);
  if (known !== undefined) return known !== 0 ? x : y;
  const opposite = operandOfNot(condition);
  if (opposite) return where(opposite, y, x);
  // What the same condition chose before is known within its branches.
  if (x.op === 'where' && x.src[0] === condition) return where(condition, x.src[1], y);
  if (y.op === 'where' && y.src[0] === condition) return where(condition, x, y.src[2]);
  if (node.dtype !== 'bool') return node;
  const [a, b] = [constantValue(x), constantValue(y)];
  if (a === 1 && b === 0) return condition;
  return a === 0 && b === 1 ? unary('not', condition) : node;
}

function ofCompare(node: Node & NodeOf<'compare'>): Node {
  const [x, y] = node.src;
  const { fn } = node.arg;
  if (x === y) {
    if (fn === 'lt') return constantLike(node, 0);
    // A NaN is not equal to itself.
    if (!isFloat(x.dtype)) return constantLike(node, fn === 'ne' ? 0 : 1);
  }
  if (DTYPES[x.dtype].kind === 'uint') {
    if (fn === 'lt' && constantValue(y) === 0) return constantLike(node, 0);
    if (fn === 'le' && constantValue(x) === 0) return constantLike(node, 1);
  }
  if (fn === 'eq' || fn === 'ne') return ofFlag(node, fn);
  // The order of bools is logic, which kernels have; false is less than true.
  if (x.dtype !== 'bool') return node;
  return binary(fn === 'lt' ? 'and' : 'or', unary('not', x), y);
}

/** A bool turned into a number and compared with 0 or 1 is the bool or its opposite. */
function ofFlag(node: Node, fn: 'eq' | 'ne'): Node {
  const [x, y] = node.src;
  const value = constantValue(y);
  if (x.op !== 'cast' || x.src[0].dtype !== 'bool' || (value !== 0 && value !== 1)) return node;
  const [flag] = x.src;
  return (fn === 'eq') === (value === 1) ? flag : unary('not', flag);
}

function ofNot(node: Node): Node {
  const [x] = node.src;
  const inner = operandOfNot(x);
  if (inner) return inner;
  if (x.op !== 'compare') return node;
  const [a, b] = x.src;
  switch (x.arg.fn) {
    case 'eq':
      return compare('ne', a, b);
    case 'ne':
      return compare('eq', a, b);
    // With a NaN neither x < y nor y <= x holds.
    case 'lt':
      return isFloat(a.dtype) ? node : compare('le', b, a);
    case 'le':
      return isFloat(a.dtype) ? node : compare('lt', b, a);
    default:
      return x.arg.fn satisfies never;
  }
}

function ofLogic(node: Node & NodeOf<'binary'>): Node {
  const [x, y] = node.src;
  const { fn } = node.arg;
  if (fn === 'shl' || fn === 'shr') return constantValue(y) === 0 ? x : node;
  if (fn !== 'and' && fn !== 'or' && fn !== 'xor') return node;
  if (x === y) return fn === 'xor' ? constantLike(node, 0) : x;
  const ones = roundTo(node.dtype, -1);
  for (const [value, other] of [
    [constantValue(x), y],
    [constantValue(y), x],
  ] as const) {
    if (value === 0) return fn === 'and' ? constantLike(node, 0) : other;
    if (value !== ones) continue;
    if (fn === 'xor') return unary('not', other);
    return fn === 'and' ? other : constantLike(node, ones);
  }
  return node;
}
