import { InternalError } from '../../base/errors.ts';
import { roundTo } from '../../ir/float-formats.ts';
import { REDUCE } from '../../ir/graph/functions.ts';
import { indexingText } from '../../ir/graph/ops/indexing.ts';
import { reduceIdentity } from '../../ir/graph/ops/reduce.ts';
import type { Node, NodeOf } from '../../ir/graph/types.ts';
import { type KernelBuilder, valueDType } from '../../ir/kernel/builder.ts';
import {
  atLane,
  constant,
  div,
  hasLane,
  type Index,
  laneStep,
  mod,
  range,
  sub,
  varIndex,
  ZERO,
} from '../../ir/kernel/index-expr.ts';
import type { Buffer, Mask, Value } from '../../ir/kernel/types.ts';
import { proveNonNegative } from '../../ir/kernel/verify-bounds.ts';
import { type Dim, isVar, maxDim, sizeOf } from '../../ir/shape.ts';
import { provenIndex } from './affine.ts';
import { dimIndex, linearIndex, pushIndex, throughMovements } from './movement.ts';
import { lowerBitcast, mustNarrow, narrowed } from './narrow.ts';
import { QuantizationLowering } from './quantization.ts';
import { PARTIALS, reduceInOrder } from './reduce.ts';
import type { RowCache } from './row-cache.ts';
import { identityValue, lowerBinary, lowerUnary } from './scalar.ts';

/** Where the values of nodes that other kernels computed are found. */
export interface Sources {
  /** The buffer that holds a node, or undefined when this kernel computes it itself. */
  bufferOf(node: Node): Buffer | undefined;
  /** Values, by node id, of which the kernel keeps a row. */
  readonly rowCaches?: ReadonlyMap<number, RowCache> | undefined;
  /** Instructions for one element of a node that this kernel computes itself. */
  costOf(node: Node): number;
}

/** Expressions of so many instructions fill the registers by themselves. */
const HEAVY = 12;

/** A row kept in a local buffer. */
interface KeptRow {
  readonly buffer: Buffer;
  /** False while the reduction that fills it is being built. */
  complete: boolean;
}

/**
 * Turns graph nodes into kernel values at an index. All fusion happens here: a node without a
 * buffer is computed in place, movement ops become address arithmetic, and an index that holds the
 * lane gives a vector.
 */
export class ExpressionLowering {
  readonly #b: KernelBuilder;
  readonly #sources: Sources;
  readonly #quantization: QuantizationLowering;
  /** Values given from outside (a template's result) for one index. */
  readonly #given = new Map<string, Value>();
  /**
   * Values already computed. Keys hold loop ids, which are never used twice, so an entry whose
   * loops have ended is never asked for.
   */
  readonly #memo = new Map<string, Value>();
  /** Rows kept, by node and the rest of its index. */
  readonly #rows = new Map<string, KeptRow>();

  constructor(b: KernelBuilder, sources: Sources) {
    this.#b = b;
    this.#sources = sources;
    this.#quantization = new QuantizationLowering(b, (node, index, mask) =>
      this.evaluate(node, index, mask),
    );
  }

  /** Makes `node` at `index` stand for a value that a template has computed. */
  give(node: Node, index: readonly Index[], value: Value): void {
    this.#given.set(keyOf(node, index, []), value);
  }

  /** The memory of a node that this kernel does not compute itself. */
  memoryOf(node: Node): Buffer {
    const buffer = this.#sources.bufferOf(node);
    if (!buffer) throw new InternalError(`${node.op} has no buffer`);
    return buffer;
  }

  /** Where an element lies, of a node that is in memory or a view of what is; else undefined. */
  placeOf(
    node: Node,
    index: readonly Index[],
  ): { readonly buffer: Buffer; readonly index: Index } | undefined {
    const isHeld = (other: Node) => this.#sources.bufferOf(other) !== undefined;
    const read = throughMovements(node, index, isHeld);
    return (
      read && { buffer: this.memoryOf(read.node), index: linearIndex(read.index, read.node.shape) }
    );
  }

  /** Lanes in which the mask fails may hold anything, and so may all where it fails in each. */
  evaluate(node: Node, index: readonly Index[], mask: Mask = []): Value {
    const wide = this.evaluateToStore(node, index, mask);
    if (!mustNarrow(node) || this.#sources.bufferOf(node)) return wide;
    return narrowed(this.#b, node.dtype, wide);
  }

  /** The same for a value that goes into memory at once: the store rounds it to the node's type. */
  evaluateToStore(node: Node, index: readonly Index[], outer: Mask = []): Value {
    const mask = this.#maskFor(index, outer);
    const given = this.#given.get(keyOf(node, index, []));
    if (given) return given;
    const key = keyOf(node, index, mask);
    const known = this.#memo.get(key);
    if (known) return known;
    const cache = this.#sources.rowCaches?.get(node.id);
    const value = cache
      ? this.#throughRow(node, index, cache, mask)
      : this.#compute(node, index, mask);
    this.#memo.set(key, value);
    return value;
  }

  /**
   * The part of a mask that matters at an index. What all lanes share is wanted by the first one,
   * for which the end of a row's last vector always holds.
   */
  #maskFor(index: readonly Index[], mask: Mask): Mask {
    if (!this.#b.target.laneMasks || mask.length === 0 || index.some(hasLane)) return mask;
    return mask.filter((m) => !(hasLane(m) && proveNonNegative(atLane(m, 0), [])));
  }

  /** A value of which a row is kept: computed where the row is filled, read anywhere else. */
  #throughRow(node: Node, index: readonly Index[], { filler, axis }: RowCache, mask: Mask): Value {
    const b = this.#b;
    const rest = index.map((i, a) => (a === axis ? ZERO : i));
    // Under another mask than that of the row's end nobody knows whether there is such a row.
    if (this.#maskFor(rest, mask).length > 0) return this.#compute(node, index, mask);
    const key = keyOf(node, rest, []);
    if (!this.#rows.has(key) && !rest.some(hasLane)) this.evaluate(filler, rest);
    const row = this.#rows.get(key);
    // Where its index is known, since the value is remembered for all places inside.
    if (row?.complete) {
      return b.at(this.#depthOf(index, mask), () => this.#read(row.buffer, index[axis], mask));
    }
    const value = this.#compute(node, index, mask);
    if (row) b.store(row.buffer, index[axis], value, mask);
    return value;
  }

  /** Buffers for the rows that a reduction fills, while it is being built. */
  #openRows(reduction: Node, index: readonly Index[], mask: Mask): KeptRow[] {
    const opened: KeptRow[] = [];
    if (mask.length > 0 || index.some(hasLane)) return opened;
    for (const [id, { filler, axis, dtype }] of this.#sources.rowCaches ?? []) {
      if (filler !== reduction) continue;
      const size = maxDim(filler.src[0].shape[axis]);
      const name = `row${this.#rows.size}`;
      const buffer = this.#b.buffer(name, valueDType(dtype), size, 'local');
      const row: KeptRow = { buffer, complete: false };
      this.#rows.set(keyOf({ id }, index, []), row);
      opened.push(row);
    }
    return opened;
  }

  #depthOf(index: readonly Index[], mask: Mask): number {
    let depth = 0;
    for (const i of index) depth = Math.max(depth, this.#b.indexDepth(i));
    for (const i of mask) depth = Math.max(depth, this.#b.indexDepth(i));
    return depth;
  }

  #compute(node: Node, index: readonly Index[], mask: Mask): Value {
    const b = this.#b;
    const buffer = this.#sources.bufferOf(node);
    if (buffer) {
      const place = linearIndex(index, node.shape);
      return this.#read(buffer, place, mask);
    }
    const source = (i: number) => this.evaluate(node.src[i], index, mask);
    switch (node.op) {
      case 'const':
        return b.const(valueDType(node.dtype), roundTo(node.dtype, node.arg.value));
      case 'var':
        return b.index(varIndex(node.arg.variable));
      case 'iota':
        return b.index(index[0]);
      case 'cast':
        return this.#cast(source(0), node);
      case 'bitcast':
        return lowerBitcast(b, source(0), node.src[0].dtype, node.dtype);
      case 'unary':
        return lowerUnary(b, node.arg.fn, source(0));
      case 'binary':
        return lowerBinary(b, node.arg.fn, source(0), source(1));
      case 'compare':
        return b.compare(node.arg.fn, source(0), source(1));
      case 'where':
        return b.select(source(0), source(1), source(2));
      case 'reshape':
      case 'permute':
      case 'expand':
      case 'shrink':
      case 'flip':
      case 'window':
        return this.evaluate(node.src[0], pushIndex(node, index).index, mask);
      case 'pad':
        return this.#masked(node, index, mask, node.arg.value);
      case 'spread':
        return this.#masked(node, index, mask, 0);
      case 'gather':
        return this.#gather(node, index, mask);
      case 'quantize':
        return this.#quantization.quantize(node, index, mask);
      case 'dequantize':
        return this.#quantization.dequantize(node, index, mask);
      case 'reduce':
        return this.#reduce(node, index, mask);
      case 'buffer':
      case 'dot':
      case 'scan':
      case 'scatter':
      case 'sort':
      case 'call':
        throw new InternalError(`${node.op} has no buffer`);
      case 'mark':
      case 'after':
        throw new InternalError(`${node.op} was not left out`);
      default:
        return node satisfies never;
    }
  }

  /**
   * Lanes that the mask or the place treats apart are read apart, each with its own proof, unless
   * the target has masks for lanes and nothing is uneven.
   */
  #read(buffer: Buffer, place: Index, mask: Mask): Value {
    const b = this.#b;
    const asked = mask.filter((m) => range(m).min < 0);
    const perLane = asked.some(hasLane);
    const evenly = [place, ...asked].every(laneStep);
    if ((perLane && !b.target.laneMasks) || ((perLane || hasLane(place)) && !evenly)) {
      const one = (lane: number) =>
        this.#read(
          buffer,
          atLane(place, lane),
          mask.map((m) => atLane(m, lane)),
        );
      return b.pack(b.eachLane(one));
    }
    return b.load(buffer, place, guarded(place, buffer.size, asked));
  }

  #cast(x: Value, node: NodeOf<'cast'>): Value {
    const b = this.#b;
    const to = valueDType(node.dtype);
    // Floats become 8-bit integers by way of i32, whose ends they stop at.
    const float = x.dtype === 'f32' || x.dtype === 'f64';
    const whole = node.dtype === 'u8' && float ? b.convert(x, 'i32') : x;
    return b.convert(whole, to);
  }

  /** A movement whose result has places that its source has not. */
  #masked(
    node: NodeOf<'pad'> | NodeOf<'spread'>,
    index: readonly Index[],
    outer: Mask,
    other: number,
  ): Value {
    const b = this.#b;
    const moved = pushIndex(node as Node, index);
    const mask = [...outer, ...moved.mask];
    const inside = this.evaluate(node.src[0], moved.index, mask);
    const outside = b.const(inside.dtype, roundTo(node.dtype, other));
    return this.#under(moved.mask, inside, outside);
  }

  /** Lanes that gather along an axis of the index each read their own element. */
  #gather(node: NodeOf<'gather'>, index: readonly Index[], mask: Mask): Value {
    const b = this.#b;
    const [x, places] = node.src;
    const { axis } = node.arg;
    const given = b.target.laneMasks ? mask : [];
    const proven = provenIndex(places, index, maxDim(x.shape[axis]), given);
    if (proven) return this.evaluate(x, index.with(axis, proven), mask);
    // What is computed outside the mask is never used and must not be checked.
    const place = this.#under(mask, this.evaluate(places, index, mask), b.const('i32', 0));
    const what = indexingText('gather', x.shape, axis);
    const at = (single: Value, where: readonly Index[], under: Mask) => {
      const data = b.checked(single, maxDim(x.shape[axis]), what);
      return this.evaluate(
        x,
        where.map((i, a) => (a === axis ? data : i)),
        under,
      );
    };
    if (place.lanes === 1) return at(place, index, mask);
    const perLane = (list: readonly Index[], lane: number) => list.map((i) => atLane(i, lane));
    return b.pack(
      b.eachLane((lane) => at(b.lane(place, lane), perLane(index, lane), perLane(mask, lane))),
    );
  }

  /** A value where the mask holds, elsewhere another. */
  #under(mask: Mask, value: Value, other: Value): Value {
    const b = this.#b;
    const zero = b.const('i32', 0);
    return mask.reduce((v, m) => b.select(b.compare('le', zero, b.index(m)), v, other), value);
  }

  /** A reduction runs once, in the outermost block where its index is known. */
  #reduce(node: NodeOf<'reduce'>, index: readonly Index[], mask: Mask): Value {
    const b = this.#b;
    const [x] = node.src;
    const { fn, axes } = node.arg;
    const sizes = axes.map((axis) => x.shape[axis]);
    const dtype = valueDType(node.dtype);
    const length =
      sizes.length === 1 ? dimIndex(sizes[0]) : constant(sizeOf(sizes.map((d) => staticSize(d))));
    const element = (i: Index, inside: Mask = []): Value => {
      const parts = splitIndex(i, sizes);
      const at = x.shape.map((_, axis) => {
        const position = axes.indexOf(axis);
        return position < 0 ? index[axis] : parts[position];
      });
      return this.evaluate(x, at, [...mask, ...inside]);
    };
    // A window's few places: written out, their indices need no division.
    const unrolled = sizes.length > 1 && length.isConstant && length.constant < PARTIALS;
    const perLane = index.some(hasLane) || mask.some(hasLane);
    const rows = this.#openRows(node as Node, index, mask);
    const result = b.at(this.#depthOf(index, mask), () =>
      reduceInOrder(b, {
        length,
        combine: (p, q) => lowerBinary(b, REDUCE[fn].combine, p, q),
        identity: identityValue(b, dtype, reduceIdentity(fn, node.dtype)),
        element,
        perLane,
        unrolled,
        isHeavy: this.#sources.costOf(x) >= HEAVY,
        inAnyOrder: fn === 'min' || fn === 'max',
      }),
    );
    for (const row of rows) row.complete = true;
    return result;
  }
}

/**
 * Where the prover does not see that masks keep an access inside (remainders of remainders), the
 * bounds themselves join the mask.
 */
function guarded(place: Index, size: number, mask: Mask): Mask {
  if (mask.length === 0) return mask;
  const room = sub(constant(size - 1), place);
  if (proveNonNegative(place, mask) && proveNonNegative(room, mask)) return mask;
  return [...mask, place, room];
}

function staticSize(dim: Dim): number {
  if (isVar(dim)) {
    throw new TypeError(
      `a reduction over several axes has the symbolic size ${dim.name}; reduce it by itself`,
    );
  }
  return dim;
}

/** The row-major parts of a flat index. */
export function splitIndex(flat: Index, sizes: readonly Dim[]): Index[] {
  const parts = new Array<Index>(sizes.length);
  let rest = flat;
  for (let i = sizes.length - 1; i >= 0; i--) {
    const size = maxDim(sizes[i]);
    parts[i] = i === 0 ? rest : size === 1 ? ZERO : mod(rest, size);
    rest = i === 0 ? rest : div(rest, size);
  }
  return parts;
}

function keyOf(node: Pick<Node, 'id'>, index: readonly Index[], mask: Mask): string {
  const where = index.map((i) => i.key).join(',');
  return mask.length === 0
    ? `${node.id}@${where}`
    : `${node.id}@${where}?${mask.map((m) => m.key).join('&')}`;
}
