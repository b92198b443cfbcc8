import { badArgument } from '../../../base/errors.ts';
import { type DType, isFloat } from '../../dtype.ts';
import { roundTo } from '../../float-formats.ts';
import { formatShape, sizeOf } from '../../shape.ts';
import { BINARY, REDUCE } from '../functions.ts';
import type { Build, Node, NodeOf, OpRule, ScanFn } from '../types.ts';
import { reduceIdentity } from './reduce.ts';

/** The value a scan starts from. */
export function scanIdentity(fn: ScanFn, dtype: DType): number {
  return fn === 'logaddexp' ? Number.NEGATIVE_INFINITY : reduceIdentity(fn, dtype);
}

/** log(e^x + e^y), without overflow. */
function logAddExp(x: number, y: number): number {
  const top = Math.max(x, y);
  if (!Number.isFinite(top)) return top;
  return top + Math.log1p(Math.exp(Math.min(x, y) - top));
}

/** The scan from the other end: element i joins i and all behind it. */
function reversed(b: Build, fn: ScanFn, x: Node, axis: number): Node {
  return b.flip(b.scan(fn, b.flip(x, [axis]), axis), [axis]);
}

/**
 * For each place of a running maximum or minimum, the last place up to it that holds the extreme
 * (a NaN holds itself), as i32.
 */
export function extremePlaces(b: Build, x: Node, out: Node, axis: number): Node {
  const shape = x.shape.map((dim, i) => (i === axis ? dim : 1));
  const places = b.expand(b.reshape(b.iota(x.shape[axis]), shape), x.shape);
  const bothNaN = b.binary('and', b.compare('ne', x, x), b.compare('ne', out, out));
  const holds = b.binary('or', b.compare('eq', x, out), bothNaN);
  return b.scan('max', b.where(holds, places, b.constLike(places, 0)), axis);
}

/**
 * Not reverse(g out) / x alone: a zero among the factors takes the products without it, and what
 * comes behind the first zero cannot change a product any more.
 */
function productGradient(b: Build, g: Node, x: Node, out: Node, axis: number): Node {
  const zero = b.constLike(x, 0);
  const one = b.constLike(x, 1);
  const isZero = b.compare('eq', x, zero);
  const count = b.scan('sum', b.cast(isZero, 'i32'), axis);
  const none = b.compare('eq', count, b.constLike(count, 0));
  const first = b.binary('and', isZero, b.compare('eq', count, b.constLike(count, 1)));
  const total = reversed(b, 'sum', b.binary('mul', g, out), axis);
  const before = b.binary('div', total, b.where(isZero, one, x));
  const withoutFirst = b.scan('prod', b.where(first, one, x), axis);
  const at = reversed(b, 'sum', b.binary('mul', g, withoutFirst), axis);
  return b.where(none, before, b.where(first, at, zero));
}

/**
 * The sum of g_j e^(x_i - out_j) over j >= i, in logarithms: the factors alone would overflow.
 * Positive and negative parts of g go separately; places where nothing has come yet have no share.
 */
function logAddExpGradient(b: Build, g: Node, x: Node, out: Node, axis: number): Node {
  const zero = b.constLike(g, 0);
  const lowest = b.constLike(g, Number.NEGATIVE_INFINITY);
  const reached = b.compare('lt', lowest, out);
  const part = (positive: Node): Node => {
    const weight = b.where(positive, g, b.constLike(g, 1));
    const log = b.binary('sub', b.unary('log', b.unary('abs', weight)), out);
    const terms = b.where(b.binary('and', positive, reached), log, lowest);
    return b.unary('exp', b.binary('add', reversed(b, 'logaddexp', terms, axis), x));
  };
  return b.binary('sub', part(b.compare('lt', zero, g)), part(b.compare('lt', g, zero)));
}

function gradientOf(b: Build, node: NodeOf<'scan'>, g: Node): Node {
  const [x] = node.src;
  const { fn, axis } = node.arg;
  const out = node as Node;
  switch (fn) {
    case 'sum':
      return reversed(b, 'sum', g, axis);
    case 'prod':
      return productGradient(b, g, x, out, axis);
    case 'max':
    case 'min':
      return b.scatter(b.constLike(x, 0), extremePlaces(b, x, out, axis), g, axis, 'add');
    case 'logaddexp':
      return logAddExpGradient(b, g, x, out, axis);
    default:
      return fn satisfies never;
  }
}

export const scan: OpRule<'scan'> = {
  infer([x], { fn, axis }) {
    if (x.dtype === 'bool')
      throw new TypeError(`scan ${fn}: operand is bool; expected numbers (cast first)`);
    if (fn === 'logaddexp' && !isFloat(x.dtype))
      throw new TypeError(`scan ${fn}: operand is ${x.dtype}; expected floats (cast first)`);
    if (x.shape[axis] === undefined)
      throw badArgument(`scan ${fn}`, 'axis', axis, `an axis of ${formatShape(x.shape)}`);
    return { dtype: x.dtype, shape: x.shape };
  },
  gradient: (b, node, g) => [gradientOf(b, node, g)],
  batch: (b, node, [x]) => b.scan(node.arg.fn, x, node.arg.axis + 1),
  interpret(node, [x], shape) {
    const { fn, axis } = node.arg;
    const integer = !isFloat(node.dtype);
    const combine = fn === 'logaddexp' ? logAddExp : BINARY[REDUCE[fn].combine].evaluate;
    const inner = sizeOf(shape.slice(axis + 1));
    const row = shape[axis] * inner;
    const out = new Float64Array(x.data.length);
    for (let start = 0; start < out.length; start += row) {
      for (let column = 0; column < inner; column++) {
        let sum = scanIdentity(fn, node.dtype);
        for (let i = start + column; i < start + row; i += inner) {
          sum = combine(sum, x.data[i], integer);
          // Integers wrap at every step: in a double they would lose their last bits.
          if (integer) sum = roundTo(node.dtype, sum);
          out[i] = sum;
        }
      }
    }
    return out;
  },
};
