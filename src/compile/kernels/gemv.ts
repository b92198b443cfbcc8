import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import {
  add,
  atLane,
  constant,
  div,
  type Index,
  mod,
  mul,
  range,
  sub,
} from '../../ir/kernel/index-expr.ts';
import type { LoopKind, Mask, Value, ValueDType } from '../../ir/kernel/types.ts';
import { multiplyAdd } from './multiply-add.ts';
import { turnSquare } from './square.ts';

/** A place in some axes: an index for each loop that walks them. */
export type Place = readonly Index[];

/**
 * C [batch, rows, columns] = sum over depth of A [batch, rows, depth] B [batch, depth, columns].
 * The sizes are those of the loops that walk the axes, and may be symbolic.
 */
export interface Gemv {
  readonly batch: Place;
  readonly rows: Place;
  readonly depth: Place;
  readonly columns: Place;
  readonly dtype: Exclude<ValueDType, 'bool'>;
  /** Element of A; a vector when an index holds the lane. */
  readonly a: (batch: Place, row: Place, depth: Place) => Value;
  readonly b: (batch: Place, depth: Place, column: Place, mask: Mask) => Value;
  /**
   * True to read B along the depth, a vector's columns at a time, and to turn the squares in registers:
   * for weights [columns, depth].
   */
  readonly turned: boolean;
  /** Takes a finished sum, or a vector of them where the column holds the lane, under a mask. */
  readonly finish: (batch: Place, row: Place, column: Place, value: Value, mask: Mask) => void;
}

/** Up to this many rows this template is the better one: packing would cost more than it saves. */
export const FEW_ROWS = 8;
/** Rows of one tile at most: each weight read serves all of them. */
const TILE_ROWS = 4;
/** Registers for unfinished sums; the operands of a turn need the others. */
const SUMS = 8;
/** Squares across a tile at most: a vector's lanes times as many streams are read at a time. */
const TILE_SQUARES = 2;

/**
 * Matrix product that reads its operands where they lie: for few rows, where packing would cost
 * more than it saves, and for symbolic sizes of any axis. Each sum runs over the depth in order, in
 * one lane of one accumulator, by the multiply-add of full vectors: the bits are those of the
 * packed template, for any tile and any number of rows.
 */
export function buildGemv(b: KernelBuilder, gemv: Gemv): void {
  new GemvBuilder(b, gemv).build();
}

/** Columns of a tile: vectors of them, or a single one in all lanes. */
interface Columns {
  readonly places: readonly { readonly at: Place; readonly mask: Mask }[];
  readonly single: boolean;
}

class GemvBuilder {
  readonly #b: KernelBuilder;
  readonly #gemv: Gemv;
  readonly #tileRows: number;
  readonly #vectors: number;

  constructor(b: KernelBuilder, gemv: Gemv) {
    this.#b = b;
    this.#gemv = gemv;
    const last = gemv.rows[gemv.rows.length - 1] ?? constant(1);
    // Rows are dealt out evenly: five are a tile of three and one of two.
    const tiles = Math.ceil(last.constant / TILE_ROWS);
    this.#tileRows = last.isConstant && tiles > 0 ? Math.ceil(last.constant / tiles) : TILE_ROWS;
    // A square fills as many registers as the sums of two rows, and all there are if it is larger.
    const room = Math.floor(SUMS / this.#tileRows);
    this.#vectors = gemv.turned
      ? Math.max(1, Math.min(b.lanes === 4 ? TILE_SQUARES : 1, Math.floor(room / 2)))
      : Math.max(1, room);
  }

  build(): void {
    const { batch, columns } = this.#gemv;
    this.#loops(batch, 'thread', (group) => {
      this.#loops(columns.slice(0, -1), 'thread', (outer) => {
        this.#columns(outer, columns[columns.length - 1] ?? constant(1), (tile) => {
          this.#rows((row, rows) => this.#tile(group, row, rows, tile));
        });
      });
    });
  }

  /** A loop for each size. */
  #loops(sizes: Place, kind: LoopKind, body: (place: Place) => void): void {
    const descend = (place: Place): void => {
      if (place.length === sizes.length) body(place);
      else this.#once(sizes[place.length], kind, (i) => descend([...place, i]));
    };
    descend([]);
  }

  /** A loop, or its body alone where there is just one turn. */
  #once(size: Index, kind: LoopKind, body: (i: Index) => void): void {
    if (size.isConstant && size.constant === 1) body(constant(0));
    else this.#b.loop(size, kind, [], body);
  }

  /** Tiles of several vectors; then what is left. */
  #columns(outer: Place, count: Index, tile: (columns: Columns) => void): void {
    const b = this.#b;
    const width = this.#vectors * b.lanes;
    const vectors = (start: Index, number: number, valid?: number): Columns => ({
      single: false,
      places: Array.from({ length: number }, (_, v) => {
        const lanes = add(b.laneIndex, v * b.lanes);
        const mask = valid === undefined ? [] : [sub(constant(valid - 1), lanes)];
        return { at: [...outer, add(start, lanes)], mask };
      }),
    });
    const whole = div(count, width);
    // Threads share loops only: what is left must be in one, too.
    this.#b.loop(whole, 'thread', [], (i) => tile(vectors(mul(i, width), this.#vectors)));
    const rest = mod(count, width);
    const after = mul(whole, width);
    if (rest.isConstant) {
      const left = rest.constant;
      const last = vectors(after, Math.ceil(left / b.lanes), left);
      if (left > 0) this.#b.loop(1, 'thread', [], () => tile(last));
      return;
    }
    if (b.target.laneMasks) {
      b.loop(div(add(rest, b.lanes - 1), b.lanes), 'thread', [], (i) => {
        const at = add(add(after, mul(i, b.lanes)), b.laneIndex);
        const mask = [sub(sub(count, 1), at)];
        tile({ single: false, places: [{ at: [...outer, at], mask }] });
      });
      return;
    }
    this.#b.loop(div(rest, b.lanes), 'thread', [], (i) => {
      tile(vectors(add(after, mul(i, b.lanes)), 1));
    });
    const end = mul(div(count, b.lanes), b.lanes);
    this.#b.loop(mod(count, b.lanes), 'thread', [], (i) => {
      tile({ single: true, places: [{ at: [...outer, add(end, i)], mask: [] }] });
    });
  }

  /** Whole row tiles, then what is left: as one smaller tile, or row by row when it is symbolic. */
  #rows(tile: (row: (i: number) => Place, rows: number) => void): void {
    const { rows } = this.#gemv;
    const size = this.#tileRows;
    this.#loops(rows.slice(0, -1), 'serial', (outer) => {
      const last = rows[rows.length - 1];
      if (!last) {
        tile(() => [], 1);
        return;
      }
      const from = (start: Index) => (i: number) => [...outer, add(start, i)];
      const whole = div(last, size);
      this.#once(whole, 'serial', (i) => tile(from(mul(i, size)), size));
      const rest = mod(last, size);
      const after = mul(whole, size);
      if (!rest.isConstant) {
        this.#b.loop(rest, 'serial', [], (i) => tile(from(add(after, i)), 1));
      } else if (rest.constant > 0) tile(from(after), rest.constant);
    });
  }

  #tile(group: Place, row: (i: number) => Place, rows: number, columns: Columns): void {
    const b = this.#b;
    const { dtype, finish } = this.#gemv;
    const { places, single } = columns;
    const zero = b.splat(b.const(dtype, 0));
    const inits = new Array<Value>(rows * places.length).fill(zero);
    /** One step of depth: the vectors of B there, with each row's element of A. */
    const step = (depth: Place, right: readonly Value[], sums: readonly Value[]): Value[] => {
      const next = [...sums];
      for (let i = 0; i < rows; i++) {
        const left = b.splat(this.#gemv.a(group, row(i), depth));
        right.forEach((vector, v) => {
          const t = i * places.length + v;
          next[t] = multiplyAdd(this.#b, left, vector, next[t]);
        });
      }
      return next;
    };
    const sums = this.#overDepth(inits, !single && this.#gemv.turned, {
      one: (depth, carried) => {
        const right = places.map(({ at, mask }) => b.splat(this.#gemv.b(group, depth, at, mask)));
        return step(depth, right, carried);
      },
      square: (depth, carried) => {
        const squares = places.map(({ at, mask }) => this.#square(group, depth, at, mask));
        let values = carried;
        for (let k = 0; k < b.lanes; k++) {
          const at = depth.map((i) => atLane(i, k));
          const right = squares.map((square) => square[k]);
          values = step(at, right, values);
        }
        return values;
      },
    });
    sums.forEach((sum, t) => {
      const { at, mask } = places[t % places.length];
      const value = single ? b.lane(sum, 0) : sum;
      finish(group, row(Math.floor(t / places.length)), at, value, mask);
    });
  }

  /** Runs over the depth in order: one step at a time, or a vector's lanes of them where squares are read. */
  #overDepth(
    inits: readonly Value[],
    turned: boolean,
    body: {
      readonly one: (depth: Place, carried: readonly Value[]) => readonly Value[];
      readonly square: (depth: Place, carried: readonly Value[]) => readonly Value[];
    },
  ): readonly Value[] {
    const b = this.#b;
    const { depth } = this.#gemv;
    const descend = (place: Place, carried: readonly Value[]): readonly Value[] => {
      const size = depth[place.length];
      if (!size) return body.one(place, carried);
      if (place.length < depth.length - 1 || !turned) {
        return b.loop(size, 'reduce', carried, (i, values) => descend([...place, i], values));
      }
      const whole = div(size, b.lanes);
      const squares = b.loop(whole, 'reduce', carried, (i, values) =>
        body.square([...place, add(mul(i, b.lanes), b.laneIndex)], values),
      );
      return b.loop(mod(size, b.lanes), 'reduce', squares, (i, values) =>
        body.one([...place, add(mul(whole, b.lanes), i)], values),
      );
    };
    return descend([], inits);
  }

  /** As many columns of B as lanes over as many steps of depth, as one vector of columns for each step. */
  #square(group: Place, depth: Place, column: Place, mask: Mask): Value[] {
    const b = this.#b;
    const zero = b.splat(b.const(this.#gemv.dtype, 0));
    const rows = Array.from({ length: b.lanes }, (_, lane) => {
      const own = mask.map((m) => atLane(m, lane));
      if (own.some((m) => range(m).max < 0)) return zero;
      const at = column.map((i) => atLane(i, lane));
      const open = own.filter((m) => range(m).min < 0);
      return b.splat(this.#gemv.b(group, depth, at, open));
    });
    return turnSquare(b, rows);
  }
}
