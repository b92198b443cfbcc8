import * as g from '../../ir/graph/build.ts';
import { withGradient } from '../../ir/graph/gradient.ts';
import type { Node } from '../../ir/graph/types.ts';
import { maxDim, sizeOf, upTo } from '../../ir/shape.ts';
import { gathered, patches, type Span, withoutKernel } from './windows.ts';

/** The sum of each window. */
export function sumPooled(x: Node, spans: readonly Span[]): Node {
  const spatial = spans.length;
  const seen = patches(x, spans, 0);
  const sums = g.reduce('sum', seen, upTo(2 + spatial, 2 + 2 * spatial));
  return withGradient(withoutKernel(sums, spatial), [x], (up) => [
    gathered(g.expand(g.reshape(up, sums.shape), seen.shape), spans),
  ]);
}

/** Numbers of the places of an image or a kernel, row by row, broadcast to windows. */
function numbered(sizes: readonly number[]): Node {
  return g.reshape(g.iota(sizeOf(sizes)), sizes);
}

/** The maxima of windows and where they are. */
export interface MaxPooled {
  readonly values: Node;
  /** i32: the place in its image, row by row. */
  readonly indices: Node;
}

/**
 * The largest element of each window. NaN wins (the last of several), of equal ones the first, and
 * padding never: as PyTorch's loop over a window has it. The winner takes the gradient.
 */
export function maxPooled(x: Node, spans: readonly Span[]): MaxPooled {
  const spatial = spans.length;
  const seen = patches(x, spans, Number.NEGATIVE_INFINITY);
  const axes = upTo(2 + spatial, 2 + 2 * spatial);
  const best = g.reduce('max', seen, axes);
  const winner = winnerOf(seen, g.expand(best, seen.shape), x, spans, axes);
  const values = withGradient(withoutKernel(best, spatial), [x], (up) => {
    const kernel = seen.shape.slice(2 + spatial) as number[];
    const mine = g.compare('eq', alongKernel(numbered(kernel), seen), g.expand(winner, seen.shape));
    const wide = g.expand(g.reshape(up, winner.shape), seen.shape);
    const shares = g.where(mine, wide, g.constLike(wide, 0));
    return [gathered(shares, spans)];
  });
  return { values, indices: withoutKernel(placeOf(winner, x, spans), spatial) };
}

function alongKernel(x: Node, seen: Node): Node {
  const lead = seen.shape.length - x.shape.length;
  return g.expand(g.reshape(x, [...new Array<number>(lead).fill(1), ...x.shape]), seen.shape);
}

/** For each window the number of the winning place in the kernel, as i32. */
function winnerOf(
  seen: Node,
  best: Node,
  x: Node,
  spans: readonly Span[],
  axes: readonly number[],
): Node {
  const kernel = seen.shape.slice(2 + spans.length) as number[];
  const count = sizeOf(kernel);
  const number = alongKernel(numbered(kernel), seen);
  const like = (value: number) => g.constLike(number, value);
  // One maximum finds the first of equal ones and, above all of them, the last NaN.
  const equal = g.compare('eq', seen, best);
  const inside = isPadded(x, spans)
    ? g.binary('and', equal, g.cast(patches(g.full(1, x.shape, 'i32'), spans, 0), 'bool'))
    : equal;
  const rank = g.where(
    g.compare('ne', seen, seen),
    g.binary('add', number, like(count)),
    g.where(inside, g.binary('sub', like(count - 1), number), like(-1)),
  );
  const top = g.reduce('max', rank, axes);
  const limit = g.constLike(top, count);
  const holdsNaN = g.compare('le', limit, top);
  const first = g.binary('sub', g.constLike(top, count - 1), top);
  return g.where(holdsNaN, g.binary('sub', top, limit), first);
}

function isPadded(x: Node, spans: readonly Span[]): boolean {
  return spans.some(({ before, result, stride, kernel, dilation }, i) => {
    const end = (result - 1) * stride + (kernel - 1) * dilation + 1 - before;
    return before > 0 || end > maxDim(x.shape[2 + i]);
  });
}

/** From places in the kernel to places in the image. */
function placeOf(winner: Node, x: Node, spans: readonly Span[]): Node {
  const like = (value: number) => g.constLike(winner, value);
  let rest = winner;
  let place = like(0);
  let stride = 1;
  for (let i = spans.length - 1; i >= 0; i--) {
    const { kernel, dilation, stride: step, before, result } = spans[i];
    const own = i === 0 ? rest : g.binary('rem', rest, like(kernel));
    rest = g.binary('div', rest, like(kernel));
    const shape = winner.shape.map((_, axis) => (axis === 2 + i ? result : 1));
    const start = g.expand(g.reshape(g.iota(result), shape), winner.shape);
    const at = g.binary(
      'add',
      g.binary('mul', own, like(dilation)),
      g.binary('sub', g.binary('mul', start, like(step)), like(before)),
    );
    place = g.binary('add', place, g.binary('mul', at, like(stride)));
    stride *= maxDim(x.shape[2 + i]);
  }
  return place;
}
