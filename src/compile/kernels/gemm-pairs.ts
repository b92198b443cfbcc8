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
import type { Buffer, Mask, Value } from '../../ir/kernel/types.ts';
import { BY_PAIRS, BY_TILES, chooseTasks, type GemmTasks } from './gemm-tasks.ts';
import {
  BLOCK,
  blocksOf,
  type Lines,
  type Packed,
  PairPacking,
  type Stretch,
  WORDS,
} from './pair-packing.ts';

/** C [batch, m, n] = sum over k of A [batch, m, k] B [batch, k, n], where A and B are of bf16. */
export interface PairGemm {
  /** Sizes, which may be symbolic. */
  readonly batch: Index;
  readonly m: Index;
  readonly n: Index;
  readonly k: Index;
  /** Rows of A in one of the batch. */
  readonly a: (batch: Index) => Lines;
  /** Columns of B. */
  readonly b: (batch: Index) => Lines;
  /** Takes a finished vector at row m and columns n (n holds the lane) under a mask. */
  readonly finish: (batch: Index, m: Index, n: Index, value: Value, mask: Mask) => void;
}

/** Sizes of the blocks. Only those of depth matter to the bits: they are multiples of 32. */
interface PairTiles {
  readonly rows: number;
  /** Vectors across. */
  readonly vectors: number;
  /** Most elements of depth of a packed block. */
  readonly depth: number;
  /** Most columns of a packed block. */
  readonly columns: number;
}

/** All but the operands of a step hold sums. */
const PAIRS: PairTiles = { rows: 8, vectors: 3, depth: 512, columns: 480 };
/** Four tiles of sums, two for either operand. */
const TILES: PairTiles = { rows: 32, vectors: 2, depth: 2048, columns: 512 };
/** A packed block of the right operand has at most so many elements: half the second-level cache. */
const MOST_ELEMENTS = 2 ** 19;
/** Row tiles whose lines lie side by side are packed together: memory is read in longer pieces. */
const GROUP = 4;
/** Words of depth in each turn of the loop over pairs. */
const UNROLL = 4;
const TILE = 16;

/**
 * Product of bf16 by pairs or tiles, in sums of f32. Both operands are packed as pairs along the
 * depth. An element's sum runs over the depth in blocks of 32 in their order, so its bits depend
 * neither on the number of rows nor on how the work is cut.
 */
export function buildPairGemm(b: KernelBuilder, gemm: PairGemm, threads: number): void {
  new PairGemmBuilder(b, gemm, threads).build();
}

/** Some rows of a piece: whole row tiles, then what fills none. */
interface RowPart {
  readonly start: Index;
  readonly whole: Index;
  readonly rest: Index;
}

/** A register tile: rows and columns counted from the piece's first. */
interface Tile {
  readonly group: Index;
  /** Of the matrix. */
  readonly row: Index;
  readonly rows: Index;
  readonly column: Index;
  readonly panel: Index;
  /** Its columns. */
  readonly valid: Index;
  /** Where its packed rows begin. */
  readonly left: Index;
  /** Where its sums lie. */
  readonly sums: Index;
  readonly stretch: Stretch;
  readonly first: boolean;
  readonly last: boolean;
}

class PairGemmBuilder {
  readonly #b: KernelBuilder;
  readonly #gemm: PairGemm;
  readonly #tiles: PairTiles;
  readonly #usesTiles: boolean;
  readonly #tasks: GemmTasks;
  readonly #width: number;
  readonly #packing: PairPacking;
  readonly #left: Buffer;
  readonly #right: Buffer;
  /** Sums of one tile, or of all of a piece's where the depth has several blocks. */
  readonly #sums: Buffer;
  readonly #panels: number;
  /** A symbolic depth is one block. */
  readonly #depth: number;
  /** Words of a packed line. */
  readonly #words: number;
  /** Row tiles that are packed at a time. */
  readonly #group: number;

  constructor(b: KernelBuilder, gemm: PairGemm, threads: number) {
    this.#b = b;
    this.#gemm = gemm;
    this.#usesTiles = b.target.bf16 === 'tiles';
    const tiles = this.#usesTiles ? TILES : PAIRS;
    const [batch, n, k] = [gemm.batch, gemm.n, gemm.k].map((size) => range(size).max);
    this.#depth = Math.max(1, gemm.k.isConstant ? Math.min(tiles.depth, k) : k);
    const columns = Math.min(tiles.columns, Math.floor(MOST_ELEMENTS / this.#depth));
    this.#tiles = { ...tiles, columns: Math.max(columns, tiles.vectors * b.lanes) };
    const { rows, vectors } = this.#tiles;
    this.#width = vectors * b.lanes;
    const sizes = { batch, m: gemm.m, n, k, aIsPlain: false };
    this.#tasks = chooseTasks(
      sizes,
      this.#tiles,
      b.lanes,
      threads,
      this.#usesTiles ? BY_TILES : BY_PAIRS,
    );
    this.#panels = Math.ceil(this.#tasks.columns / this.#width);
    this.#packing = new PairPacking(b);
    // The last block of a symbolic depth stands behind its whole ones, be they as many as there can be.
    const blocks = gemm.k.isConstant
      ? Math.ceil(this.#depth / BLOCK)
      : Math.floor(this.#depth / BLOCK) + 1;
    this.#words = blocks * WORDS;
    this.#group = gemm.a(ZERO).along ? 1 : Math.min(GROUP, Math.max(1, this.#mostRowTiles()));
    this.#left = b.buffer('left', 'i32', this.#group * rows * this.#words, 'local');
    this.#right = b.buffer('right', 'i32', this.#panels * this.#width * this.#words, 'local');
    const all = k > this.#depth ? this.#panels * this.#mostRowTiles() : 1;
    this.#sums = b.buffer('sums', 'f32', all * rows * this.#width, 'local');
  }

  #mostRowTiles(): number {
    const { m } = this.#gemm;
    const { rows } = this.#tiles;
    const { rowTiles } = this.#tasks;
    return rowTiles === undefined ? Math.ceil(range(m).max / rows) : rowTiles + 1;
  }

  build(): void {
    const { n } = this.#gemm;
    const { columns } = this.#tasks;
    if (columns === 0) return;
    const [whole, rest] = [div(n, columns), mod(n, columns)];
    this.#pieces(whole, (block) => mul(block, columns), constant(columns));
    const isLeft = div(add(rest, columns - 1), columns);
    this.#pieces(isLeft, () => mul(whole, columns), rest);
  }

  /** All pieces that are so many columns wide. */
  #pieces(count: Index, column: (block: Index) => Index, columns: Index): void {
    const b = this.#b;
    const { batch } = this.#gemm;
    for (const { parts, part } of this.#rowParts()) {
      if (count.isConstant) {
        const blocks = count.constant;
        b.loop(mul(batch, parts * blocks), 'thread', [], (piece) => {
          const rows = part(mod(div(piece, blocks), parts));
          this.#piece(div(piece, blocks * parts), column(mod(piece, blocks)), columns, rows);
        });
        continue;
      }
      // Nothing is divided by a symbolic number.
      b.loop(mul(batch, parts), 'thread', [], (piece) => {
        b.loop(count, 'serial', [], (block) => {
          this.#piece(div(piece, parts), column(block), columns, part(mod(piece, parts)));
        });
      });
    }
  }

  /** The rows of the pieces: equal parts, and a last one that takes what is left. */
  #rowParts(): { parts: number; part: (i: Index) => RowPart }[] {
    const { m } = this.#gemm;
    const { rows } = this.#tiles;
    const { rowTiles: size } = this.#tasks;
    const [whole, rest] = [div(m, rows), mod(m, rows)];
    if (size === undefined) return [{ parts: 1, part: () => ({ start: ZERO, whole, rest }) }];
    const left = whole.constant % size;
    // What fills no tile goes to a part that has some.
    const takesOne = left === 0 && rest.constant > 0;
    const equal = Math.floor(whole.constant / size) - (takesOne ? 1 : 0);
    const part = (i: Index) => ({ start: mul(i, size * rows), whole: constant(size), rest: ZERO });
    const last = {
      start: constant(equal * size * rows),
      whole: constant(whole.constant - equal * size),
      rest,
    };
    const isWhole = left === 0 && rest.constant === 0;
    return [{ parts: equal, part }, ...(isWhole ? [] : [{ parts: 1, part: () => last }])];
  }

  /** Some rows of some columns. */
  #piece(group: Index, column: Index, columns: Index, rows: RowPart): void {
    const { k } = this.#gemm;
    const depth = this.#depth;
    const full = k.isConstant ? Math.max(0, Math.ceil(k.constant / depth) - 1) : 0;
    const phase = (stretch: Stretch, first: boolean, last: boolean) => {
      this.#pack(group, column, columns, stretch);
      this.#rows(group, column, columns, rows, stretch, first, last);
    };
    if (full === 0) {
      phase({ start: ZERO, length: k }, true, true);
      return;
    }
    phase({ start: ZERO, length: constant(depth) }, true, false);
    this.#b.loop(full - 1, 'serial', [], (i) => {
      phase({ start: mul(add(i, 1), depth), length: constant(depth) }, false, false);
    });
    phase({ start: constant(full * depth), length: sub(k, full * depth) }, false, true);
  }

  /** The right operand's block as panels [panel][pair][width]. */
  #pack(group: Index, column: Index, columns: Index, stretch: Stretch): void {
    const packed: Packed = {
      operand: this.#gemm.b(group),
      first: column,
      size: this.#width,
      parts: (body) => this.#eachPanel(columns, body),
      words: this.#words * this.#width,
    };
    this.#packing.toColumns(packed, stretch, this.#right);
  }

  #panelBase(panel: Index): Index {
    return mul(panel, this.#words * this.#width);
  }

  /** Whole panels in a loop, then the one that is not whole. */
  #eachPanel(columns: Index, panel: (p: Index, valid: Index) => void): void {
    const width = this.#width;
    const [whole, rest] = [div(columns, width), mod(columns, width)];
    this.#b.loop(whole, 'serial', [], (p) => panel(p, constant(width)));
    this.#ifAny(rest, width, () => panel(whole, rest));
  }

  /** Something for what is left of a size below `limit`, if anything is. */
  #ifAny(rest: Index, limit: number, body: () => void): void {
    if (!rest.isConstant) this.#b.loop(div(add(rest, limit - 1), limit), 'serial', [], body);
    else if (rest.constant > 0) body();
  }

  #rows(
    group: Index,
    column: Index,
    columns: Index,
    { start, whole, rest }: RowPart,
    stretch: Stretch,
    first: boolean,
    last: boolean,
  ): void {
    const b = this.#b;
    const { rows } = this.#tiles;
    const size = rows * this.#width;
    const isKept = range(this.#gemm.k).max > this.#depth;
    /** So many row tiles from one on, each of `count` rows. */
    const some = (from: Index, tiles: number, count: Index) => {
      const each = (body: (i: Index) => void) => {
        if (tiles === 1) body(ZERO);
        else b.loop(tiles, 'serial', [], body);
      };
      const packed: Packed = {
        operand: this.#gemm.a(group),
        first: add(start, mul(from, rows)),
        size: rows,
        parts: (body) => each((i) => body(i, count)),
        words: rows * this.#words,
      };
      this.#packing.toLines(packed, stretch, this.#left);
      each((i) => {
        this.#eachPanel(columns, (panel, valid) => {
          const tile = add(from, i);
          const place = add(mul(tile, this.#panels), panel);
          const sums = isKept ? mul(place, size) : ZERO;
          const row = add(start, mul(tile, rows));
          const left = mul(i, rows * this.#words);
          const where = { group, row, rows: count, left, column, panel, valid, sums };
          this.#tile({ ...where, stretch, first, last });
        });
      });
    };
    const groups = this.#group;
    b.loop(div(whole, groups), 'serial', [], (i) => some(mul(i, groups), groups, constant(rows)));
    const after = mul(div(whole, groups), groups);
    b.loop(mod(whole, groups), 'serial', [], (i) => some(add(after, i), 1, constant(rows)));
    this.#ifAny(rest, rows, () => some(whole, 1, rest));
  }

  #tile(tile: Tile): void {
    const b = this.#b;
    if (this.#usesTiles) this.#byTiles(tile);
    else this.#byPairs(tile);
    if (!tile.last) return;
    const { group, row, rows, column, panel, valid, sums } = tile;
    b.loop(rows, 'serial', [], (i) => {
      for (let v = 0; v < this.#most(valid); v += b.lanes) {
        const lane = add(b.laneIndex, v);
        const value = b.load(this.#sums, add(sums, add(mul(i, this.#width), lane)));
        const n = add(column, add(mul(panel, this.#width), lane));
        this.#gemm.finish(group, add(row, i), n, value, [sub(sub(valid, 1), lane)]);
      }
    });
  }

  /** Columns of a panel at most. */
  #most(valid: Index): number {
    return Math.min(range(valid).max, this.#width);
  }

  /** Two by two tiles of sums, or fewer where the rows or columns end. */
  #byTiles({ rows, left: lines, panel, valid, sums, stretch, first }: Tile): void {
    const b = this.#b;
    const width = this.#width;
    const down = Math.ceil(Math.min(range(rows).max, this.#tiles.rows) / TILE);
    const across = Math.ceil(this.#most(valid) / TILE);
    const parts = Array.from({ length: down * across }, (_, t) => {
      const [i, j] = [Math.floor(t / across), t % across];
      const index = add(sums, i * TILE * width + j * TILE);
      return { sum: 2 * i + j, left: 4 + i, right: 6 + j, i, j, index };
    });
    for (const { sum, index } of parts) {
      if (first) b.tile({ kind: 'tileZero', tile: sum });
      else {
        b.tile({ kind: 'tileLoad', tile: sum, buffer: this.#sums, index, stride: width });
      }
    }
    b.loop(blocksOf(stretch), 'serial', [], (block) => {
      for (const { sum, left, right, i, j } of parts) {
        if (j === 0) {
          const index = add(lines, mul(add(mul(block, this.#tiles.rows), i * TILE), WORDS));
          b.tile({ kind: 'tileLoad', tile: left, buffer: this.#left, index, stride: WORDS });
        }
        if (i === 0) {
          const index = add(
            this.#panelBase(panel),
            add(mul(block, WORDS * width), j * TILE * WORDS),
          );
          b.tile({ kind: 'tileLoad', tile: right, buffer: this.#right, index, stride: TILE });
        }
        b.tile({ kind: 'tileDot', of: 'bf16', sum, a: left, b: right });
      }
    });
    for (const { sum, index } of parts) {
      b.tile({ kind: 'tileStore', tile: sum, buffer: this.#sums, index, stride: width });
    }
  }

  /** Sums in registers: a word of the left operand for all lanes, times vectors of the right one. */
  #byPairs({ rows, left: lines, panel, valid, sums, stretch, first }: Tile): void {
    const b = this.#b;
    const vectors = Math.ceil(this.#most(valid) / b.lanes);
    const height = Math.min(range(rows).max, this.#tiles.rows);
    const places = Array.from({ length: height * vectors }, (_, t) => {
      const [i, v] = [Math.floor(t / vectors), t % vectors];
      return add(sums, add(b.laneIndex, i * this.#width + v * b.lanes));
    });
    const zero = b.splat(b.const('f32', 0));
    const inits = places.map((place) => (first ? zero : b.load(this.#sums, place)));
    /** One word of depth: the place of its block's lines, and its place in them. */
    const step = (block: Index, word: Index, values: readonly Value[]): Value[] => {
      const base = add(
        add(this.#panelBase(panel), mul(block, WORDS * this.#width)),
        mul(word, b.lanes),
      );
      const right = Array.from({ length: vectors }, (_, v) =>
        b.load(this.#right, add(base, add(b.laneIndex, v * b.lanes * WORDS))),
      );
      const next = [...values];
      for (let i = 0; i < height; i++) {
        const line = add(lines, mul(add(mul(block, this.#tiles.rows), i), WORDS));
        const left = b.splat(b.load(this.#left, add(line, word)));
        for (let v = 0; v < vectors; v++) {
          const t = i * vectors + v;
          next[t] = b.pairDot(left, right[v], next[t]);
        }
      }
      return next;
    };
    const results = b.loop(blocksOf(stretch), 'reduce', inits, (block, outer) =>
      b.loop(WORDS / UNROLL, 'reduce', outer, (group, carried) => {
        let values = [...carried];
        for (let u = 0; u < UNROLL; u++) values = step(block, add(mul(group, UNROLL), u), values);
        return values;
      }),
    );
    places.forEach((place, t) => {
      b.store(this.#sums, place, results[t]);
    });
  }
}
