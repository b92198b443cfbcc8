import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import {
  add,
  constant,
  div,
  type Index,
  mod,
  mul,
  range,
  sub,
  ZERO,
} from '../../ir/kernel/index-expr.ts';
import type { Buffer, Mask, Value, ValueDType } from '../../ir/kernel/types.ts';
import { type Depth, overDepth, planDepth } from './depth.ts';
import { chooseTasks, type GemmTasks } from './gemm-tasks.ts';
import type { GemmTiles } from './gemm-tiles.ts';
import { multiplyAdd } from './multiply-add.ts';
import { turnSquare } from './square.ts';

/** C [batch, m, n] = sum over k of A [batch, m, k] B [batch, k, n]. */
export interface Gemm {
  readonly batch: number;
  readonly m: Index;
  readonly n: number;
  readonly k: number;
  /** The sizes of the contracted axes, whose product is k. */
  readonly depthAxes: readonly number[];
  readonly dtype: Exclude<ValueDType, 'bool'>;
  /** Element of A; a vector when an index holds the lane. */
  readonly a: (batch: Index, m: Index, k: Index, mask: Mask) => Value;
  readonly b: (batch: Index, k: Index, n: Index, mask: Mask) => Value;
  /** True when `a` is one load that walks evenly along k: reading it again costs nothing. */
  readonly aIsPlain: boolean;
  /** True when vectors of `a` along k, from multiples of their lanes on, are single loads. */
  readonly aIsAlong: boolean;
  /** Where an element of A lies, if it is in memory. */
  readonly aPlace: (
    batch: Index,
    m: Index,
    k: Index,
  ) => { readonly buffer: Buffer; readonly index: Index } | undefined;
  /** True when `b` is one load that walks evenly along k: it is then read that way, and turned. */
  readonly bIsTurned: boolean;
  /** Takes a finished vector at row m and columns n (n holds the lane) under a mask. */
  readonly finish: (batch: Index, m: Index, n: Index, value: Value, mask: Mask) => void;
}

/** A piece of the rows or columns: starts at `start(i)`, `extent` of them. */
interface Panels {
  readonly count: Index;
  readonly start: (i: Index) => Index;
  /** Rows of each of these panels. */
  readonly rows: number;
}

/**
 * Matrix product with register tiles and packed operands. Each element's sum runs over k = 0, 1, 2
 * ... in one accumulator that continues from block to block, so neither tile sizes nor the number
 * of rows change its bits; columns always fill whole vectors (padded with zeros in the packed
 * block), because a fused multiply-add exists only for vectors.
 */
export function buildGemm(b: KernelBuilder, gemm: Gemm, tiles: GemmTiles, threads: number): void {
  new GemmBuilder(b, gemm, tiles, threads).build();
}

/** Some rows of a piece: whole row tiles, then single rows. */
interface RowPart {
  readonly start: Index;
  readonly whole: Index;
  readonly rest: Index;
}

/** A register tile over a block of depth. */
interface Tile {
  readonly group: Index;
  readonly row: Index;
  /** The row counted from the piece's first. */
  readonly inPart: Index;
  readonly rows: number;
  /** The row in what is packed. */
  readonly packedRow: Index;
  readonly column: Index;
  /** The panel, and how many of its columns there are. */
  readonly p: Index;
  readonly valid: number;
  readonly start: Index;
  readonly length: number;
  readonly first: boolean;
  readonly last: boolean;
}

/** A left operand that lies evenly is packed where so many panels read it. */
const PANELS_WORTH_PACKING = 4;
/** Packed rows end so many elements later: a power of two would put them all into a few lines of the cache. */
const ROW_PADDING = 16;
/** Elements of a cache line. */
const LINE = 16;

class GemmBuilder {
  readonly #b: KernelBuilder;
  readonly #gemm: Gemm;
  readonly #tiles: GemmTiles;
  readonly #tasks: GemmTasks;
  readonly #width: number;
  readonly #columns: number;
  readonly #depth: Depth;
  readonly #packedB: Buffer;
  readonly #packedA: Buffer | undefined;
  /** Rows of A are packed along the depth, as [rows][depth]; else as [depth][rows]. */
  readonly #along: boolean;
  /** Unfinished sums between blocks of depth. */
  readonly #sums: Buffer | undefined;
  /** Panels of a piece. */
  readonly #panels: number;

  constructor(b: KernelBuilder, gemm: Gemm, tiles: GemmTiles, threads: number) {
    this.#b = b;
    this.#gemm = gemm;
    this.#tiles = tiles;
    this.#width = tiles.vectors * b.lanes;
    this.#tasks = chooseTasks(gemm, tiles, b.lanes, threads);
    this.#columns = this.#tasks.columns;
    this.#depth = planDepth(gemm.depthAxes, tiles.depth);
    const depth = this.#depth.block;
    const { rowTiles } = this.#tasks;
    const rows = rowTiles ? (rowTiles + 1) * tiles.rows : range(gemm.m).max;
    this.#packedB = b.buffer('packedB', gemm.dtype, this.#columns * depth, 'local');
    this.#panels = Math.ceil(this.#columns / this.#width);
    const rereads = this.#panels >= PANELS_WORTH_PACKING;
    const isAligned = depth % b.lanes === 0 || gemm.k <= depth;
    this.#along = tiles.packsRows && isAligned && (gemm.aIsAlong || gemm.aIsPlain);
    if (!gemm.aIsPlain || (tiles.packsRows && rereads)) {
      const size = Math.max(tiles.rows * (depth + ROW_PADDING), this.#stride * depth);
      this.#packedA = b.buffer('packedA', gemm.dtype, size, 'local');
    }
    if (gemm.k > depth) {
      this.#sums = b.buffer('sums', gemm.dtype, rows * this.#panels * this.#width, 'local');
    }
  }

  build(): void {
    const { n } = this.#gemm;
    if (n === 0) return;
    const columns = this.#columns;
    const whole = Math.floor(n / columns);
    this.#pieces(whole, (block) => mul(block, columns), columns);
    const rest = n - whole * columns;
    if (rest > 0) this.#pieces(1, () => constant(whole * columns), rest);
  }

  /** All pieces that are so many columns wide. */
  #pieces(count: number, column: (block: Index) => Index, columns: number): void {
    const { batch } = this.#gemm;
    for (const { parts, part } of this.#rowParts()) {
      this.#b.loop(batch * parts * count, 'thread', [], (piece) => {
        const block = mod(piece, count);
        const rows = part(mod(div(piece, count), parts));
        this.#piece(div(piece, count * parts), column(block), columns, rows);
      });
    }
  }

  /** The rows of the pieces: equal parts, and a last one that takes what is left. */
  #rowParts(): { parts: number; part: (i: Index) => RowPart }[] {
    const { m } = this.#gemm;
    const { rows } = this.#tiles;
    const { rowTiles: size } = this.#tasks;
    const whole = div(m, rows);
    const rest = mod(m, rows);
    if (size === undefined) return [{ parts: 1, part: () => ({ start: ZERO, whole, rest }) }];
    const left = rest.constant > 0 || whole.constant % size > 0;
    // A last part as large as the others takes the rows that fill no tile.
    const equal = Math.floor(whole.constant / size) - (left && whole.constant % size === 0 ? 1 : 0);
    const parts = [
      {
        parts: equal,
        part: (i: Index) => ({ start: mul(i, size * rows), whole: constant(size), rest: ZERO }),
      },
    ];
    if (!left) return parts;
    const last = {
      start: constant(equal * size * rows),
      whole: constant(whole.constant - equal * size),
      rest,
    };
    return [...parts, { parts: 1, part: () => last }];
  }

  /** Some rows of some columns. */
  #piece(group: Index, column: Index, columns: number, rows: RowPart): void {
    const { k } = this.#gemm;
    const depth = this.#depth.block;
    const full = Math.max(0, Math.ceil(k / depth) - 1);
    const phase = (start: Index, length: number, first: boolean, last: boolean) => {
      this.#pack(group, column, columns, start, length);
      this.#rows(group, column, columns, rows, start, length, first, last);
    };
    if (full === 0) {
      phase(ZERO, k, true, true);
      return;
    }
    phase(ZERO, depth, true, false);
    this.#b.loop(full - 1, 'serial', [], (i) => {
      phase(mul(add(i, 1), depth), depth, false, false);
    });
    phase(constant(full * depth), k - full * depth, false, true);
  }

  /** The right operand's block as panels [panel][depth][width], zeros beyond the last column. */
  #pack(group: Index, column: Index, columns: number, start: Index, length: number): void {
    if (this.#gemm.bIsTurned && this.#tiles.turnsColumns) {
      this.#eachPanel(columns, (p, valid) => {
        this.#packTurned({
          group,
          column: add(column, mul(p, this.#width)),
          p,
          valid,
          start,
          length,
        });
      });
      return;
    }
    const b = this.#b;
    const target = this.#packedB;
    const panel = (k: Index, p: Index, valid: number) => {
      for (let v = 0; v < this.#tiles.vectors; v++) {
        const offset = add(b.laneIndex, v * b.lanes);
        const at = add(mul(p, length * this.#width), add(mul(k, this.#width), offset));
        const from = add(column, add(mul(p, this.#width), offset));
        const mask = [sub(constant(valid - 1), offset)];
        b.store(target, at, b.splat(this.#gemm.b(group, add(start, k), from, mask)));
      }
    };
    // Along the columns first: that is how they lie in memory.
    overDepth(b, this.#depth, length, 'serial', [], (k) => {
      this.#eachPanel(columns, (p, valid) => panel(k, p, valid));
      return [];
    });
  }

  /** A panel whose columns lie along the depth: squares of them are read that way, and turned. */
  #packTurned(panel: {
    group: Index;
    column: Index;
    p: Index;
    valid: number;
    start: Index;
    length: number;
  }): void {
    const b = this.#b;
    const { group, column, p, valid, start, length } = panel;
    const square = (k: Index, v: number, mask: Mask, depth: number) => {
      const along = add(k, b.laneIndex);
      const rows = Array.from({ length: b.lanes }, (_, i) => {
        const at = v * b.lanes + i;
        if (at >= valid) return b.splat(b.const(this.#gemm.dtype, 0));
        return b.splat(this.#gemm.b(group, add(start, along), add(column, at), mask));
      });
      turnSquare(b, rows)
        .slice(0, depth)
        .forEach((vector, i) => {
          const place = add(mul(add(k, i), this.#width), add(b.laneIndex, v * b.lanes));
          b.store(this.#packedB, add(mul(p, length * this.#width), place), vector);
        });
    };
    const whole = Math.floor(length / b.lanes);
    const rest = length - whole * b.lanes;
    for (let v = 0; v < this.#tiles.vectors; v++) {
      b.loop(whole, 'serial', [], (i) => square(mul(i, b.lanes), v, [], b.lanes));
      const mask = [sub(constant(rest - 1), b.laneIndex)];
      if (rest > 0) square(constant(whole * b.lanes), v, mask, rest);
    }
  }

  /** Whole panels in a loop, then the one that is not whole. */
  #eachPanel(columns: number, panel: (p: Index, valid: number) => void): void {
    const whole = Math.floor(columns / this.#width);
    this.#b.loop(whole, 'serial', [], (p) => panel(p, this.#width));
    const rest = columns - whole * this.#width;
    if (rest > 0) panel(constant(whole), rest);
  }

  #rows(
    group: Index,
    column: Index,
    columns: number,
    part: RowPart,
    start: Index,
    length: number,
    first: boolean,
    last: boolean,
  ): void {
    const tiles = (inPart: Index, rows: number, packedRow: Index) => {
      const row = add(part.start, inPart);
      this.#eachPanel(columns, (p, valid) => {
        if (this.#packedA) this.#prefetchRows(group, row, rows, p, start, length);
        const place = { group, row, inPart, rows, packedRow, column, p, valid };
        this.#tile({ ...place, start, length, first, last });
      });
    };
    const pack = (inPart: Index, rows: number) => {
      const row = add(part.start, inPart);
      if (this.#packedA) this.#packRows(group, row, rows, start, length, this.#packedA);
    };
    for (const { count, start: from, rows } of this.#rowPanels(part)) {
      // As many tiles are packed together as fill vectors across the rows.
      const together = this.#packedA && !this.#along ? Math.floor(this.#stride / rows) : 1;
      const groups = rows === this.#tiles.rows ? div(count, together) : ZERO;
      this.#b.loop(groups, 'serial', [], (i) => {
        const inPart = from(mul(i, together));
        pack(inPart, rows * together);
        if (together === 1) tiles(inPart, rows, ZERO);
        else {
          this.#b.loop(together, 'serial', [], (t) => {
            tiles(add(inPart, mul(t, rows)), rows, mul(t, rows));
          });
        }
      });
      const done = mul(groups, together);
      this.#b.loop(sub(count, done), 'serial', [], (i) => {
        const inPart = from(add(done, i));
        pack(inPart, rows);
        tiles(inPart, rows, ZERO);
      });
    }
  }

  /** Rows in a line of A packed as [depth][rows]: a whole number of tiles that fills vectors. */
  get #stride(): number {
    const { lanes } = this.#b;
    const { rows } = this.#tiles;
    return rows < lanes && lanes % rows === 0 ? lanes : rows;
  }

  /** Whole row tiles, then what is left: as one smaller tile, or row by row when it is symbolic. */
  #rowPanels({ whole, rest }: RowPart): Panels[] {
    const { rows } = this.#tiles;
    const after = mul(whole, rows);
    const panels: Panels[] = [{ count: whole, start: (i) => mul(i, rows), rows }];
    if (!rest.isConstant) panels.push({ count: rest, start: (i) => add(after, i), rows: 1 });
    else if (rest.constant > 0) {
      panels.push({ count: constant(1), start: () => after, rows: rest.constant });
    }
    return panels;
  }

  /** Packs rows of the left operand the way they lie. */
  #packRows(group: Index, row: Index, rows: number, start: Index, length: number, target: Buffer) {
    if (this.#along) this.#copyRows(group, row, rows, start, length, target);
    else this.#turnRows(group, row, rows, start, length, target);
  }

  /** As [rows][depth], vectors along the depth. */
  #copyRows(group: Index, row: Index, rows: number, start: Index, length: number, target: Buffer) {
    const b = this.#b;
    const copy = (k: Index, mask: Mask) => {
      for (let i = 0; i < rows; i++) {
        const value = this.#gemm.a(group, add(row, i), add(start, k), mask);
        b.store(target, add(k, i * this.#rowStride), b.splat(value), mask);
      }
    };
    const whole = Math.floor(length / b.lanes);
    const rest = length - whole * b.lanes;
    b.loop(whole, 'serial', [], (j) => copy(add(mul(j, b.lanes), b.laneIndex), []));
    const mask = [sub(constant(rest - 1), b.laneIndex)];
    if (rest > 0) copy(add(b.laneIndex, whole * b.lanes), mask);
  }

  get #rowStride(): number {
    return this.#depth.block + ROW_PADDING;
  }

  /** As [depth][rows], vectors along the rows. */
  #turnRows(group: Index, row: Index, rows: number, start: Index, length: number, target: Buffer) {
    const b = this.#b;
    const stride = this.#stride;
    overDepth(b, this.#depth, length, 'serial', [], (k) => {
      for (let i = 0; i < rows; i += b.lanes) {
        const lanes = add(b.laneIndex, i);
        const mask = [sub(constant(rows - 1), lanes)];
        const value = this.#gemm.a(group, add(row, lanes), add(start, k), mask);
        b.store(target, add(mul(k, stride), lanes), b.splat(value), [
          sub(constant(stride - 1), lanes),
        ]);
      }
      return [];
    });
  }

  /** An element of the left operand in the tile. */
  #left({ group, row, packedRow, start }: Tile, i: number, k: Index): Value {
    const b = this.#b;
    if (!this.#packedA) return b.splat(this.#gemm.a(group, add(row, i), add(start, k), []));
    const at = this.#along
      ? add(k, i * this.#rowStride)
      : add(mul(k, this.#stride), add(packedRow, i));
    return b.splat(b.load(this.#packedA, at));
  }

  #tile(tile: Tile): void {
    const b = this.#b;
    const { group, row, inPart, rows, column, p, valid, length, first, last } = tile;
    const vectors = Math.ceil(valid / b.lanes);
    const places = Array.from({ length: rows * vectors }, (_, t) => {
      const i = Math.floor(t / vectors);
      const offset = add(b.laneIndex, (t % vectors) * b.lanes);
      const inBlock = add(mul(p, this.#width), offset);
      return {
        m: add(row, i),
        n: add(column, inBlock),
        // Sums lie in the order in which the tiles come by.
        sum: add(
          add(mul(inPart, this.#panels * this.#width), mul(p, rows * this.#width)),
          add(offset, i * this.#width),
        ),
        mask: [sub(constant(valid - 1), offset)],
      };
    });
    const zero = b.splat(b.const(this.#gemm.dtype, 0));
    const sums = this.#sums;
    const inits = places.map(({ sum }) => (first || !sums ? zero : b.load(sums, sum)));
    const step = (k: Index, values: readonly Value[]): Value[] => {
      const right = Array.from({ length: vectors }, (_, v) => this.#right(tile, v, k));
      const next = [...values];
      for (let i = 0; i < rows; i++) {
        const left = this.#left(tile, i, k);
        for (let v = 0; v < vectors; v++) {
          const t = i * vectors + v;
          next[t] = multiplyAdd(this.#b, left, right[v], next[t]);
        }
      }
      return next;
    };
    if (sums && !last) this.#prefetchSums(inPart, rows, p);
    const results = this.#unrolled(length, inits, step);
    places.forEach(({ m, n, sum, mask }, t) => {
      if (last) this.#gemm.finish(group, m, n, results[t], mask);
      else if (sums) b.store(sums, sum, results[t]);
    });
  }

  /**
   * A share of the rows of the next tile, which have to be read from further away while there is time:
   * each panel asks for the same part of every row.
   */
  #prefetchRows(group: Index, row: Index, rows: number, p: Index, start: Index, length: number) {
    const b = this.#b;
    if (!this.#along || !b.target.hints) return;
    const lines = Math.ceil(length / LINE / this.#panels);
    for (let i = 0; i < rows; i++) {
      for (let line = 0; line < lines; line++) {
        const k = add(start, mul(add(mul(p, lines), line), LINE));
        const place = this.#gemm.aPlace(group, add(row, rows + i), k);
        if (place) b.prefetch(place.buffer, place.index);
      }
    }
  }

  /** The sums of the tile that comes next: they may have left the caches nearby. */
  #prefetchSums(inPart: Index, rows: number, p: Index): void {
    const b = this.#b;
    const tile = rows * this.#width;
    const next = add(mul(inPart, this.#panels * this.#width), mul(add(p, 1), tile));
    for (let i = 0; i < tile; i += LINE) b.prefetch(this.#sums as Buffer, add(next, i));
  }

  /** One loop over packed operands. */
  #unrolled(
    length: number,
    inits: readonly Value[],
    step: (k: Index, values: readonly Value[]) => Value[],
  ): readonly Value[] {
    const b = this.#b;
    const { unroll } = this.#tiles;
    const turns = Math.floor(length / unroll);
    let results = b.loop(turns, 'reduce', inits, (j, carried) => {
      let values = [...carried];
      for (let u = 0; u < unroll; u++) values = step(add(mul(j, unroll), u), values);
      return values;
    });
    for (let k = turns * unroll; k < length; k++) results = step(constant(k), results);
    return results;
  }

  #right(tile: { p: Index; length: number }, v: number, k: Index): Value {
    const b = this.#b;
    const column = add(mul(k, this.#width), add(b.laneIndex, v * b.lanes));
    return b.load(this.#packedB, add(mul(tile.p, tile.length * this.#width), column));
  }
}
