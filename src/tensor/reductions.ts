import { isFloat } from '../ir/dtype.ts';
import * as g from '../ir/graph/build.ts';
import type { Node, ReduceFn } from '../ir/graph/types.ts';
import { checkAxes, checkAxis, formatShape, isVar, sizeOf } from '../ir/shape.ts';
import { wide, wideNode } from './autocast.ts';
import { Movement } from './movement.ts';

/** Axes of a reduction: one, several, or all of them (null). */
export type Axes = number | readonly number[] | null;

/** Operations that join the elements of axes. */
export abstract class Reductions extends Movement {
  #reduce(where: ReduceFn, axes: Axes, keepdim: boolean, node: Node = this.node): this {
    const list = checkAxes(where, axes, this.rank);
    return this.derive(dropAxes(g.reduce(where, node, list), list, keepdim));
  }

  /** Bools are counted as i32. */
  sum(axes: Axes = null, keepdim = false): this {
    return this.#reduce(
      'sum',
      axes,
      keepdim,
      this.dtype === 'bool' ? g.cast(this.node, 'i32') : wideNode(this.node),
    );
  }
  prod(axes: Axes = null, keepdim = false): this {
    return this.#reduce('prod', axes, keepdim, wideNode(this.node));
  }
  /** The largest element; NaN wins. Equal ones share the gradient. */
  max(axes: Axes = null, keepdim = false): this {
    this.#requireElements('max', axes);
    return this.#reduce('max', axes, keepdim);
  }
  /** The smallest element; NaN wins. */
  min(axes: Axes = null, keepdim = false): this {
    this.#requireElements('min', axes);
    return this.#reduce('min', axes, keepdim);
  }

  #requireElements(where: string, axes: Axes): void {
    const empty = checkAxes(where, axes, this.rank).some((axis) => this.shape[axis] === 0);
    if (empty) throw new TypeError(`${where}: nothing to reduce in ${formatShape(this.shape)}`);
  }

  #count(where: string, axes: Axes): number {
    const sizes = checkAxes(where, axes, this.rank).map((axis) => this.shape[axis]);
    const symbolic = sizes.find(isVar);
    if (symbolic) throw new TypeError(`${where}: over the symbolic axis ${symbolic.name}; use sum`);
    return sizeOf(sizes);
  }

  mean(axes: Axes = null, keepdim = false): this {
    const x = isFloat(this.dtype) ? this : this.cast('f32');
    return x.sum(axes, keepdim).mul(1 / this.#count('mean', axes));
  }

  /** The variance; `correction` 1 divides by n - 1 (Bessel), 0 by n. */
  var(axes: Axes = null, correction = 1, keepdim = false): this {
    const count = this.#count('var', axes);
    const centred = this.sub(this.mean(axes, true));
    return centred
      .mul(centred)
      .sum(axes, keepdim)
      .div(Math.max(0, count - correction));
  }
  std(axes: Axes = null, correction = 1, keepdim = false): this {
    return rootOf(this.var(axes, correction, keepdim));
  }

  any(axes: Axes = null, keepdim = false): this {
    return this.cast('bool').cast('i32').max(axes, keepdim).cast('bool');
  }
  all(axes: Axes = null, keepdim = false): this {
    return this.cast('bool').cast('i32').min(axes, keepdim).cast('bool');
  }

  /** Place of the largest element (the first of equals; NaN wins), as i32. */
  argmax(axis: number | null = null, keepdim = false): this {
    return this.#arg('max', axis, keepdim);
  }
  /** Place of the smallest element. */
  argmin(axis: number | null = null, keepdim = false): this {
    return this.#arg('min', axis, keepdim);
  }

  #arg(fn: 'max' | 'min', axis: number | null, keepdim: boolean): this {
    if (axis === null) {
      const flat = this.reshape([-1]).#arg(fn, 0, false);
      return keepdim ? flat.reshape(this.shape.map(() => 1)) : flat;
    }
    const at = checkAxis(fn, axis, this.rank);
    this.#requireElements(`arg${fn}`, at);
    const x = this.node;
    const size = this.shape[at];
    const best = g.expand(g.reduce(fn, x, [at]), x.shape);
    const nan = g.binary('and', g.compare('ne', x, x), g.compare('ne', best, best));
    const holds = g.binary('or', g.compare('eq', x, best), nan);
    const places = g.reshape(
      g.iota(size),
      x.shape.map((d, i) => (i === at ? d : 1)),
    );
    const spread = g.expand(places, x.shape);
    const chosen = g.where(holds, spread, g.constLike(spread, 2 ** 31 - 1));
    return this.derive(dropAxes(g.reduce('min', chosen, [at]), [at], keepdim));
  }

  /** log(sum(exp(x))), without overflow. */
  logsumexp(axes: Axes = null, keepdim = false): this {
    const x = wide(this);
    const top = x.max(axes, true).detach();
    // Rows that are all -infinity would give -infinity - -infinity.
    const safe = top.isFinite().where(top, 0);
    const sum = x.sub(safe).exp().sum(axes, true).log().add(safe);
    return sum.derive(dropAxes(sum.node, checkAxes('logsumexp', axes, this.rank), keepdim));
  }

  /** exp(x) / sum(exp(x)) along an axis; rows of nothing but -infinity give NaN. */
  softmax(axis = -1): this {
    const x = wide(this);
    const shifted = x.sub(x.max(axis, true).detach());
    const exponentials = shifted.exp();
    return exponentials.div(exponentials.sum(axis, true));
  }

  logSoftmax(axis = -1): this {
    const x = wide(this);
    const shifted = x.sub(x.max(axis, true).detach());
    return shifted.sub(shifted.exp().sum(axis, true).log());
  }

  /** The 2-norm (or the p-norm for p = 1, 2). */
  norm(p: 1 | 2 = 2, axes: Axes = null, keepdim = false): this {
    const x = wide(this);
    return p === 1 ? x.abs().sum(axes, keepdim) : rootOf(x.mul(x).sum(axes, keepdim));
  }
}

/** Removes reduced axes (of size 1) unless they are kept. */
export function dropAxes(node: Node, axes: readonly number[], keepdim: boolean): Node {
  return keepdim
    ? node
    : g.reshape(
        node,
        node.shape.filter((_, i) => !axes.includes(i)),
      );
}

/** The root whose gradient at 0 is 0, as PyTorch has it for norms and deviations. */
function rootOf<H extends Reductions>(x: H): H {
  const zero = x.eq(0);
  return zero.where(0, zero.where(1, x).sqrt()) as H;
}
