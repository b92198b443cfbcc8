import { DTYPES } from '../../ir/dtype.ts';
import { maxDim } from '../../ir/shape.ts';
import { arange, type Tensor } from '../tensor.ts';

/** @internal 0 ... size - 1 along an axis of a tensor of `rank` axes, the others having size 1. */
export function placesAlong(like: Tensor, rank: number, axis: number, size: number): Tensor {
  const shape = Array.from({ length: rank }, (_, i) => (i === axis ? size : 1));
  return arange(size, { device: like.device }).reshape(shape);
}

/** @internal Labels as i32; throws where they are no integers. */
export function asLabels(where: string, name: string, labels: Tensor): Tensor {
  const { kind } = DTYPES[labels.dtype];
  if (kind === 'int' || kind === 'uint') return labels.cast('i32');
  throw new TypeError(`${where}: ${name} is ${labels.dtype}; expected integers`);
}

/**
 * @internal The labels themselves, looked up: one out of 0..count-1 throws the RangeError of a
 * gather when the program runs.
 */
export function checkedLabels(labels: Tensor, count: number): Tensor {
  const list = arange(count, { device: labels.device });
  const flat = labels.rank === 1 ? labels : labels.reshape([-1]);
  return list.gather(0, flat).reshape(labels.shape);
}

/** @internal The elements of x at the labels, as sums of one term: nothing is scattered back. */
export function pick(x: Tensor, holds: Tensor, axis: number): Tensor {
  return holds.where(x, 0).sum(axis);
}

/** @internal True where a class is the label: labels [n, ...], result [n, classes, ...]. */
export function isLabel(labels: Tensor, axis: number, classes: number): Tensor {
  const wide = labels.unsqueeze(axis);
  return wide.eq(placesAlong(labels, wide.rank, axis, classes));
}

/** @internal */
export function classesOf(x: Tensor, axis: number): number {
  return maxDim(x.shape[axis]);
}
