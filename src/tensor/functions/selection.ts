import { broadcastShapes, formatShape, isStatic } from '../../ir/shape.ts';
import { isTracing } from '../cell.ts';
import { concat, ones, type Tensor, tensor, zeros } from '../tensor.ts';

/**
 * Operations whose result has as many elements as the data say. They wait for the values that
 * decide, so they cannot be part of a jitted function.
 */
function refuseInJit(where: string): void {
  if (!isTracing()) return;
  throw new TypeError(
    `${where}: the shape of its result depends on data, which a jitted function cannot have; ` +
      'call it outside (inside, maskedFill and where keep the shape)',
  );
}

function requireMask(where: string, mask: Tensor): void {
  if (mask.dtype === 'bool') return;
  throw new TypeError(`${where}: the mask is ${mask.dtype}; expected bool`);
}

/** Places of the elements that are not 0, in the flat tensor. */
async function flatPlaces(x: Tensor): Promise<Int32Array<ArrayBuffer>> {
  const data = await x.cast('bool').data();
  const places: number[] = [];
  data.forEach((value, i) => {
    if (value !== 0) places.push(i);
  });
  return Int32Array.from(places);
}

/**
 * The elements where a mask holds, in row-major order (torch.masked_select). The mask is computed
 * now, the elements when they are needed; gradients flow back to where they were.
 *
 * @param mask bools that broadcast with x
 * @returns [number of elements where the mask holds]
 * @throws TypeError inside a jitted function
 */
export function maskedSelect(x: Tensor, mask: Tensor): Promise<Tensor> {
  refuseInJit('maskedSelect');
  requireMask('maskedSelect', mask);
  const shape = broadcastShapes('maskedSelect', x.shape, mask.shape);
  const flat = x.expand(shape).reshape([-1]);
  const places = flatPlaces(mask.expand(shape));
  return places.then((list) => flat.gather(0, tensor(list, { device: x.device })));
}

/**
 * The places of the elements that are not 0, in row-major order (torch.nonzero, argwhere).
 *
 * @returns i32 [number of such elements, rank of x]
 * @throws TypeError inside a jitted function
 */
export function nonzero(x: Tensor): Promise<Tensor> {
  refuseInJit('nonzero');
  const { shape } = x;
  if (!isStatic(shape)) {
    throw new TypeError(`nonzero: x is ${formatShape(shape)}; expected a static shape`);
  }
  return flatPlaces(x).then((flat) => {
    const places = new Int32Array(flat.length * shape.length);
    flat.forEach((place, i) => {
      let rest = place;
      for (let axis = shape.length - 1; axis >= 0; axis--) {
        places[i * shape.length + axis] = rest % shape[axis];
        rest = Math.floor(rest / shape[axis]);
      }
    });
    return tensor(places, { shape: [flat.length, shape.length], device: x.device });
  });
}

/** The distinct values of a tensor, and how it is made of them. */
export interface Distinct {
  /** Ascending, [number of distinct values]; every NaN is a value of its own. */
  readonly values: Tensor;
  /** For each element of x (with its shape) the place of its value, as i32. */
  readonly inverse: Tensor;
  /** How often each value occurs, as i32. */
  readonly counts: Tensor;
}

/**
 * The distinct values of all elements (torch.unique).
 *
 * @throws TypeError inside a jitted function
 */
export function unique(x: Tensor): Promise<Distinct> {
  refuseInJit('unique');
  return distinct(x);
}

async function distinct(x: Tensor): Promise<Distinct> {
  const { size, device } = x;
  const { values: sorted, indices } = x.reshape([-1]).sort(0);
  const none = zeros([0], { dtype: 'i32', device });
  if (size === 0) return { values: sorted, inverse: none.reshape(x.shape), counts: none };
  const changes = sorted.narrow(0, 1, size - 1).ne(sorted.narrow(0, 0, size - 1));
  const first = concat([ones([1], { dtype: 'bool', device }), changes]);
  const starts = await flatPlaces(first);
  const group = first.cumsum(0).sub(1);
  const inverse = zeros([size], { dtype: 'i32', device }).scatter(0, indices, group);
  const counts = starts.map((start, i) => (starts[i + 1] ?? size) - start);
  return {
    values: sorted.gather(0, tensor(starts, { device })),
    inverse: inverse.reshape(x.shape),
    counts: tensor(counts, { device }),
  };
}

/**
 * x with the elements of a source, in row-major order, put where a mask holds
 * (torch.Tensor.masked_scatter). The shape is that of x: this may be part of a jitted function.
 *
 * @param mask bools that broadcast to the shape of x
 * @param source at least as many elements as places where the mask holds
 * @throws RangeError (when it runs) for a source that is too short
 */
export function maskedScatter(x: Tensor, mask: Tensor, source: Tensor): Tensor {
  requireMask('maskedScatter', mask);
  const wide = mask.expand(x.shape);
  const count = wide.reshape([-1]).cumsum(0);
  const places = count.sub(1).maximum(0);
  const spread = source.reshape([-1]).gather(0, places).reshape(x.shape);
  return wide.where(spread, x);
}
