import type { Node } from '../../ir/graph/types.ts';
import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import { add, div, type Index, mod, mul, sub, ZERO } from '../../ir/kernel/index-expr.ts';
import type { KernelTarget, Mask } from '../../ir/kernel/types.ts';
import { maxDim, type Shape } from '../../ir/shape.ts';
import { dimIndex } from './movement.ts';

/**
 * The axis that vectors run along: the last, if it holds a whole vector. A quarter of one is enough
 * where the lanes beyond the end can be masked.
 */
export function vectorAxis(shape: Shape, { lanes, laneMasks }: KernelTarget): number {
  const least = laneMasks ? Math.max(2, lanes / 4) : lanes;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1) return maxDim(shape[axis]) >= least ? axis : -1;
  }
  return -1;
}

/**
 * Loops over all places of a shape. Along the vector axis whole vectors come first (the index then
 * holds the lane); what is left is one more vector under a mask where the target has such, else it
 * goes one by one. Lane 0 always lies inside.
 *
 * @param vector the axis of vectors, or -1 for none
 * @param outermost whether threads may share the turns of the outermost loop
 */
export function loopOver(
  b: KernelBuilder,
  shape: Shape,
  vector: number,
  outermost: 'thread' | 'serial',
  body: (index: readonly Index[], mask: Mask) => void,
): void {
  const shared = shape.findIndex((dim) => dim !== 1);
  const descend = (axis: number, index: readonly Index[], mask: Mask): void => {
    if (axis === shape.length) {
      body(index, mask);
      return;
    }
    const dim = shape[axis];
    const kind = axis === shared ? outermost : 'serial';
    if (dim === 1) {
      descend(axis + 1, [...index, ZERO], mask);
      return;
    }
    const size = dimIndex(dim);
    if (axis !== vector) {
      b.loop(size, kind, [], (i) => descend(axis + 1, [...index, i], mask));
      return;
    }
    const whole = div(size, b.lanes);
    b.loop(whole, kind, [], (i) =>
      descend(axis + 1, [...index, add(mul(i, b.lanes), b.laneIndex)], mask),
    );
    const after = mul(whole, b.lanes);
    const rest = mod(size, b.lanes);
    if (!b.target.laneMasks) {
      b.loop(rest, kind, [], (i) => descend(axis + 1, [...index, add(after, i)], mask));
      return;
    }
    b.loop(div(add(rest, b.lanes - 1), b.lanes), kind, [], (i) => {
      const place = add(add(after, mul(i, b.lanes)), b.laneIndex);
      // Of a static size this is the only turn: the mask is then a constant, while the place keeps
      // the loop, so that what is read stays in it, beside the store that may go to the same memory.
      const end = rest.isConstant ? sub(rest, b.laneIndex) : sub(size, place);
      descend(axis + 1, [...index, place], [...mask, sub(end, 1)]);
    });
  };
  descend(0, [], []);
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
