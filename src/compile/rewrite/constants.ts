import { roundTo } from '../../ir/float-formats.ts';
import { full, scalar } from '../../ir/graph/build.ts';
import type { Node } from '../../ir/graph/types.ts';

/** The value of a constant array (a scalar, moved in whatever way), or undefined. */
export function constantValue(node: Node): number | undefined {
  switch (node.op) {
    case 'const':
      return node.arg.value;
    case 'reshape':
    case 'expand':
    case 'permute':
    case 'flip':
    case 'shrink':
      return constantValue(node.src[0]);
    case 'pad': {
      const inner = constantValue(node.src[0]);
      return Object.is(inner, node.arg.value) ? inner : undefined;
    }
    default:
      return undefined;
  }
}

/** A constant of the node's type and shape, rounded to the type. */
export function constantLike(node: Node, value: number): Node {
  const rounded = roundTo(node.dtype, value);
  return node.shape.length === 0
    ? scalar(rounded, node.dtype)
    : full(rounded, node.shape, node.dtype);
}
