import type { Node } from '../../ir/graph/types.ts';
import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import { add, div, type Index, LANE, LANES, mod, mul, ZERO } from '../../ir/kernel/index-expr.ts';
import { maxDim, type Shape } from '../../ir/shape.ts';
import { dimIndex } from './movement.ts';

/** The axis that vectors run along: the last that holds a whole vector, if any. */
export function vectorAxis(shape: Shape): number {
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1) return maxDim(shape[axis]) >= LANES ? axis : -1;
  }
  return -1;
}

/**
 * Loops over all places of a shape. Along the vector axis whole vectors come first (the index then
 * holds the lane), what is left one by one.
 *
 * @param vector the axis of vectors, or -1 for none
 * @param outermost whether threads may share the turns of the outermost loop
 */
export function loopOver(
  b: KernelBuilder,
  shape: Shape,
  vector: number,
  outermost: 'thread' | 'serial',
  body: (index: readonly Index[]) => void,
): void {
  const shared = shape.findIndex((dim) => dim !== 1);
  const descend = (axis: number, index: readonly Index[]): void => {
    if (axis === shape.length) {
      body(index);
      return;
    }
    const dim = shape[axis];
    const kind = axis === shared ? outermost : 'serial';
    if (dim === 1) {
      descend(axis + 1, [...index, ZERO]);
      return;
    }
    const size = dimIndex(dim);
    if (axis !== vector) {
      b.loop(size, kind, [], (i) => descend(axis + 1, [...index, i]));
      return;
    }
    const whole = div(size, LANES);
    b.loop(whole, kind, [], (i) => descend(axis + 1, [...index, add(mul(i, LANES), LANE)]));
    b.loop(mod(size, LANES), kind, [], (i) =>
      descend(axis + 1, [...index, add(mul(whole, LANES), i)]),
    );
  };
  descend(0, []);
}

/** True when every node that the roots compute lies on their own places: the shape may be flat. */
export function isFlat(roots: readonly Node[], hasBuffer: (node: Node) => boolean): boolean {
  const seen = new Set<number>();
  const flat = (node: Node): boolean => {
    if (seen.has(node.id)) return true;
    seen.add(node.id);
    if (hasBuffer(node) && !roots.includes(node)) return node.shape.length > 0;
    switch (node.op) {
      case 'unary':
      case 'binary':
      case 'compare':
      case 'where':
      case 'cast':
      case 'bitcast':
        return node.src.every(flat);
      case 'expand':
        return isSingle(node);
      default:
        return false;
    }
  };
  return roots.every(flat);
}

/** A scalar (one element in all) repeated. */
function isSingle(node: Node): boolean {
  return node.src[0].shape.every((dim) => dim === 1);
}
