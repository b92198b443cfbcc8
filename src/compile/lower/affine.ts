import type { Node } from '../../ir/graph/types.ts';
import { add, constant, type Index, mul, sub, varIndex } from '../../ir/kernel/index-expr.ts';
import type { Mask } from '../../ir/kernel/types.ts';
import { proveNonNegative } from '../../ir/kernel/verify-bounds.ts';
import { pushIndex } from './movement.ts';

/**
 * What a node of integers holds at a place, where that is a sum of places, constants and vars: such
 * an index reads no memory, and its bounds can be proven. Undefined for any other node.
 */
export function affineIndex(node: Node, at: readonly Index[]): Index | undefined {
  if (node.dtype !== 'i32') return undefined;
  switch (node.op) {
    case 'const':
      return constant(node.arg.value);
    case 'var':
      return varIndex(node.arg.variable);
    case 'iota':
      return at[0];
    case 'reshape':
    case 'permute':
    case 'expand':
    case 'shrink':
    case 'flip':
      return affineIndex(node.src[0], pushIndex(node, at).index);
    case 'binary': {
      const [x, y] = node.src.map((source) => affineIndex(source, at));
      if (!x || !y) return undefined;
      if (node.arg.fn === 'add') return add(x, y);
      if (node.arg.fn === 'sub') return sub(x, y);
      return node.arg.fn === 'mul' && y.isConstant ? mul(x, y.constant) : undefined;
    }
    default:
      return undefined;
  }
}

/** The same where it is proven, under a mask, to be one of 0 .. size - 1: it then needs no check. */
export function provenIndex(
  node: Node,
  at: readonly Index[],
  size: number,
  mask: Mask = [],
): Index | undefined {
  const index = affineIndex(node, at);
  if (!index) return undefined;
  const room = sub(constant(size - 1), index);
  return proveNonNegative(index, mask) && proveNonNegative(room, mask) ? index : undefined;
}
