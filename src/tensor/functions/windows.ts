import * as g from '../../ir/graph/build.ts';
import type { Node } from '../../ir/graph/types.ts';
import { maxDim, type Shape } from '../../ir/shape.ts';

/** Movements that convolutions and pooling are made of. All of them are address arithmetic. */

/** A shape with some axes in the place of one. */
export function around(shape: Shape, axis: number, middle: Shape): Shape {
  return [...shape.slice(0, axis), ...middle, ...shape.slice(axis + 1)];
}

/** Where the places of an axis come to lie in a new axis. */
export interface Placement {
  readonly axis: number;
  /** The new place of place 0; negative where the axis begins with places that are cut off. */
  readonly start: number;
  readonly length: number;
}

/** Axes made longer or shorter: padded where their places do not reach, cropped where they go beyond. */
export function placed(x: Node, placements: readonly Placement[], value = 0): Node {
  const kept = x.shape.map((dim): [number, Shape[number]] => [0, dim]);
  const pads = x.shape.map((): [number, number] => [0, 0]);
  const shape = [...x.shape];
  for (const { axis, start, length } of placements) {
    const skip = Math.max(0, -start);
    const count = Math.min(maxDim(x.shape[axis]), length - start) - skip;
    const before = Math.max(0, start);
    kept[axis] = [skip, count];
    pads[axis] = [before, length - before - count];
    shape[axis] = length;
  }
  if (placements.some(({ axis }) => maxDim(kept[axis][1]) <= 0)) {
    return g.full(value, shape, x.dtype);
  }
  return g.pad(g.shrink(x, kept), pads, value);
}

/** Windows along one axis. */
export interface Windows {
  /** How many. */
  readonly count: number;
  /** Places of each. */
  readonly size: number;
  readonly stride: number;
  readonly dilation: number;
}

/** The axis counts windows; a new last axis holds the places of each. */
export function windows(x: Node, axis: number, { count, size, stride, dilation }: Windows): Node {
  const rank = x.shape.length;
  if (size > 1 && stride === size && dilation === 1) {
    // What does not overlap is the axis itself in parts.
    const whole = placed(x, [{ axis, start: 0, length: count * size }]);
    const apart = g.reshape(whole, around(whole.shape, axis, [count, size]));
    const order = Array.from({ length: rank + 1 }, (_, i) => i).filter((i) => i !== axis + 1);
    return g.permute(apart, [...order, axis + 1]);
  }
  if (size === 1 && stride === 1) {
    const whole = placed(x, [{ axis, start: 0, length: count }]);
    return g.reshape(whole, [...whole.shape, 1]);
  }
  const single = g.reshape(x, [...x.shape, 1]);
  return g.window(g.expand(single, [...x.shape, size]), { axis, size: count, stride, dilation });
}

/** An axis with `step` - 1 zeros between its places. */
export function dilated(x: Node, axis: number, step: number): Node {
  if (step === 1) return x;
  const size = (maxDim(x.shape[axis]) - 1) * step + 1;
  const single = g.reshape(x, [...x.shape, 1]);
  const apart = g.spread(single, { axis, size, stride: step, dilation: 1 });
  return g.reshape(apart, around(x.shape, axis, [size]));
}
