import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import {
  add,
  atLane,
  constant,
  div,
  type Index,
  mul,
  range,
  sub,
  ZERO,
} from '../../ir/kernel/index-expr.ts';
import type { Buffer, Mask, Value } from '../../ir/kernel/types.ts';
import { turnSquare } from './square.ts';

/**
 * Rows of a register tile; keys, too, where gradients by them are summed. With two vectors a row there are
 * as many sums as keep the multipliers busy, and registers for them.
 */
export function tileRows({ lanes }: { readonly lanes: number }): number {
  return lanes === 16 ? 8 : 4;
}

/** Columns across a register tile at most, in lanes: no panel is wider than a tile of keys. */
const WIDEST = 32;

/** Rows in whole register tiles. */
export function tiled(rows: number, tile: number): number {
  return Math.ceil(rows / tile) * tile;
}

/** The least multiple of a vector's lanes. */
export function padded(b: KernelBuilder, count: number): number {
  return Math.ceil(count / b.lanes) * b.lanes;
}

/** 1 where x >= 0, else 0: (x + p) div p with p larger than x can be either way. */
function holds(x: Index): Index {
  const { min, max } = range(x);
  if (max < 0 || min >= 0) return constant(max < 0 ? 0 : 1);
  const p = 2 ** Math.ceil(Math.log2(Math.max(max, -min) + 1));
  return div(add(x, p), p);
}

/** Runs `body` where x >= 0: a loop of one turn or none. */
export function when(b: KernelBuilder, x: Index, body: () => void): void {
  const turns = holds(x);
  if (!turns.isConstant) b.loop(turns, 'serial', [], body);
  else if (turns.constant > 0) body();
}

/** How many of 0, step, 2 step, ... (`count` of them) are at most x. */
export function stepsUpTo(x: Index, step: number, count: number): Index {
  let sum: Index = ZERO;
  for (let i = 0; i < count; i++) sum = add(sum, holds(sub(x, i * step)));
  return sum;
}

/** Left and right operands of a register tile's product. */
export interface TileProduct {
  /** Terms of each sum. */
  readonly terms: Index | number;
  readonly rows: number;
  readonly vectors: number;
  /** Row i, vector v at i * vectors + v. */
  readonly inits: readonly Value[];
  /** Factor of row i in term k, a single value. */
  readonly left: (k: Index, i: number) => Value;
  readonly right: (k: Index, v: number) => Value;
}

/** init + sum over k of left x right, each element in one accumulator in the order of k. */
export function multiplyTile(b: KernelBuilder, tile: TileProduct): Value[] {
  const { terms, rows, vectors, inits, left, right } = tile;
  return b.loop(terms, 'reduce', inits, (k, sums) => {
    const columns = Array.from({ length: vectors }, (_, v) => right(k, v));
    const next = [...sums];
    for (let i = 0; i < rows; i++) {
      const factor = b.splat(left(k, i));
      columns.forEach((column, v) => {
        next[i * vectors + v] = b.fma(factor, column, sums[i * vectors + v]);
      });
    }
    return next;
  });
}

/** Register tiles: accumulators and operands fit in 15 registers (see `gemm.ts`). */
export function vectorsFor({ lanes }: { readonly lanes: number }, rows: number): number {
  return Math.min(rows > 2 ? 2 : 4, WIDEST / lanes);
}

/** Calls `panel` for each run of `vectors` whole vectors, and for the shorter one that is left. */
export function eachPanel(
  b: KernelBuilder,
  columns: number,
  vectors: number,
  panel: (column: Index, vectors: number) => void,
): void {
  const width = vectors * b.lanes;
  const whole = Math.floor(columns / width);
  b.loop(whole, 'serial', [], (p) => panel(mul(p, width), vectors));
  const rest = (columns - whole * width) / b.lanes;
  if (rest > 0) panel(constant(whole * width), rest);
}

/** Adds left x right to a tile [rows, stride] in memory, after multiplying it by `factors`. */
export function accumulate(
  b: KernelBuilder,
  target: Buffer,
  row: Index,
  stride: number,
  product: {
    readonly terms: Index | number;
    readonly rows: number;
    readonly left: (k: Index, i: number) => Value;
    readonly right: (k: Index, column: Index) => Value;
    readonly factors?: readonly Value[];
  },
): void {
  const { terms, rows, left, right, factors } = product;
  eachPanel(b, stride, vectorsFor(b, rows), (column, vectors) => {
    const places = Array.from({ length: rows * vectors }, (_, t) => {
      const at = add(add(column, b.laneIndex), (t % vectors) * b.lanes);
      return add(mul(add(row, Math.floor(t / vectors)), stride), at);
    });
    const inits = places.map((place, t) => {
      const old = b.load(target, place);
      return factors ? b.binary('mul', old, b.splat(factors[Math.floor(t / vectors)])) : old;
    });
    const sums = multiplyTile(b, {
      terms,
      rows,
      vectors,
      inits,
      left,
      right: (k, v) => right(k, add(add(column, b.laneIndex), v * b.lanes)),
    });
    places.forEach((place, t) => {
      b.store(target, place, sums[t]);
    });
  });
}

/** Sets a whole local buffer. */
export function fill(b: KernelBuilder, target: Buffer, value: number): void {
  const vector = b.splat(b.const('f32', value));
  const whole = Math.floor(target.size / b.lanes);
  b.loop(whole, 'serial', [], (i) => b.store(target, add(mul(i, b.lanes), b.laneIndex), vector));
  for (let i = whole * b.lanes; i < target.size; i++) {
    b.store(target, constant(i), b.const('f32', value));
  }
}

/** A value where conditions hold, zero elsewhere: what was read beyond the end may be anything. */
export function zeroUnless(b: KernelBuilder, mask: Mask, value: Value): Value {
  const zero = b.const('i32', 0);
  return mask.reduce(
    (v, m) => b.select(b.compare('le', zero, b.index(m)), v, b.const('f32', 0)),
    value,
  );
}

/** Where the rows of an operand go. */
export interface Packing {
  readonly rows: number;
  readonly width: number;
  /** Row and columns (with the lane); under the mask. */
  readonly read: (row: Index, column: Index, mask: Mask) => Value;
  /** Rows for which this is negative are zeros. */
  readonly inside: (row: Index) => Index;
  readonly factor?: number;
  /** [rows, padded width], from a first row on. */
  readonly plain?: Buffer | undefined;
  readonly first?: Index;
  /** [padded width, rows] */
  readonly turned?: Buffer | undefined;
}

/** Copies rows of an operand, as they lie or turned, so that tiles read them one after the other. */
export function pack(b: KernelBuilder, packing: Packing): void {
  const { rows, width, plain, first, turned } = packing;
  const stride = padded(b, width);
  // As many rows as lanes can be turned in registers.
  const together = turned && rows % b.lanes === 0 ? b.lanes : 1;
  b.loop(rows / together, 'serial', [], (i) => {
    const some = Array.from({ length: together }, (_, j) => add(mul(i, together), j));
    eachVector(b, width, (column, mask) => {
      const values = some.map((row) => packed(b, packing, row, column, mask));
      some.forEach((row, j) => {
        if (plain) b.store(plain, add(mul(add(row, first ?? 0), stride), column), values[j]);
      });
      if (turned) storeTurned(b, turned, rows, some, column, values);
    });
  });
}

/** A vector of a row as it goes into the copy. */
function packed(
  b: KernelBuilder,
  { read, inside, factor }: Packing,
  row: Index,
  column: Index,
  mask: Mask,
): Value {
  const valid = [inside(row)].filter((m) => range(m).min < 0);
  const value = zeroUnless(b, valid, b.splat(read(row, column, [...valid, ...mask])));
  return factor === undefined ? value : b.binary('mul', value, b.const('f32', Math.fround(factor)));
}

function storeTurned(
  b: KernelBuilder,
  turned: Buffer,
  rows: number,
  [row, ...others]: readonly Index[],
  column: Index,
  values: readonly Value[],
): void {
  if (others.length === 0) {
    b.store(turned, add(mul(column, rows), row), values[0]);
    return;
  }
  turnSquare(b, values).forEach((value, lane) => {
    b.store(turned, add(add(mul(atLane(column, lane), rows), row), b.laneIndex), value);
  });
}

/** Calls `body` for whole vectors of columns, then for the rest under a mask. */
export function eachVector(
  b: KernelBuilder,
  width: number,
  body: (column: Index, mask: Mask) => void,
): void {
  const whole = Math.floor(width / b.lanes);
  b.loop(whole, 'serial', [], (i) => body(add(mul(i, b.lanes), b.laneIndex), []));
  const rest = add(b.laneIndex, whole * b.lanes);
  if (width > whole * b.lanes) body(rest, [sub(constant(width - 1), rest)]);
}

/**
 * Adds a vector to a sum that has four lanes, those of each four lanes one after the other: so the
 * bits are the same for vectors of any width. The sum's other lanes hold nothing.
 */
export function addInFours(b: KernelBuilder, sum: Value, x: Value): Value {
  let total = b.binary('add', sum, x);
  for (let first = 4; first < b.lanes; first += 4) {
    const turned = b.eachLane((lane) => (lane + first) % b.lanes);
    total = b.binary('add', total, b.shuffle(x, x, turned));
  }
  return total;
}

/** The sum of four lanes, in the order of all reductions. */
export function sumLanes(b: KernelBuilder, x: Value): Value {
  const even = b.binary('add', b.lane(x, 0), b.lane(x, 2));
  const odd = b.binary('add', b.lane(x, 1), b.lane(x, 3));
  return b.binary('add', even, odd);
}
