import { badArgument } from '../../base/errors.ts';
import { checkAxis, formatShape, isStatic, maxDim } from '../../ir/shape.ts';
import { concat, type Tensor } from '../tensor.ts';
import { windows } from './windows.ts';

/**
 * Shifts elements along axes; what leaves at one end comes in at the other (torch.roll).
 *
 * @param shifts one number, or one for each axis; without axes the tensor is rolled as if flat
 */
export function roll(
  x: Tensor,
  shifts: number | readonly number[],
  axes?: number | readonly number[],
): Tensor {
  const list = typeof shifts === 'number' ? [shifts] : shifts;
  if (list.some((s) => !Number.isInteger(s))) {
    throw badArgument('roll', 'shifts', shifts, 'integers');
  }
  if (axes === undefined) {
    if (list.length !== 1) throw badArgument('roll', 'shifts', shifts, 'one number without axes');
    return rollAxis(x.reshape([-1]), list[0], 0).reshape(x.shape);
  }
  const along = typeof axes === 'number' ? [axes] : axes;
  if (along.length !== list.length) {
    throw badArgument('roll', 'shifts', shifts, `one for each of the ${along.length} axes`);
  }
  return along.reduce((y, axis, i) => rollAxis(y, list[i], checkAxis('roll', axis, x.rank)), x);
}

function rollAxis(x: Tensor, shift: number, axis: number): Tensor {
  const size = maxDim(x.shape[axis]);
  const by = size === 0 ? 0 : ((shift % size) + size) % size;
  if (by === 0) return x;
  return concat([x.narrow(axis, size - by, by), x.narrow(axis, 0, size - by)], axis);
}

/** Moves axes to other places; the others keep their order (torch.movedim). */
export function movedim(
  x: Tensor,
  source: number | readonly number[],
  destination: number | readonly number[],
): Tensor {
  const from = distinct('source', source, x.rank);
  const to = distinct('destination', destination, x.rank);
  if (from.length !== to.length) {
    throw badArgument('movedim', 'destination', destination, `${from.length} axes`);
  }
  const others = x.shape.map((_, i) => i).filter((i) => !from.includes(i));
  const order = x.shape.map((_, i) => {
    const moved = to.indexOf(i);
    return moved >= 0 ? from[moved] : (others.shift() as number);
  });
  return x.permute(order);
}

/** Axes in the order given. */
function distinct(name: string, axes: number | readonly number[], rank: number): number[] {
  const list = typeof axes === 'number' ? [axes] : axes;
  const checked = list.map((axis) => checkAxis('movedim', axis, rank));
  if (new Set(checked).size !== checked.length) {
    throw badArgument('movedim', name, axes, 'distinct axes');
  }
  return checked;
}

/**
 * The diagonal of two axes, which becomes the last axis (torch.diagonal). Only addresses move.
 *
 * @param options `offset` > 0 gives a diagonal above the main one
 */
export function diagonal(
  x: Tensor,
  {
    offset = 0,
    axis0 = 0,
    axis1 = 1,
  }: { readonly offset?: number; readonly axis0?: number; readonly axis1?: number } = {},
): Tensor {
  const axes = [axis0, axis1].map((axis) => checkAxis('diagonal', axis, x.rank));
  if (axes[0] === axes[1]) throw badArgument('diagonal', 'axis1', axis1, `an axis but ${axis0}`);
  const moved = movedim(x, axes, [-2, -1]);
  const [rows, columns] = moved.shape.slice(-2).map(maxDim);
  const [top, left] = [Math.max(0, -offset), Math.max(0, offset)];
  const size = Math.max(0, Math.min(rows - top, columns - left));
  const lead = moved.shape.slice(0, -2);
  if (size === 0)
    return moved
      .narrow(-1, 0, 0)
      .narrow(-2, 0, Math.min(1, rows))
      .reshape([...lead, 0]);
  const square = moved.narrow(-2, top, size).narrow(-1, left, size);
  // In rows of one more, the elements of the diagonal stand below each other.
  const tail = lead.map((): [number, number] => [0, 0]);
  const flat = square.reshape([...lead, size * size]).pad([...tail, [0, size]]);
  return flat
    .reshape([...lead, size, size + 1])
    .narrow(-1, 0, 1)
    .squeeze(-1);
}

/**
 * Windows of an axis, `step` apart: the axis counts them, a new last axis holds their `size`
 * elements (torch.Tensor.unfold).
 */
export function unfold(x: Tensor, axis: number, size: number, step: number): Tensor {
  const at = checkAxis('unfold', axis, x.rank);
  const length = maxDim(x.shape[at]);
  if (!isStatic(x.shape)) {
    throw new TypeError(`unfold: x is ${formatShape(x.shape)}; expected a static shape`);
  }
  if (!Number.isInteger(size) || size < 1 || size > length) {
    throw badArgument('unfold', 'size', size, `an integer from 1 to ${length}`);
  }
  if (!Number.isInteger(step) || step < 1)
    throw badArgument('unfold', 'step', step, 'an integer > 0');
  const count = Math.floor((length - size) / step) + 1;
  return x.derive(windows(x.node, at, { count, size, stride: step, dilation: 1 }));
}

/** How elements outside of a tensor are made; `constant` is Tensor.pad. */
export type PadMode = 'constant' | 'reflect' | 'replicate' | 'circular';

/**
 * Elements before and after each axis (torch.nn.functional.pad, but all axes are given, from the
 * first): `reflect` mirrors at the border elements, `replicate` repeats them, `circular` continues
 * at the other end.
 */
export function pad(
  x: Tensor,
  pads: readonly (readonly [before: number, after: number])[],
  { mode = 'constant', value = 0 }: { readonly mode?: PadMode; readonly value?: number } = {},
): Tensor {
  if (mode === 'constant') return x.pad(pads, value);
  if (pads.length !== x.rank) {
    throw badArgument('pad', 'pads', pads, `one pair for each axis of ${formatShape(x.shape)}`);
  }
  return pads.reduce((y, [before, after], axis) => padAxis(y, axis, before, after, mode), x);
}

function padAxis(x: Tensor, axis: number, before: number, after: number, mode: PadMode): Tensor {
  if (before === 0 && after === 0) return x;
  const size = maxDim(x.shape[axis]);
  const most =
    mode === 'reflect' ? size - 1 : mode === 'circular' ? size : Number.POSITIVE_INFINITY;
  const fits = (n: number) => Number.isInteger(n) && n >= 0 && n <= most;
  if (!fits(before) || !fits(after) || size === 0) {
    const expected = `integers from 0 to ${most} for mode ${mode}`;
    throw badArgument('pad', `pads[${axis}]`, [before, after], expected);
  }
  const part = (start: number, length: number) => x.narrow(axis, start, length);
  const wide = (length: number) => x.shape.map((d, i) => (i === axis ? length : d));
  const sides = (): [Tensor, Tensor] => {
    switch (mode) {
      case 'reflect':
        return [part(1, before).flip(axis), part(size - 1 - after, after).flip(axis)];
      case 'replicate':
        return [part(0, 1).expand(wide(before)), part(size - 1, 1).expand(wide(after))];
      case 'circular':
        return [part(size - before, before), part(0, after)];
      default:
        throw badArgument('pad', 'mode', mode, 'constant, reflect, replicate or circular');
    }
  };
  const [left, right] = sides();
  const parts = [...(before > 0 ? [left] : []), x, ...(after > 0 ? [right] : [])];
  return concat(parts, axis);
}

/** The sum of a diagonal's elements (torch.trace for any axes). */
export function trace(x: Tensor, options: Parameters<typeof diagonal>[1] = {}): Tensor {
  return diagonal(x, options).sum(-1);
}
