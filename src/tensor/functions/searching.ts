import { badArgument } from '../../base/errors.ts';
import { formatShape, isStatic, maxDim, shapesEqual } from '../../ir/shape.ts';
import { full, ones, type Tensor, zeros } from '../tensor.ts';
import { asLabels } from './labels.ts';

/**
 * Where values would go into sorted sequences to keep them sorted (torch.searchsorted), by binary
 * search: log2(n) + 1 steps for all values at once. NaN is the greatest, as in Tensor.sort.
 *
 * @param sorted ascending along the last axis: [n] for all values, or [..., n] with the other axes
 *   of the values
 * @param options `right`: behind equal elements rather than before them
 * @returns i32, 0 to n, of the shape of the values
 */
export function searchsorted(
  sorted: Tensor,
  values: Tensor,
  { right = false }: { readonly right?: boolean } = {},
): Tensor {
  if (sorted.rank !== 1) return searchRows(sorted, values, right);
  return searchRows(sorted, values.reshape([-1]), right).reshape(values.shape);
}

function searchRows(sorted: Tensor, values: Tensor, right: boolean): Tensor {
  const fits =
    sorted.rank > 0 &&
    isStatic(sorted.shape) &&
    shapesEqual(sorted.shape.slice(0, -1), values.shape.slice(0, -1));
  if (!fits) {
    throw new TypeError(
      `searchsorted: sorted is ${formatShape(sorted.shape)}, values are ${formatShape(values.shape)}; ` +
        'expected one sequence, or equal shapes but for the last axis',
    );
  }
  const size = maxDim(sorted.shape[sorted.rank - 1]);
  let place = zeros(values.shape, { dtype: 'i32', device: values.device });
  // The place grows by powers of two, wherever all elements up to there stand before the value.
  for (let step = 2 ** Math.floor(Math.log2(Math.max(1, size))); step >= 1 && size > 0; step /= 2) {
    const next = place.add(step);
    const element = sorted.gather(-1, next.minimum(size).sub(1));
    const passed = right ? isBefore(values, element).logicalNot() : isBefore(element, values);
    place = passed.logicalAnd(next.le(size)).where(next, place);
  }
  return place;
}

/** The order of Tensor.sort. */
function isBefore(x: Tensor, y: Tensor): Tensor {
  return x.lt(y).logicalOr(y.isNaN().logicalAnd(x.isNaN().logicalNot()));
}

/**
 * The number of the bin between boundaries in which each value lies (torch.bucketize).
 *
 * @param boundaries ascending [n]
 * @param options `right`: a value equal to a boundary lies in the bin that begins there
 * @returns i32, 0 to n, of the shape of x
 */
export function bucketize(
  x: Tensor,
  boundaries: Tensor,
  options: { readonly right?: boolean } = {},
): Tensor {
  return searchsorted(boundaries, x, options);
}

/**
 * Whether each element of x is one of the elements of a list (torch.isin), by sorting the list.
 *
 * @param list of any shape, of x's type
 * @returns bools of the shape of x; NaN is in no list
 */
export function isin(x: Tensor, list: Tensor): Tensor {
  if (list.size === 0) return full(x.shape, 0, { dtype: 'bool', device: x.device });
  const { values } = list.reshape([-1]).sort(0);
  const flat = x.reshape([-1]);
  const place = searchsorted(values, flat).minimum(list.size - 1);
  return values.gather(0, place).eq(flat).reshape(x.shape);
}

function requireCount(where: string, name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1) {
    throw badArgument(where, name, value, 'an integer > 0');
  }
}

/**
 * How often each of 0 ... size - 1 occurs (torch.bincount, with the size given: a shape cannot
 * depend on data).
 *
 * @param x integers of any shape
 * @param options `weights` of x's shape: their sum instead of the number of elements
 * @returns [size] i32, or the type of the weights
 * @throws RangeError (when it runs) for an element out of 0..size-1
 */
export function bincount(
  x: Tensor,
  size: number,
  { weights }: { readonly weights?: Tensor } = {},
): Tensor {
  requireCount('bincount', 'size', size);
  const places = asLabels('bincount', 'x', x).reshape([-1]);
  const { device } = x;
  const added = weights?.reshape([-1]) ?? ones([x.size], { dtype: 'i32', device });
  return zeros([size], { dtype: added.dtype, device }).scatterAdd(0, places, added);
}

/**
 * The number of elements in each of `bins` equal parts of [min, max] (torch.histc). Elements
 * outside and NaN are not counted; max belongs to the last part.
 *
 * @returns f32 [bins]
 */
export function histc(
  x: Tensor,
  { bins = 100, min, max }: { readonly bins?: number; readonly min: number; readonly max: number },
): Tensor {
  requireCount('histc', 'bins', bins);
  if (!(Number.isFinite(min) && Number.isFinite(max) && min < max)) {
    throw badArgument('histc', 'bounds', [min, max], 'two numbers, min < max');
  }
  const flat = x.cast('f32').reshape([-1]);
  const inside = flat.ge(min).logicalAnd(flat.le(max));
  const part = flat.sub(min).mul(bins / (max - min));
  const bin = inside
    .where(part, 0)
    .floor()
    .cast('i32')
    .minimum(bins - 1);
  const weights = inside.cast('f32');
  return full([bins], 0, { device: x.device }).scatterAdd(0, bin, weights);
}
