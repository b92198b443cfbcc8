import { badArgument } from '../base/errors.ts';
import * as g from '../ir/graph/build.ts';
import type { Node } from '../ir/graph/types.ts';
import {
  checkAxes,
  checkAxis,
  type Dim,
  formatShape,
  isStatic,
  isVar,
  maxDim,
  type Shape,
  sizeOf,
  type Var,
} from '../ir/shape.ts';
import { Elementwise } from './elementwise.ts';
import { broadcastNode } from './handle.ts';

/** `[start, stop, step]` with Python's meaning: negative counts from the end, null is the end. */
export type Slice = readonly [start: number | null, stop: number | null, step?: number];

/** Operations that move elements: in compiled code they are address arithmetic. */
export abstract class Movement extends Elementwise {
  /** The same elements in another shape; one size may be -1, to be found. */
  reshape(shape: Shape): this {
    const unknown = shape.indexOf(-1);
    if (unknown < 0) return this.derive(g.reshape(this.node, shape));
    const known = shape.reduce<number>((n, d, i) => (i === unknown ? n : n * maxDim(d)), 1);
    const size = this.size / known;
    if (!Number.isInteger(size) || shape.indexOf(-1, unknown + 1) >= 0) {
      const expected = `one -1 and sizes that divide the ${this.size} elements`;
      throw badArgument('reshape', 'shape', shape, expected);
    }
    return this.derive(
      g.reshape(
        this.node,
        shape.map((d, i) => (i === unknown ? size : d)),
      ),
    );
  }

  /** Axes in another order: `order[i]` is the axis that comes to place i. */
  permute(order: readonly number[]): this {
    return this.derive(
      g.permute(
        this.node,
        order.map((a) => checkAxis('permute', a, this.rank)),
      ),
    );
  }

  /** Exchanges two axes. */
  transpose(axis0 = -2, axis1 = -1): this {
    const a = checkAxis('transpose', axis0, this.rank);
    const b = checkAxis('transpose', axis1, this.rank);
    const order = this.shape.map((_, i) => (i === a ? b : i === b ? a : i));
    return this.derive(g.permute(this.node, order));
  }

  /** Repeats axes of size 1 (and new ones in front) to a shape; -1 keeps a size. */
  expand(shape: Shape): this {
    const lead = shape.length - this.rank;
    const target = shape.map((d, i) => (d === -1 && i >= lead ? this.shape[i - lead] : d));
    return this.derive(broadcastNode(this.node, target));
  }

  /** Drops axes of size 1: all of them, or those given. */
  squeeze(axis?: number | readonly number[]): this {
    const axes = checkAxes('squeeze', axis, this.rank);
    const shape = this.shape.filter((d, i) => d !== 1 || !axes.includes(i));
    return this.derive(g.reshape(this.node, shape));
  }

  /** A new axis of size 1 at a place of the result. */
  unsqueeze(axis: number): this {
    const at = checkAxis('unsqueeze', axis, this.rank + 1);
    const shape = [...this.shape.slice(0, at), 1, ...this.shape.slice(at)];
    return this.derive(g.reshape(this.node, shape));
  }

  /** Joins the axes from `start` to `end` (both included). */
  flatten(start = 0, end = -1): this {
    if (this.rank === 0) return this.derive(g.reshape(this.node, [1]));
    const from = checkAxis('flatten', start, this.rank);
    const to = checkAxis('flatten', end, this.rank);
    if (to < from) throw badArgument('flatten', 'end', end, `an axis not before ${from}`);
    const joined = sizeOf(this.shape.slice(from, to + 1));
    return this.reshape([...this.shape.slice(0, from), joined, ...this.shape.slice(to + 1)]);
  }

  /** Elements before and after each axis, with a constant; negative amounts crop. */
  pad(pads: readonly (readonly [number, number])[], value = 0): this {
    if (pads.length !== this.rank) {
      throw badArgument(
        'pad',
        'pads',
        pads,
        `one pair for each axis of ${formatShape(this.shape)}`,
      );
    }
    let { node } = this;
    if (pads.some(([a, b]) => a < 0 || b < 0)) {
      const ranges = node.shape.map((d, i): [number, Dim] => {
        const crop = pads[i].map((p) => Math.max(0, -p));
        return isVar(d) ? [0, d] : [crop[0], d - crop[0] - crop[1]];
      });
      node = g.shrink(node, ranges);
    }
    const positive = pads.map(([a, b]): [number, number] => [Math.max(0, a), Math.max(0, b)]);
    return this.derive(g.pad(node, positive, value));
  }

  /** The first `length` places from `start` along an axis; the length may be symbolic. */
  narrow(axis: number, start: number, length: number | Var): this {
    const at = checkAxis('narrow', axis, this.rank);
    const ranges = this.shape.map((d, i): [number, Dim] => (i === at ? [start, length] : [0, d]));
    return this.derive(g.shrink(this.node, ranges));
  }

  /** Python slices for the first axes; the others stay whole. */
  slice(slices: readonly (Slice | null)[]): this {
    if (slices.length > this.rank) {
      throw badArgument('slice', 'slices', slices, `at most ${this.rank} slices`);
    }
    return this.derive(
      slices.reduce<Node>((node, s, axis) => (s ? sliceAxis(node, axis, s) : node), this.node),
    );
  }

  /** Reverses axes. */
  flip(axes: number | readonly number[]): this {
    return this.derive(g.flip(this.node, checkAxes('flip', axes, this.rank)));
  }

  /** One element of an axis: the axis goes. */
  select(axis: number, index: number): this {
    const at = checkAxis('select', axis, this.rank);
    const size = maxDim(this.shape[at]);
    if (!Number.isInteger(index) || index < -size || index >= size) {
      throw new RangeError(
        `select: index ${index} is out of range; expected ${-size} to ${size - 1}`,
      );
    }
    return this.narrow(at, index < 0 ? index + size : index, 1).squeeze(at);
  }

  /** Parts along an axis: sizes, or one size for equal parts with a shorter last one. */
  split(sizes: number | readonly number[], axis = 0): this[] {
    const at = checkAxis('split', axis, this.rank);
    const total = maxDim(this.shape[at]);
    const list =
      typeof sizes === 'number'
        ? Array.from({ length: Math.ceil(total / sizes) }, (_, i) =>
            Math.min(sizes, total - i * sizes),
          )
        : [...sizes];
    if (list.reduce((n, s) => n + s, 0) !== total || list.some((s) => !(s >= 0))) {
      throw badArgument('split', 'sizes', sizes, `sizes that add up to ${total}`);
    }
    let start = 0;
    return list.map((size) => {
      const part = this.narrow(at, start, size);
      start += size;
      return part;
    });
  }

  /** About equal parts along an axis: `count` of them, or fewer where it has too few places. */
  chunk(count: number, axis = 0): this[] {
    const at = checkAxis('chunk', axis, this.rank);
    if (!Number.isInteger(count) || count < 1) {
      throw badArgument('chunk', 'count', count, 'an integer > 0');
    }
    return this.split(Math.max(1, Math.ceil(maxDim(this.shape[at]) / count)), at);
  }

  /** The places of an axis as tensors without it. */
  unbind(axis = 0): this[] {
    const at = checkAxis('unbind', axis, this.rank);
    return Array.from({ length: maxDim(this.shape[at]) }, (_, i) => this.select(at, i));
  }

  /** Joins tensors along an axis that exists. */
  protected static concatNodes(nodes: readonly Node[], axis: number): Node {
    const [first] = nodes;
    const total = nodes.reduce((n, x) => n + maxDim(x.shape[axis]), 0);
    let before = 0;
    let result: Node | undefined;
    for (const x of nodes) {
      const size = maxDim(x.shape[axis]);
      const pads = first.shape.map((_, i): [number, number] =>
        i === axis ? [before, total - before - size] : [0, 0],
      );
      const padded = g.pad(x, pads, 0);
      before += size;
      if (!result) {
        result = padded;
        continue;
      }
      // Choosing by place keeps every bit, which adding zeros would not (-0, NaN).
      const places = g.iota(total);
      const shaped = g.reshape(
        places,
        padded.shape.map((d, i) => (i === axis ? d : 1)),
      );
      const where = g.expand(shaped, padded.shape);
      const earlier = g.compare('lt', where, g.constLike(where, before - size));
      result = g.where(earlier, result, padded);
    }
    return result ?? first;
  }

  /** Keeps the diagonal and what is below it; `diagonal` shifts it to the right. */
  tril(diagonal = 0): this {
    return this.#triangle('tril', diagonal);
  }

  /** Keeps the diagonal and what is above it. */
  triu(diagonal = 0): this {
    return this.#triangle('triu', diagonal);
  }

  #triangle(where: 'tril' | 'triu', diagonal: number): this {
    if (this.rank < 2 || !isStatic(this.shape)) {
      throw new TypeError(
        `${where}: the tensor is ${formatShape(this.shape)}; expected a static matrix`,
      );
    }
    const [rows, columns] = this.shape.slice(-2);
    const row = g.expand(g.reshape(g.iota(rows), [rows, 1]), [rows, columns]);
    const column = g.expand(g.reshape(g.iota(columns), [1, columns]), [rows, columns]);
    const shifted = g.binary('add', row, g.constLike(row, diagonal));
    const keep =
      where === 'tril' ? g.compare('le', column, shifted) : g.compare('le', shifted, column);
    const mask = broadcastNode(keep, this.shape);
    return this.derive(g.where(mask, this.node, g.constLike(this.node, 0)));
  }

  /** The tensor repeated along each axis. */
  tile(repeats: readonly number[]): this {
    const rank = Math.max(this.rank, repeats.length);
    const shape = [...new Array<Dim>(rank - this.rank).fill(1), ...this.shape];
    const times = [...new Array<number>(rank - repeats.length).fill(1), ...repeats];
    const split = shape.flatMap((d) => [1, d]);
    const grown = shape.flatMap((d, i) => [times[i], d]);
    const joined = shape.map((d, i) => (times[i] === 1 ? d : maxDim(d) * times[i]));
    return this.derive(g.reshape(g.expand(g.reshape(this.node, split), grown), joined));
  }

  /** The tensor repeated along each axis, of which `repeats` may name new ones in front. */
  repeat(repeats: readonly number[]): this {
    if (repeats.length < this.rank) {
      const expected = `a number for each axis of ${formatShape(this.shape)}`;
      throw badArgument('repeat', 'repeats', repeats, expected);
    }
    return this.tile(repeats);
  }

  /** Each element of an axis repeated in place. */
  repeatInterleave(repeats: number, axis: number): this {
    const at = checkAxis('repeatInterleave', axis, this.rank);
    const around = (middle: Dim[]) => [
      ...this.shape.slice(0, at),
      ...middle,
      ...this.shape.slice(at + 1),
    ];
    const size = maxDim(this.shape[at]);
    const grown = g.expand(g.reshape(this.node, around([size, 1])), around([size, repeats]));
    return this.derive(g.reshape(grown, around([size * repeats])));
  }
}

function sliceAxis(node: Node, axis: number, [start, stop, step = 1]: Slice): Node {
  const size = node.shape[axis];
  if (isVar(size)) throw new TypeError('slice: a symbolic axis; use narrow');
  if (!Number.isInteger(step) || step === 0)
    throw badArgument('slice', 'step', step, 'an integer, not 0');
  const clip = (i: number | null, end: number, low: number, high: number) =>
    i === null ? end : Math.min(high, Math.max(low, i < 0 ? i + size : i));
  const forward = step > 0;
  const from = forward ? clip(start, 0, 0, size) : clip(start, size - 1, -1, size - 1);
  const to = forward ? clip(stop, size, 0, size) : clip(stop, -1, -1, size - 1);
  const count = Math.max(0, Math.ceil((to - from) / step));
  const low = forward ? from : from + (count - 1) * step;
  const span = count === 0 ? 0 : (count - 1) * Math.abs(step) + 1;
  const cut = (x: Node, begin: number, length: number) =>
    g.shrink(
      x,
      x.shape.map((d, i): [number, Dim] => (i === axis ? [begin, length] : [0, d])),
    );
  let result = cut(node, count === 0 ? 0 : low, span);
  const stride = Math.abs(step);
  if (stride > 1 && count > 0) {
    const single = g.reshape(result, [...result.shape, 1]);
    const kept = g.window(single, { axis, size: count, stride, dilation: 1 });
    result = g.reshape(kept, kept.shape.slice(0, -1));
  }
  return forward || count === 0 ? result : g.flip(result, [axis]);
}
