import { badArgument } from '../base/errors.ts';
import type { Device } from '../device/index.ts';
import { type DType, isFloat, promote } from '../ir/dtype.ts';
import * as g from '../ir/graph/build.ts';
import type { Node } from '../ir/graph/types.ts';
import { broadcastShapes, formatShape, type Shape, sizeOf } from '../ir/shape.ts';
import { Lazy, unwatch, watch } from './lazy.ts';
import { enqueue } from './queue.ts';
import { realizeAll } from './realize.ts';
import { enter, leave } from './scope.ts';
import { refuseReading } from './trace.ts';

/** What an operation takes beside its tensor. */
export type Operand = Handle | number | boolean;

/** The elements of an array, in the class of its type (small floats and bools as their bits). */
type Data = Awaited<ReturnType<Device['read']>>;

/** Nested lists, as `toArray` gives and `tensor` takes. */
export type Nested = number | boolean | readonly Nested[];

/**
 * The part of a Tensor that is about being one: its type, its life, its data. The operations follow
 * in the classes above it, a family each; `Tensor` is the last.
 */
export abstract class Handle {
  readonly #lazy: Lazy;
  #disposed = false;

  /** @internal */
  constructor(lazy: Lazy) {
    this.#lazy = lazy;
    watch(this, lazy, `${lazy.node.dtype}${formatShape(lazy.node.shape)}`);
    enter(this);
  }

  /** A tensor of this very class over a new value. */
  protected abstract wrap(lazy: Lazy): this;

  /** @internal The value behind the handle. */
  get lazy(): Lazy {
    if (this.#disposed) {
      const type = `${this.#lazy.node.dtype}${formatShape(this.#lazy.node.shape)}`;
      throw new TypeError(
        `a disposed tensor (${type}) is used; use it before dispose() or scope() end`,
      );
    }
    return this.#lazy;
  }

  /** @internal */
  get node(): Node {
    return this.lazy.node;
  }

  get dtype(): DType {
    return this.#lazy.node.dtype;
  }

  /** Sizes of the axes; symbolic ones appear as vars. */
  get shape(): Shape {
    return this.#lazy.node.shape;
  }

  /** Number of axes. */
  get rank(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  get device(): Device {
    return this.#lazy.device;
  }

  get isDisposed(): boolean {
    return this.#disposed;
  }

  /** Frees this handle at once; the memory goes when no other tensor needs it. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    unwatch(this);
    leave(this);
    this.#lazy.release();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal A tensor computed from this one and other operands. */
  derive(node: Node, ...others: Handle[]): this {
    const sources = [this.lazy, ...others.map((o) => o.lazy)];
    for (const other of others) {
      if (other.device !== this.device) {
        throw new TypeError(
          `operands are on ${this.device.name} and ${other.device.name}; expected one device`,
        );
      }
    }
    // Only what is in memory or still to be computed must be kept; each source once.
    return this.wrap(new Lazy(this.device, node, [...new Set(sources)]));
  }

  /** @internal An operand as a handle: numbers take this tensor's type where they fit. */
  operand(where: string, value: Operand): Handle {
    if (value instanceof Handle) return value;
    if (typeof value !== 'number' && typeof value !== 'boolean') {
      throw badArgument(where, 'other', value, 'a tensor, a number or a boolean');
    }
    const dtype = this.#literalType(value);
    return this.wrap(new Lazy(this.device, g.scalar(Number(value), dtype), []));
  }

  #literalType(value: number | boolean): DType {
    if (typeof value === 'boolean') return this.dtype === 'bool' ? 'bool' : this.dtype;
    if (isFloat(this.dtype)) return this.dtype;
    if (!Number.isInteger(value)) return 'f32';
    return this.dtype === 'bool' ? 'i32' : this.dtype;
  }

  /** @internal Both operands at their common type and shape. */
  pair(where: string, value: Operand, type?: DType): { x: Node; y: Node; other: Handle } {
    const other = this.operand(where, value);
    const dtype = type ?? promote(this.dtype, other.dtype);
    const shape = broadcastShapes(where, this.shape, other.shape);
    return {
      x: broadcastNode(g.cast(this.node, dtype), shape),
      y: broadcastNode(g.cast(other.node, dtype), shape),
      other,
    };
  }

  /** Computes the value now, if it is not in memory. */
  realize(): Promise<this> {
    refuseReading('realize', this);
    return this.#realize();
  }

  async #realize(): Promise<this> {
    await realizeAll([this.lazy]);
    return this;
  }

  /**
   * A copy of the elements, row-major, in the array class of the type.
   *
   * @throws TypeError at once where a transform traces a function and the value depends on its
   *   arguments: it will only be known when the traced program runs
   */
  data(): Promise<Data> {
    refuseReading('data', this);
    return this.#read();
  }

  async #read(): Promise<Data> {
    const { lazy } = this;
    lazy.retain();
    try {
      await realizeAll([lazy]);
      const { storage } = lazy;
      if (!storage) throw new TypeError('the tensor has no value');
      // In turn: a step that runs in slices may be writing.
      const { dtype, size } = this;
      return await enqueue(storage.device, async () =>
        storage.device.read(storage.allocation, dtype, size),
      );
    } finally {
      lazy.release();
    }
  }

  /** The single element of a tensor of one element, as a number. */
  item(): Promise<number> {
    refuseReading('item', this);
    return this.#item();
  }

  async #item(): Promise<number> {
    if (this.size !== 1) {
      throw new TypeError(`item: the tensor is ${formatShape(this.shape)}; expected one element`);
    }
    const [value] = await this.#read();
    return value;
  }

  /** The elements as nested lists (a number for a scalar). */
  toArray(): Promise<Nested> {
    refuseReading('toArray', this);
    return this.#read().then((data) => this.#nested(data));
  }

  #nested(data: Data): Nested {
    const nest = (axis: number, offset: number, stride: number): Nested => {
      if (axis === this.rank) return data[offset];
      const size = this.shape[axis] as number;
      const inner = size === 0 ? 0 : stride / size;
      return Array.from({ length: size }, (_, i) => nest(axis + 1, offset + i * inner, inner));
    };
    return nest(0, 0, data.length);
  }

  toString(): string {
    const state = this.#disposed ? 'disposed' : this.#lazy.storage ? 'in memory' : 'lazy';
    return `Tensor(${this.dtype}${formatShape(this.shape)}, ${this.device.name}, ${state})`;
  }
}

/** A node repeated to a shape by numpy's rule. */
export function broadcastNode(node: Node, shape: Shape): Node {
  const lead = shape.length - node.shape.length;
  const padded = g.reshape(node, [...shape.slice(0, lead).map(() => 1), ...node.shape]);
  return g.expand(padded, shape);
}
