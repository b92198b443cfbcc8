import * as g from '../ir/graph/build.ts';
import type { Node } from '../ir/graph/types.ts';
import { broadcastShapes, checkAxis, dimsEqual, formatShape, type Shape } from '../ir/shape.ts';
import { productNodes } from './autocast.ts';
import { broadcastNode, Handle } from './handle.ts';
import { Reductions } from './reductions.ts';

/** Operations whose places are data, and products. */
export abstract class Indexing extends Reductions {
  /** out[.., i, ..] = x[.., index[.., i, ..], ..] along an axis; an index out of range throws. */
  gather(axis: number, index: Handle): this {
    const at = checkAxis('gather', axis, this.rank);
    const places = asIndex('gather', index);
    return this.derive(g.gather(this.cropTo(places.shape, at), places, at), index);
  }

  /** PyTorch lets the index be smaller than x on the other axes. */
  protected cropTo(shape: Shape, axis: number): Node {
    if (shape.length !== this.rank) {
      throw new TypeError(`gather: index is ${formatShape(shape)}; expected ${this.rank} axes`);
    }
    return g.shrink(
      this.node,
      this.shape.map((d, i) => (i === axis ? [0, d] : [0, shape[i]])),
    );
  }

  /** Rows (or places of another axis) by a list of indices [n]. */
  indexSelect(axis: number, index: Handle): this {
    const at = checkAxis('indexSelect', axis, this.rank);
    return this.derive(
      g.gather(this.node, spreadIndex(asIndex('indexSelect', index), this.shape, at), at),
      index,
    );
  }

  /** x with updates added at x[.., index, ..] along an axis; equal places add up. */
  scatterAdd(axis: number, index: Handle, updates: Handle): this {
    return this.#scatter('scatterAdd', axis, index, updates, 'add');
  }

  /** x with updates put at places along an axis; of equal places the last wins. */
  scatter(axis: number, index: Handle, updates: Handle): this {
    return this.#scatter('scatter', axis, index, updates, 'set');
  }

  #scatter(where: string, axis: number, index: Handle, updates: Handle, mode: 'add' | 'set'): this {
    const at = checkAxis(where, axis, this.rank);
    const places = asIndex(where, index);
    const values = g.cast(updates.node, this.dtype);
    const smaller = this.shape.some((d, i) => i !== at && d !== places.shape[i]);
    if (!smaller)
      return this.derive(g.scatter(this.node, places, values, at, mode), index, updates);
    // Places beyond the index: their rows are cut off, changed, and put back.
    const inner = g.scatter(this.cropTo(places.shape, at), places, values, at, mode);
    const pads = this.shape.map((d, i): [number, number] =>
      i === at ? [0, 0] : [0, (d as number) - (places.shape[i] as number)],
    );
    const ones = g.full(1, inner.shape, 'i32');
    const covered = g.cast(g.pad(ones, pads, 0), 'bool');
    return this.derive(g.where(covered, g.pad(inner, pads, 0), this.node), index, updates);
  }

  /** x with the rows of `source` added at x[index] along an axis; index is [n]. */
  indexAdd(axis: number, index: Handle, source: Handle): this {
    const at = checkAxis('indexAdd', axis, this.rank);
    const places = spreadIndex(asIndex('indexAdd', index), source.shape, at);
    return this.derive(g.scatter(this.node, places, source.node, at, 'add'), index, source);
  }

  /** x with the rows of `source` put at x[index] along an axis; index is [n], of equals the last wins. */
  indexCopy(axis: number, index: Handle, source: Handle): this {
    const at = checkAxis('indexCopy', axis, this.rank);
    const places = spreadIndex(asIndex('indexCopy', index), source.shape, at);
    const values = g.cast(source.node, this.dtype);
    return this.derive(g.scatter(this.node, places, values, at, 'set'), index, source);
  }

  /** x with a number put at x[index] along an axis; index is [n]. */
  indexFill(axis: number, index: Handle, value: number): this {
    const at = checkAxis('indexFill', axis, this.rank);
    const places = spreadIndex(asIndex('indexFill', index), this.shape, at);
    const values = g.full(value, places.shape, this.dtype);
    return this.derive(g.scatter(this.node, places, values, at, 'set'), index);
  }

  /** Elements by their places in the flat tensor: the result has the shape of the index. */
  take(index: Handle): this {
    const places = g.reshape(asIndex('take', index), [index.size]);
    const taken = g.gather(g.reshape(this.node, [this.size]), places, 0);
    return this.derive(g.reshape(taken, index.shape), index);
  }

  /** As gather, but the other axes of x and index broadcast; without an axis both are flat. */
  takeAlongDim(index: Handle, axis?: number): this {
    if (axis === undefined) return this.take(index.derive(g.reshape(index.node, [index.size])));
    const at = checkAxis('takeAlongDim', axis, this.rank);
    const places = asIndex('takeAlongDim', index);
    const lead = Math.max(0, this.rank - places.shape.length);
    const wide = g.reshape(places, [...new Array<number>(lead).fill(1), ...places.shape]);
    const without = (shape: Shape) => shape.map((d, i) => (i === at ? 1 : d));
    const around = broadcastShapes('takeAlongDim', without(this.shape), without(wide.shape));
    const spread = (node: Node) =>
      broadcastNode(
        node,
        around.map((d, i) => (i === at ? node.shape[i] : d)),
      );
    return this.derive(g.gather(spread(this.node), spread(wide), at), index);
  }

  /**
   * Matrix product by PyTorch's rules: vectors are rows or columns, axes in front of the last two
   * are a batch and broadcast.
   */
  matmul(other: Handle): this {
    const [x, y] = productNodes(this.node, requireNode('matmul', other));
    return this.derive(matmulNodes(x, y), other);
  }

  /** x W' + b, with W of shape [out, in]. */
  linear(weight: Handle, bias?: Handle): this {
    const given = [this.node, requireNode('linear', weight), ...(bias ? [bias.node] : [])];
    const [x, w, b] = productNodes(...given);
    const product = g.dot(x, g.permute(w, [1, 0]), 0, 1);
    if (!bias) return this.derive(product, weight);
    const sum = g.binary('add', product, broadcastNode(b, product.shape));
    return this.derive(sum, weight, bias);
  }

  /**
   * The rows of this table [count, width] at indices of any shape: result [...indices, width].
   * An index out of range throws.
   */
  embedding(index: Handle): this {
    const flat = g.reshape(asIndex('embedding', index), [index.size]);
    const rows = g.gather(this.node, spreadIndex(flat, this.shape, 0), 0);
    return this.derive(g.reshape(rows, [...index.shape, ...this.shape.slice(1)]), index);
  }
}

function requireNode(where: string, value: unknown): Node {
  if (value instanceof Handle) return value.node;
  throw new TypeError(`${where}: other is ${String(value)}; expected a tensor`);
}

function asIndex(where: string, index: Handle): Node {
  const { dtype, node } = index;
  if (dtype === 'i32') return node;
  if (dtype === 'u32' || dtype === 'u8' || dtype === 'i8') return g.cast(node, 'i32');
  throw new TypeError(`${where}: index is ${dtype}; expected integers`);
}

/** An index [n] for whole rows: repeated over the other axes of `shape`. */
function spreadIndex(index: Node, shape: Shape, axis: number): Node {
  const single = shape.map((_, i) => (i === axis ? index.shape[0] : 1));
  return g.expand(
    g.reshape(index, single),
    shape.map((d, i) => (i === axis ? index.shape[0] : d)),
  );
}

function matmulNodes(x: Node, y: Node): Node {
  if (x.shape.length === 0 || y.shape.length === 0) {
    throw new TypeError('matmul: operands must have at least one axis');
  }
  const a = x.shape.length === 1 ? g.reshape(x, [1, ...x.shape]) : x;
  const b = y.shape.length === 1 ? g.reshape(y, [...y.shape, 1]) : y;
  const inner = a.shape[a.shape.length - 1];
  if (!dimsEqual(inner, b.shape[b.shape.length - 2])) {
    throw new TypeError(
      `matmul: ${formatShape(x.shape)} and ${formatShape(y.shape)} do not agree in the inner size`,
    );
  }
  const product = multiply(a, b);
  const shape = product.shape.filter(
    (_, i) =>
      !(x.shape.length === 1 && i === product.shape.length - 2) &&
      !(y.shape.length === 1 && i === product.shape.length - 1),
  );
  return g.reshape(product, shape);
}

function multiply(a: Node, b: Node): Node {
  // A single right matrix serves all rows: no batch is needed.
  if (b.shape.length === 2) return g.dot(a, b, 0, 1);
  const batch = broadcastShapes('matmul', a.shape.slice(0, -2), b.shape.slice(0, -2));
  const left = broadcastNode(a, [...batch, ...a.shape.slice(-2)]);
  const right = broadcastNode(b, [...batch, ...b.shape.slice(-2)]);
  return g.dot(left, right, batch.length, 1);
}
