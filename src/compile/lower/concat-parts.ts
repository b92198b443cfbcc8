import { isFloat } from '../../ir/dtype.ts';
import { isSmallFloat } from '../../ir/float-formats.ts';
import type { Node, NodeOf } from '../../ir/graph/types.ts';
import { isStatic, maxDim } from '../../ir/shape.ts';
import { constantValue } from '../rewrite/constants.ts';

interface Part {
  readonly start: number;
  readonly node: Node;
}

/** Tensors that lie one behind the other along an axis. */
export interface ConcatParts {
  readonly axis: number;
  /** In order, without gaps. */
  readonly parts: readonly Part[];
  /** Zeros are added to each element: of a sum that makes +0 of -0. */
  readonly summed: boolean;
}

/**
 * The parts of what the graph says by padded tensors: a concatenation by choices between them, the
 * gradient of a split by their sum. Asked at every place, n parts took n times their size.
 *
 * @param hasBuffer nodes that are read, not computed: nothing below them is this kernel's
 */
export function concatParts(
  root: Node,
  hasBuffer: (node: Node) => boolean,
): ConcatParts | undefined {
  if (!isStatic(root.shape)) return undefined;
  if (root.op === 'where') return choices(root, hasBuffer);
  if (root.op === 'binary' && root.arg.fn === 'add') return summands(root, hasBuffer);
  return undefined;
}

function choices(root: NodeOf<'where'>, hasBuffer: (node: Node) => boolean) {
  const axis = paddedAxis(root.src[2]);
  if (axis === undefined) return undefined;
  const parts: Part[] = [];
  let end = maxDim(root.shape[axis]);
  let rest: Node = root as Node;
  while (rest.op === 'where') {
    const [condition, earlier, last]: readonly Node[] = rest.src;
    const part = partOf(last, axis, hasBuffer);
    if (!part || endOf(part, axis) !== end || boundary(condition, axis) !== part.start) {
      return undefined;
    }
    if (hasBuffer(earlier)) return undefined;
    parts.push(part);
    end = part.start;
    rest = earlier;
  }
  const first = partOf(rest, axis, hasBuffer);
  if (first?.start !== 0 || endOf(first, axis) !== end) return undefined;
  return { axis, parts: [first, ...parts.reverse()], summed: false };
}

function summands(root: NodeOf<'binary'>, hasBuffer: (node: Node) => boolean) {
  if (!isFloat(root.dtype) || isSmallFloat(root.dtype)) return undefined;
  const leaves: Node[] = [];
  const open: Node[] = [...root.src];
  for (let node = open.pop(); node; node = open.pop()) {
    if (node.op === 'binary' && node.arg.fn === 'add' && !hasBuffer(node)) open.push(...node.src);
    else if (node.op === 'pad') leaves.push(node);
    else return undefined;
  }
  const axis = paddedAxis(leaves[0]);
  if (axis === undefined) return undefined;
  const parts: Part[] = [];
  for (const leaf of leaves) {
    const part = partOf(leaf, axis, hasBuffer);
    if (!part) return undefined;
    parts.push(part);
  }
  parts.sort((a, b) => a.start - b.start);
  let end = 0;
  for (const part of parts) {
    if (part.start !== end) return undefined;
    end = endOf(part, axis);
  }
  return end === root.shape[axis] ? { axis, parts, summed: true } : undefined;
}

/** The only axis that a node pads with zeros. */
function paddedAxis(node: Node): number | undefined {
  if (node.op !== 'pad' || !Object.is(node.arg.value, 0)) return undefined;
  const axes = node.arg.pads.flatMap(([before, after], i) => (before || after ? [i] : []));
  return axes.length === 1 ? axes[0] : undefined;
}

function partOf(node: Node, axis: number, hasBuffer: (node: Node) => boolean): Part | undefined {
  if (node.op !== 'pad' || hasBuffer(node) || paddedAxis(node) !== axis) return undefined;
  const [before, after] = node.arg.pads[axis];
  return before >= 0 && after >= 0 ? { start: before, node: node.src[0] } : undefined;
}

function endOf({ start, node }: Part, axis: number): number {
  return start + maxDim(node.shape[axis]);
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
