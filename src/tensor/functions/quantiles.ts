import { badArgument } from '../../base/errors.ts';
import { isFloat } from '../../ir/dtype.ts';
import { checkAxis, formatShape, maxDim } from '../../ir/shape.ts';
import { stack, type Tensor } from '../tensor.ts';

/** What a quantile between two elements is. */
export type Interpolation = 'linear' | 'lower' | 'higher' | 'nearest' | 'midpoint';

export interface QuantileOptions {
  /** Default: all elements, as if flat. */
  readonly axis?: number;
  /** The axis stays, with size 1 (default: it goes). */
  readonly keepdim?: boolean;
  /** Default: linear. */
  readonly interpolation?: Interpolation;
}

/**
 * Quantiles (torch.quantile): the element at place q (n - 1) of the sorted axis, or what lies
 * between two of them. NaN where the axis holds one.
 *
 * @param x floats
 * @param q 0 to 1: a number, or several, which then are a new first axis of the result
 */
export function quantile(
  x: Tensor,
  q: number | readonly number[],
  options: QuantileOptions = {},
): Tensor {
  return quantiles('quantile', x, q, options, false);
}

/** Quantiles of the elements that are not NaN (torch.nanquantile); NaN where there are none. */
export function nanquantile(
  x: Tensor,
  q: number | readonly number[],
  options: QuantileOptions = {},
): Tensor {
  return quantiles('nanquantile', x, q, options, true);
}

function quantiles(
  where: string,
  x: Tensor,
  q: number | readonly number[],
  { axis, keepdim = false, interpolation = 'linear' }: QuantileOptions,
  ignoreNaN: boolean,
): Tensor {
  if (!isFloat(x.dtype)) {
    throw new TypeError(`${where}: x is ${x.dtype}; expected floats (cast first)`);
  }
  const list = typeof q === 'number' ? [q] : q;
  if (list.length === 0 || list.some((p) => !(p >= 0 && p <= 1))) {
    throw badArgument(where, 'q', q, 'numbers from 0 to 1');
  }
  const whole = axis === undefined;
  const rows = whole ? x.reshape([-1]) : x;
  const at = whole ? 0 : checkAxis(where, axis, x.rank);
  const size = maxDim(rows.shape[at]);
  if (size === 0) throw new TypeError(`${where}: no elements in ${formatShape(x.shape)}`);
  const { values } = rows.sort(at);
  const numbers = values.isNaN().logicalNot().cast('i32').sum(at, true);
  const last = ignoreNaN ? numbers.sub(1).maximum(0) : numbers.mul(0).add(size - 1);
  const results = list.map((p) => {
    const result = between(where, values, at, last.cast(x.dtype).mul(p), interpolation);
    return ignoreNaN ? result : numbers.lt(size).where(Number.NaN, result);
  });
  const shaped = results.map((result) => {
    if (keepdim) return whole ? result.reshape(x.shape.map(() => 1)) : result;
    return result.squeeze(at);
  });
  return typeof q === 'number' ? shaped[0] : stack(shaped);
}

/** The value at a fractional place of sorted elements. */
function between(
  where: string,
  values: Tensor,
  axis: number,
  place: Tensor,
  interpolation: Interpolation,
): Tensor {
  const at = (p: Tensor) => values.gather(axis, p.cast('i32'));
  const [low, high] = [place.floor(), place.ceil()];
  switch (interpolation) {
    case 'linear':
      return interpolate(at(low), at(high), place.sub(low));
    case 'lower':
      return at(low);
    case 'higher':
      return at(high);
    case 'nearest':
      return at(place.round());
    case 'midpoint':
      return interpolate(at(low), at(high), high.sub(low).mul(0.5));
    default:
      throw badArgument(
        where,
        'interpolation',
        interpolation satisfies never,
        'linear, lower, higher, nearest or midpoint',
      );
  }
}

/** From the nearer end, so that both ends are met exactly; equal infinities stay what they are. */
function interpolate(low: Tensor, high: Tensor, weight: Tensor): Tensor {
  const distance = high.sub(low);
  const near = low.add(distance.mul(weight));
  const far = high.sub(distance.mul(weight.neg().add(1)));
  const mixed = weight.lt(0.5).where(near, far);
  return low.eq(high).where(low, mixed);
}
