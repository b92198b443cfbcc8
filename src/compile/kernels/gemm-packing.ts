import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import { add, constant, type Index, mul, sub } from '../../ir/kernel/index-expr.ts';
import type { Buffer, Mask, Value, ValueDType } from '../../ir/kernel/types.ts';
import { LINE_WORDS } from './cache-line.ts';
import { type Depth, overDepth } from './depth.ts';
import type { GemmTiles } from './gemm-tiles.ts';
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

/** Some steps of the depth. */
export interface DepthBlock {
  readonly start: Index;
  readonly length: number;
}

/** Calls `panel` for whole panels in a loop, then for the one that is not whole. */
export function eachPanel(
  b: KernelBuilder,
  width: number,
  columns: number,
  panel: (p: Index, valid: number) => void,
): void {
  const whole = Math.floor(columns / width);
  b.loop(whole, 'serial', [], (p) => panel(p, width));
  const rest = columns - whole * width;
  if (rest > 0) panel(constant(whole), rest);
}

/** The right operand's block as panels [panel][depth][width], zeros beyond the last column. */
export class RightOperand {
  readonly #b: KernelBuilder;
  readonly #gemm: Gemm;
  readonly #tiles: GemmTiles;
  readonly #depth: Depth;
  readonly #width: number;
  readonly #packed: Buffer;

  /** @param columns most columns that are packed at once */
  constructor(b: KernelBuilder, gemm: Gemm, tiles: GemmTiles, depth: Depth, columns: number) {
    this.#b = b;
    this.#gemm = gemm;
    this.#tiles = tiles;
    this.#depth = depth;
    this.#width = tiles.vectors * b.lanes;
    this.#packed = b.buffer('packedB', gemm.dtype, columns * depth.block, 'local');
  }

  pack(group: Index, column: Index, columns: number, block: DepthBlock): void {
    const b = this.#b;
    const { start, length } = block;
    if (this.#gemm.bIsTurned && this.#tiles.turnsColumns) {
      eachPanel(b, this.#width, columns, (p, valid) => {
        this.#turn(group, add(column, mul(p, this.#width)), p, valid, block);
      });
      return;
    }
    const panel = (k: Index, p: Index, valid: number) => {
      for (let v = 0; v < this.#tiles.vectors; v++) {
        const offset = add(b.laneIndex, v * b.lanes);
        const from = add(column, add(mul(p, this.#width), offset));
        const mask = [sub(constant(valid - 1), offset)];
        const value = b.splat(this.#gemm.b(group, add(start, k), from, mask));
        b.store(this.#packed, this.#place(p, v, k, length), value);
      }
    };
    // Along the columns first: that is how they lie in memory.
    overDepth(b, this.#depth, length, 'serial', [], (k) => {
      eachPanel(b, this.#width, columns, (p, valid) => panel(k, p, valid));
      return [];
    });
  }

  /** A panel whose columns lie along the depth: squares of them are read that way, and turned. */
  #turn(group: Index, column: Index, p: Index, valid: number, { start, length }: DepthBlock) {
    const b = this.#b;
    const square = (k: Index, v: number, mask: Mask, depth: number) => {
      const along = add(start, add(k, b.laneIndex));
      const rows = Array.from({ length: b.lanes }, (_, i) => {
        const at = v * b.lanes + i;
        if (at >= valid) return b.splat(b.const(this.#gemm.dtype, 0));
        return b.splat(this.#gemm.b(group, along, add(column, at), mask));
      });
      turnSquare(b, rows)
        .slice(0, depth)
        .forEach((vector, i) => {
          b.store(this.#packed, this.#place(p, v, add(k, i), length), vector);
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

  /** Vector v of a panel at step k of a block. */
  read(p: Index, v: number, k: Index, length: number): Value {
    return this.#b.load(this.#packed, this.#place(p, v, k, length));
  }

  #place(p: Index, v: number, k: Index, length: number): Index {
    const b = this.#b;
    const inPanel = add(mul(k, this.#width), add(b.laneIndex, v * b.lanes));
    return add(mul(p, length * this.#width), inPanel);
  }
}

/** Where the rows of a register tile are. */
export interface LeftTile {
  readonly group: Index;
  readonly row: Index;
  /** The first row in what is packed. */
  readonly packedRow: Index;
}

/** A left operand that lies evenly is packed where so many panels read it. */
const PANELS_WORTH_PACKING = 4;
/** Packed rows end so many elements later: a power of two would put them all into few lines of the cache. */
const ROW_PADDING = 16;

/** The left operand: read where it lies, or some rows of a block packed the way they lie. */
export class LeftOperand {
  readonly #b: KernelBuilder;
  readonly #gemm: Gemm;
  readonly #tiles: GemmTiles;
  readonly #depth: Depth;
  readonly #panels: number;
  readonly #packed: Buffer | undefined;
  /** Rows are packed along the depth, as [rows][depth]; else as [depth][rows]. */
  readonly #along: boolean;

  /** @param panels of the right operand that each row meets */
  constructor(b: KernelBuilder, gemm: Gemm, tiles: GemmTiles, depth: Depth, panels: number) {
    this.#b = b;
    this.#gemm = gemm;
    this.#tiles = tiles;
    this.#depth = depth;
    this.#panels = panels;
    const { block } = depth;
    const isAligned = block % b.lanes === 0 || gemm.k <= block;
    this.#along = tiles.packsRows && isAligned && (gemm.aIsAlong || gemm.aIsPlain);
    if (gemm.aIsPlain && !(tiles.packsRows && panels >= PANELS_WORTH_PACKING)) return;
    const size = Math.max(tiles.rows * (block + ROW_PADDING), this.#stride * block);
    this.#packed = b.buffer('packedA', gemm.dtype, size, 'local');
  }

  /** Tiles of so many rows that are packed together: as many as fill vectors across the rows. */
  tilesTogether(rows: number): number {
    return this.#packed && !this.#along ? Math.floor(this.#stride / rows) : 1;
  }

  /** Rows in a line of [depth][rows]: a whole number of tiles that fills vectors. */
  get #stride(): number {
    const { lanes } = this.#b;
    const { rows } = this.#tiles;
    return rows < lanes && lanes % rows === 0 ? lanes : rows;
  }

  get #rowStride(): number {
    return this.#depth.block + ROW_PADDING;
  }

  pack(group: Index, row: Index, rows: number, block: DepthBlock): void {
    if (!this.#packed) return;
    if (this.#along) this.#copy(this.#packed, group, row, rows, block);
    else this.#turn(this.#packed, group, row, rows, block);
  }

  /** As [rows][depth], vectors along the depth. */
  #copy(target: Buffer, group: Index, row: Index, rows: number, { start, length }: DepthBlock) {
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

  /** As [depth][rows], vectors along the rows. */
  #turn(target: Buffer, group: Index, row: Index, rows: number, { start, length }: DepthBlock) {
    const b = this.#b;
    const stride = this.#stride;
    overDepth(b, this.#depth, length, 'serial', [], (k) => {
      for (let i = 0; i < rows; i += b.lanes) {
        const lanes = add(b.laneIndex, i);
        const mask = [sub(constant(rows - 1), lanes)];
        const value = b.splat(this.#gemm.a(group, add(row, lanes), add(start, k), mask));
        const inside = [sub(constant(stride - 1), lanes)];
        b.store(target, add(mul(k, stride), lanes), value, inside);
      }
      return [];
    });
  }

  /** Element of row i of a tile at step k of a block, in all lanes. */
  read({ group, row, packedRow, start }: LeftTile & DepthBlock, i: number, k: Index): Value {
    const b = this.#b;
    if (!this.#packed) return b.splat(this.#gemm.a(group, add(row, i), add(start, k), []));
    const at = this.#along
      ? add(k, i * this.#rowStride)
      : add(mul(k, this.#stride), add(packedRow, i));
    return b.splat(b.load(this.#packed, at));
  }

  /**
   * Asks for a share of the rows of the next tile, which come from further away, while there is time:
   * each panel for the same part of every row.
   */
  prefetch(group: Index, row: Index, rows: number, p: Index, { start, length }: DepthBlock): void {
    const b = this.#b;
    if (!this.#packed || !this.#along || !b.target.hints) return;
    const lines = Math.ceil(length / LINE_WORDS / this.#panels);
    for (let i = 0; i < rows; i++) {
      for (let line = 0; line < lines; line++) {
        const k = add(start, mul(add(mul(p, lines), line), LINE_WORDS));
        const place = this.#gemm.aPlace(group, add(row, rows + i), k);
        if (place) b.prefetch(place.buffer, place.index);
      }
    }
  }
}
