import { badArgument } from '../base/errors.ts';
import * as g from '../ir/graph/build.ts';
import { extremePlaces } from '../ir/graph/ops/scan.ts';
import type { Node, ScanFn } from '../ir/graph/types.ts';
import { checkAxis, formatShape, isVar, maxDim } from '../ir/shape.ts';
import { wideNode } from './autocast.ts';
import { Indexing } from './indexing.ts';
import { dropAxes } from './reductions.ts';

/** Elements, and their places along the axis as i32. */
export interface Placed<T> {
  readonly values: T;
  readonly indices: T;
}

/**
 * Operations along the order of an axis: running results and sorts. Sorting is stable, NaN is the
 * greatest value and -0 equals 0; gradients flow to the elements that were chosen.
 */
export abstract class Ordering extends Indexing {
  #scan(where: string, fn: ScanFn, axis: number, node: Node = this.node): this {
    return this.derive(g.scan(fn, node, checkAxis(where, axis, this.rank)));
  }

  /** The sum of the elements up to each place of an axis. Bools are counted as i32. */
  cumsum(axis: number): this {
    const x = this.dtype === 'bool' ? g.cast(this.node, 'i32') : wideNode(this.node);
    return this.#scan('cumsum', 'sum', axis, x);
  }

  /** The product of the elements up to each place of an axis. */
  cumprod(axis: number): this {
    return this.#scan('cumprod', 'prod', axis, wideNode(this.node));
  }

  /** log(sum(exp(x))) of the elements up to each place of an axis, without overflow. */
  logcumsumexp(axis: number): this {
    return this.#scan('logcumsumexp', 'logaddexp', axis, wideNode(this.node));
  }

  /** The largest element up to each place of an axis (of equals the last; NaN wins). */
  cummax(axis: number): Placed<this> {
    return this.#extremes('cummax', 'max', axis);
  }

  /** The smallest element up to each place of an axis (of equals the last; NaN wins). */
  cummin(axis: number): Placed<this> {
    return this.#extremes('cummin', 'min', axis);
  }

  #extremes(where: string, fn: 'max' | 'min', axis: number): Placed<this> {
    const at = checkAxis(where, axis, this.rank);
    const values = g.scan(fn, this.node, at);
    const indices = extremePlaces(g.build, this.node, values, at);
    return { values: this.derive(values), indices: this.derive(indices) };
  }

  /** The places of the elements in order, as i32; equal elements keep theirs in both directions. */
  argsort(axis = -1, descending = false): this {
    return this.derive(this.#order('argsort', axis, descending));
  }

  /** The elements in order, and the places where they were. */
  sort(axis = -1, descending = false): Placed<this> {
    const order = this.#order('sort', axis, descending);
    return this.#at(order, checkAxis('sort', axis, this.rank));
  }

  #order(where: string, axis: number, descending: boolean): Node {
    const at = checkAxis(where, axis, this.rank);
    if (!descending) return g.sort(this.node, at);
    // Ascending from the other end, read backwards: equals then come in their order.
    const backwards = g.flip(g.sort(g.flip(this.node, [at]), at), [at]);
    return g.binary('sub', g.constLike(backwards, maxDim(this.shape[at]) - 1), backwards);
  }

  /** The elements at places along an axis; the places have this tensor's shape elsewhere. */
  #at(places: Node, axis: number): Placed<this> {
    const values = g.gather(this.node, places, axis);
    return { values: this.derive(values), indices: this.derive(places) };
  }

  /**
   * The k largest (or smallest) elements of an axis, in order; of equals the first. NaN counts as
   * the largest.
   */
  topk(k: number, axis = -1, largest = true): Placed<this> {
    const at = checkAxis('topk', axis, this.rank);
    const size = this.#length('topk', at);
    if (!Number.isInteger(k) || k < 0 || k > size) {
      throw badArgument('topk', 'k', k, `an integer from 0 to ${size}`);
    }
    const order = this.#order('topk', at, largest);
    return this.#at(cut(order, at, 0, k), at);
  }

  /** The k-th smallest element of an axis, counted from 1. */
  kthvalue(k: number, axis = -1, keepdim = false): Placed<this> {
    const at = checkAxis('kthvalue', axis, this.rank);
    const size = this.#length('kthvalue', at);
    if (!Number.isInteger(k) || k < 1 || k > size) {
      throw badArgument('kthvalue', 'k', k, `an integer from 1 to ${size}`);
    }
    const place = cut(this.#order('kthvalue', at, false), at, k - 1, 1);
    return this.#dropped(this.#at(place, at), at, keepdim);
  }

  /**
   * The median of all elements, or of an axis with its place. Of an even number it is the lower of
   * the two in the middle; where there is a NaN it is NaN.
   */
  median(): this;
  median(axis: number, keepdim?: boolean): Placed<this>;
  median(axis?: number, keepdim = false): this | Placed<this> {
    if (axis === undefined) return this.reshape([-1]).#median('median', 0, false, false).values;
    return this.#median('median', axis, keepdim, false);
  }

  /** The median of what is not NaN; NaN where there is nothing else. */
  nanmedian(): this;
  nanmedian(axis: number, keepdim?: boolean): Placed<this>;
  nanmedian(axis?: number, keepdim = false): this | Placed<this> {
    if (axis === undefined) return this.reshape([-1]).#median('nanmedian', 0, false, true).values;
    return this.#median('nanmedian', axis, keepdim, true);
  }

  #median(where: string, axis: number, keepdim: boolean, ignoreNaN: boolean): Placed<this> {
    const at = checkAxis(where, axis, this.rank);
    const size = this.#length(where, at);
    if (size === 0) throw new TypeError(`${where}: no elements in ${formatShape(this.shape)}`);
    const isNumber = g.cast(g.compare('eq', this.node, this.node), 'i32');
    const numbers = g.reduce('sum', isNumber, [at]);
    const of = (value: number) => g.constLike(numbers, value);
    // NaN stand behind the numbers: the first of them follows the last number.
    const wanted = ignoreNaN
      ? g.binary('shr', g.binary('max', g.binary('sub', numbers, of(1)), of(0)), of(1))
      : g.where(g.compare('eq', numbers, of(size)), of((size - 1) >> 1), numbers);
    const place = g.gather(this.#order(where, at, false), wanted, at);
    return this.#dropped(this.#at(place, at), at, keepdim);
  }

  #dropped({ values, indices }: Placed<this>, axis: number, keepdim: boolean): Placed<this> {
    return {
      values: values.derive(dropAxes(values.node, [axis], keepdim)),
      indices: indices.derive(dropAxes(indices.node, [axis], keepdim)),
    };
  }

  #length(where: string, axis: number): number {
    const dim = this.shape[axis];
    if (isVar(dim)) {
      throw badArgument(where, 'axis', axis, `a static axis of ${formatShape(this.shape)}`);
    }
    return dim;
  }
}

function cut(x: Node, axis: number, start: number, length: number): Node {
  return g.shrink(
    x,
    x.shape.map((dim, i) => (i === axis ? [start, length] : [0, dim])),
  );
}
