import * as g from '../../ir/graph/build.ts';
import type { Node } from '../../ir/graph/types.ts';
import { maxDim, type Shape, upTo } from '../../ir/shape.ts';

/** Movements that convolutions and pooling are made of. All of them are address arithmetic. */

/** Windows over one spatial axis. */
export interface Span {
  /** Places of the image. */
  readonly image: number;
  /** Places of the result. */
  readonly result: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  /** Zeros before the image; behind it as many as the last window needs. */
  readonly before: number;
}

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
    return g.permute(apart, [...upTo(0, axis + 1), ...upTo(axis + 2, rank + 1), axis + 1]);
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

/**
 * The windows of images: [n, c, ...image] to [n, c, ...result, ...kernel].
 *
 * @param outside what padded places hold
 */
export function patches(x: Node, spans: readonly Span[], outside = 0): Node {
  // All padding comes first: what is stored of it is then an image, not windows of one.
  const placements = spans.map(({ result, kernel, stride, dilation, before }, i) => ({
    axis: 2 + i,
    start: before,
    length: (result - 1) * stride + (kernel - 1) * dilation + 1,
  }));
  return spans.reduce(
    (image, { result: count, kernel: size, stride, dilation }, i) => {
      return windows(image, 2 + i, { count, size, stride, dilation });
    },
    placed(x, placements, outside),
  );
}

/** Drops the windows' axes, which a reduction has left with size 1. */
export function withoutKernel(x: Node, spatial: number): Node {
  return g.reshape(x, x.shape.slice(0, 2 + spatial));
}

/**
 * The transpose of `patches`: for each place of the image the sum of what windows hold for it. All
 * axes of the windows are summed at once, so that nothing of their size lies in memory.
 *
 * @param seen [n, c, ...result, ...kernel]
 * @returns [n, c, ...image]
 */
export function gathered(seen: Node, spans: readonly Span[]): Node {
  const first = 2 + spans.length;
  const places = [...spans.keys()].reverse().reduce((x, i) => {
    const { image, result, kernel, stride, dilation, before } = spans[i];
    const axis = 2 + i;
    const last = x.shape.length - 1;
    if (kernel > 1 && stride === kernel && dilation === 1) {
      const beside = g.permute(x, [...upTo(0, axis + 1), last, ...upTo(axis + 1, last)]);
      const merged = around(around(beside.shape, axis + 1, []), axis, [result * kernel]);
      return placed(g.reshape(beside, merged), [{ axis, start: -before, length: image }]);
    }
    const reach = (result - 1) * stride + (kernel - 1) * dilation + 1;
    const size = Math.max(reach, before + image);
    const apart = g.spread(x, { axis, size, stride, dilation });
    // The next axis' kernel comes to the end.
    const turned = g.permute(apart, [...upTo(0, first), last, ...upTo(first, last)]);
    return placed(turned, [{ axis, start: -before, length: image }]);
  }, seen);
  return withoutKernel(g.reduce('sum', places, upTo(first, places.shape.length)), spans.length);
}
