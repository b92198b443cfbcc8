import type { Node } from '../../ir/graph/types.ts';
import { isStatic, maxDim } from '../../ir/shape.ts';
import { constantValue } from '../rewrite/constants.ts';

/** Tensors that lie one behind the other along an axis. */
export interface ConcatParts {
  readonly axis: number;
  readonly parts: readonly { readonly start: number; readonly node: Node }[];
}

/**
 * The parts of a concatenation, which the graph says by choices between padded tensors: place by place
 * each choice would be asked, so that joining n parts took n times their size.
 */
export function concatParts(root: Node): ConcatParts | undefined {
  if (root.op !== 'where' || !isStatic(root.shape)) return undefined;
  const axis = paddedAxis(root.src[2]);
  if (axis === undefined) return undefined;
  const parts: { start: number; node: Node }[] = [];
  let end = maxDim(root.shape[axis]);
  let rest: Node = root;
  while (rest.op === 'where') {
    const [condition, earlier, last]: readonly Node[] = rest.src;
    const part = partAt(last, axis, end);
    if (!part || boundary(condition, axis) !== part.start) return undefined;
    parts.push(part);
    end = part.start;
    rest = earlier;
  }
  const first = partAt(rest, axis, end);
  if (first?.start !== 0) return undefined;
  return { axis, parts: [first, ...parts.reverse()] };
}

/** The only axis that a node pads with zeros. */
function paddedAxis(node: Node): number | undefined {
  if (node.op !== 'pad' || !Object.is(node.arg.value, 0)) return undefined;
  const axes = node.arg.pads.flatMap(([before, after], i) => (before || after ? [i] : []));
  return axes.length === 1 ? axes[0] : undefined;
}

/** A part that ends at a place of the axis. */
function partAt(node: Node, axis: number, end: number): { start: number; node: Node } | undefined {
  if (node.op !== 'pad' || paddedAxis(node) !== axis) return undefined;
  const [source] = node.src;
  const [start] = node.arg.pads[axis];
  return start >= 0 && start + maxDim(source.shape[axis]) === end
    ? { start, node: source }
    : undefined;
}

/** The place along the axis below which a condition holds. */
function boundary(condition: Node, axis: number): number | undefined {
  if (condition.op !== 'compare' || condition.arg.fn !== 'lt') return undefined;
  const [place, limit] = condition.src;
  return countsAlong(place, axis) ? constantValue(limit) : undefined;
}

/** True for 0, 1, ... along the axis, repeated along the others. */
function countsAlong(node: Node, axis: number): boolean {
  const shaped = node.op === 'expand' ? node.src[0] : node;
  const places = shaped.op === 'reshape' ? shaped.src[0] : shaped;
  if (places.op !== 'iota') return false;
  return shaped.shape.every((dim, i) => dim === (i === axis ? node.shape[axis] : 1));
}
