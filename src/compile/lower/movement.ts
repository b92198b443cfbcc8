import { InternalError } from '../../base/errors.ts';
import type { Node } from '../../ir/graph/types.ts';
import {
  add,
  constant,
  div,
  type Index,
  mod,
  mul,
  sub,
  varIndex,
  ZERO,
} from '../../ir/kernel/index-expr.ts';
import type { Mask } from '../../ir/kernel/types.ts';
import { type Dim, dimsEqual, isVar, maxDim, type Shape } from '../../ir/shape.ts';
import { opClass } from '../op-class.ts';

/** The size of an axis as an index expression. */
export function dimIndex(dim: Dim): Index {
  return isVar(dim) ? varIndex(dim) : constant(dim);
}

/** Where a movement op reads its source, from where its result is wanted. */
export interface Moved {
  readonly index: readonly Index[];
  /** Outside of this (padding) the source has no such element. */
  readonly mask: Mask;
}

/** True of movements whose result has places that the source has not. */
export function hasMask(node: Node): boolean {
  return node.op === 'pad' || node.op === 'spread';
}

/** Pushes an index through a movement op: the op then costs nothing but address arithmetic. */
export function pushIndex(node: Node, index: readonly Index[]): Moved {
  const from = node.src[0].shape;
  switch (node.op) {
    case 'reshape':
      return { index: reshapeIndex(index, node.shape, from), mask: [] };
    case 'permute': {
      const moved = new Array<Index>(from.length);
      node.arg.order.forEach((axis, i) => {
        moved[axis] = index[i];
      });
      return { index: moved, mask: [] };
    }
    case 'expand':
      return { index: from.map((dim, axis) => (dim === 1 ? ZERO : index[axis])), mask: [] };
    case 'shrink':
      return { index: index.map((i, axis) => add(i, node.arg.ranges[axis][0])), mask: [] };
    case 'flip':
      return {
        index: index.map((i, axis) =>
          node.arg.axes.includes(axis) ? sub(constant(maxDim(from[axis]) - 1), i) : i,
        ),
        mask: [],
      };
    case 'pad': {
      const mask: Index[] = [];
      const moved = index.map((i, axis) => {
        const [before, after] = node.arg.pads[axis];
        if (before === 0 && after === 0) return i;
        const inner = sub(i, before);
        mask.push(inner, sub(constant(maxDim(from[axis]) - 1), inner));
        return inner;
      });
      return { index: moved, mask };
    }
    case 'window': {
      const { axis, stride, dilation } = node.arg;
      const seen = add(mul(index[axis], stride), mul(index[index.length - 1], dilation));
      return { index: replaced(index, axis, seen), mask: [] };
    }
    case 'spread': {
      const { axis, stride, dilation } = node.arg;
      const distance = sub(index[axis], mul(index[index.length - 1], dilation));
      const place = div(distance, stride);
      const inside = [place, sub(constant(maxDim(from[axis]) - 1), place)];
      // Between two places there is none: the remainder must be 0.
      const mask = [...inside, mul(mod(distance, stride), -1)];
      return { index: replaced(index, axis, place), mask };
    }
    default:
      throw new InternalError(`${node.op} is not a movement`);
  }
}

function replaced(index: readonly Index[], axis: number, by: Index): Index[] {
  return index.map((i, a) => (a === axis ? by : i));
}

/**
 * Axes that both shapes share pass unchanged; only the groups between them that really split or
 * merge go through division and remainder.
 */
function reshapeIndex(index: readonly Index[], shape: Shape, from: Shape): Index[] {
  // Nothing is read of an array without elements.
  if (shape.includes(0)) return from.map(() => ZERO);
  const moved: Index[] = [];
  let i = 0;
  let j = 0;
  while (i < shape.length || j < from.length) {
    if (i < shape.length && j < from.length && dimsEqual(shape[i], from[j])) {
      moved.push(index[i]);
      i++;
      j++;
      continue;
    }
    // An axis of size 1 beside a symbolic one comes or goes by itself.
    if (from[j] === 1 && isVar(shape[i] ?? 1)) {
      moved.push(ZERO);
      j++;
      continue;
    }
    if (shape[i] === 1 && isVar(from[j] ?? 1)) {
      i++;
      continue;
    }
    // A group: the shortest runs of axes with the same number of elements.
    const [i0, j0] = [i, j];
    let left = 1;
    let right = 1;
    do {
      if (left <= right && i < shape.length) left *= fixed(shape[i++]);
      else if (j < from.length) right *= fixed(from[j++]);
      else left *= fixed(shape[i++]);
    } while (left !== right);
    // Axes of size 1 at the border belong to this group: they carry no information.
    while (i < shape.length && shape[i] === 1 && j >= from.length) i++;
    while (j < from.length && from[j] === 1 && i >= shape.length) j++;
    moved.push(...regroup(index.slice(i0, i), shape.slice(i0, i), from.slice(j0, j)));
  }
  return moved;
}

function fixed(dim: Shape[number]): number {
  if (isVar(dim)) throw new InternalError('a reshape splits a symbolic axis');
  return dim;
}

function regroup(index: readonly Index[], shape: Shape, from: Shape): Index[] {
  let linear: Index = ZERO;
  shape.forEach((dim, axis) => {
    linear = add(mul(linear, maxDim(dim)), dim === 1 ? ZERO : index[axis]);
  });
  const result = new Array<Index>(from.length);
  for (let axis = from.length - 1; axis >= 0; axis--) {
    const dim = maxDim(from[axis]);
    result[axis] = axis === 0 ? linear : mod(linear, dim);
    linear = div(linear, dim);
  }
  return result;
}

/** The element offset of an index in a row-major buffer. */
export function linearIndex(index: readonly Index[], shape: Shape): Index {
  let linear: Index = ZERO;
  shape.forEach((dim, axis) => {
    linear = add(mul(linear, maxDim(dim)), dim === 1 ? ZERO : index[axis]);
  });
  return linear;
}

/** The node in memory of which an operand is a view, and where; undefined where it is computed. */
export function throughMovements(
  node: Node,
  index: readonly Index[],
  hasBuffer: (node: Node) => boolean,
): { node: Node; index: readonly Index[] } | undefined {
  let current = node;
  let at = index;
  while (!hasBuffer(current)) {
    if (opClass(current) !== 'move' || hasMask(current)) return undefined;
    at = pushIndex(current, at).index;
    current = current.src[0];
  }
  return { node: current, index: at };
}
