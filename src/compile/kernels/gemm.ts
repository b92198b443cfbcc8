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
import type { Buffer, Value } from '../../ir/kernel/types.ts';
import { LINE_WORDS } from './cache-line.ts';
import { planDepth } from './depth.ts';
import {
  type DepthBlock,
  eachPanel,
  type Gemm,
  LeftOperand,
  type LeftTile,
  RightOperand,
} from './gemm-packing.ts';
import { chooseTasks, type GemmTasks } from './gemm-tasks.ts';
import type { GemmTiles } from './gemm-tiles.ts';
import { multiplyAdd } from './multiply-add.ts';

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
interface Tile extends DepthBlock, LeftTile {
  /** The row counted from the piece's first. */
  readonly inPart: Index;
  readonly rows: number;
  readonly column: Index;
  /** The panel, and how many of its columns there are. */
  readonly p: Index;
  readonly valid: number;
  readonly first: boolean;
  readonly last: boolean;
}

class GemmBuilder {
  readonly #b: KernelBuilder;
  readonly #gemm: Gemm;
  readonly #tiles: GemmTiles;
  readonly #tasks: GemmTasks;
  readonly #width: number;
  readonly #columns: number;
  /** Steps of a block of depth. */
  readonly #depth: number;
  readonly #left: LeftOperand;
  readonly #right: RightOperand;
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
    this.#panels = Math.ceil(this.#columns / this.#width);
    const plan = planDepth(gemm.depthAxes, tiles.depth);
    const depth = plan.block;
    const { rowTiles } = this.#tasks;
    const rows = rowTiles ? (rowTiles + 1) * tiles.rows : range(gemm.m).max;
    this.#depth = depth;
    this.#right = new RightOperand(b, gemm, tiles, plan, this.#columns);
    this.#left = new LeftOperand(b, gemm, tiles, plan, this.#panels);
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
    const depth = this.#depth;
    const full = Math.max(0, Math.ceil(k / depth) - 1);
    const phase = (start: Index, length: number, first: boolean, last: boolean) => {
      this.#right.pack(group, column, columns, { start, length });
      this.#rows(group, column, columns, rows, { start, length }, first, last);
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

  #rows(
    group: Index,
    column: Index,
    columns: number,
    part: RowPart,
    block: DepthBlock,
    first: boolean,
    last: boolean,
  ): void {
    const tiles = (inPart: Index, rows: number, packedRow: Index) => {
      const row = add(part.start, inPart);
      eachPanel(this.#b, this.#width, columns, (p, valid) => {
        this.#left.prefetch(group, row, rows, p, block);
        const place = { group, row, inPart, rows, packedRow, column, p, valid };
        this.#tile({ ...place, ...block, first, last });
      });
    };
    const pack = (inPart: Index, rows: number) => {
      this.#left.pack(group, add(part.start, inPart), rows, block);
    };
    for (const { count, start: from, rows } of this.#rowPanels(part)) {
      // As many tiles are packed together as fill vectors across the rows.
      const together = this.#left.tilesTogether(rows);
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
      const right = Array.from({ length: vectors }, (_, v) => this.#right.read(p, v, k, length));
      const next = [...values];
      for (let i = 0; i < rows; i++) {
        const left = this.#left.read(tile, i, k);
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

  /** The sums of the tile that comes next: they may have left the caches nearby. */
  #prefetchSums(inPart: Index, rows: number, p: Index): void {
    const b = this.#b;
    const tile = rows * this.#width;
    const next = add(mul(inPart, this.#panels * this.#width), mul(add(p, 1), tile));
    for (let i = 0; i < tile; i += LINE_WORDS) b.prefetch(this.#sums as Buffer, add(next, i));
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
}
