import type { DType } from '../../ir/dtype.ts';
import { isSmallFloat } from '../../ir/float-formats.ts';
import type { BinaryFn, Node, UnaryFn } from '../../ir/graph/types.ts';
import { type KernelBuilder, valueDType } from '../../ir/kernel/builder.ts';
import type { Value } from '../../ir/kernel/types.ts';
import { decodeSmall, encodeSmall, roundSmall } from './math/small-floats.ts';

/** Functions whose result is a number of the operands' format. */
const KEEPS_FORMAT: ReadonlySet<UnaryFn | BinaryFn> = new Set([
  'neg',
  'abs',
  'sign',
  'floor',
  'ceil',
  'round',
  'trunc',
  'max',
  'min',
  'rem',
]);

/** True when a register may hold more of a node's value than the node's type does. */
export function mustNarrow(node: Node): boolean {
  const small = isSmallFloat(node.dtype);
  if (!small && node.dtype !== 'i8' && node.dtype !== 'u8') return false;
  switch (node.op) {
    case 'unary':
    case 'binary':
      return !(small && KEEPS_FORMAT.has(node.arg.fn));
    case 'cast':
    case 'reduce':
    case 'dot':
      return true;
    default:
      return false;
  }
}

/** Rounds a small float in its register; 8-bit integers are held in 32 bits and wrap. */
export function narrowed(b: KernelBuilder, dtype: DType, x: Value): Value {
  if (isSmallFloat(dtype)) return roundSmall(b, dtype, x);
  if (dtype === 'u8') return b.binary('and', x, b.const('u32', 255));
  if (dtype !== 'i8') return x;
  const bits = b.const('i32', 24);
  return b.binary('shr', b.binary('shl', x, bits), bits);
}

/** The same bits read as another type: registers hold small floats widened. */
export function lowerBitcast(b: KernelBuilder, x: Value, from: DType, to: DType): Value {
  const bits = isSmallFloat(from) ? encodeSmall(b, from, x) : x;
  if (!isSmallFloat(to)) return narrowed(b, to, b.bitcast(bits, valueDType(to)));
  return decodeSmall(b, to, b.bitcast(bits, 'i32'));
}
