import { type Index, range } from '../../ir/kernel/index-expr.ts';
import type { GemmTiles } from './gemm-tiles.ts';

/** What the cut depends on; see `Gemm`. */
export interface GemmSizes {
  readonly batch: number;
  readonly m: Index;
  readonly n: number;
  readonly k: number;
  readonly aIsPlain: boolean;
}

/** How a product is cut into pieces that threads can do independently. */
export interface GemmTasks {
  /** Columns of a piece: whole panels, but for the last piece. */
  readonly columns: number;
  /** Row tiles of a piece; undefined: each piece has all rows. */
  readonly rowTiles: number | undefined;
}

/** Rough nanoseconds for an element. */
interface Times {
  readonly multiplyAdd: number;
  readonly pack: number;
  /** Reading an unpacked left operand once more, from a cache further away. */
  readonly readAgain: number;
}
const WASM: Times = { multiplyAdd: 0.04, pack: 0.4, readAgain: 0.02 };
const NATIVE: Times = { multiplyAdd: 0.005, pack: 0.08, readAgain: 0.02 };
/** Products of bf16 by pairs and by tiles, which pack both operands. */
export const BY_PAIRS: Times = { multiplyAdd: 0.01, pack: 0.1, readAgain: 0.1 };
export const BY_TILES: Times = { multiplyAdd: 0.001, pack: 0.1, readAgain: 0.1 };
/** Each further size of piece is code of its own. */
const VARIANT = 1.03;
/** Threads are not equally fast at all times: the larger the last piece, the longer some wait. */
const UNEVEN_THREADS = 0.06;
/** Smaller pieces spend their time on packing. */
const FEWEST_ROW_TILES = 8;
const FEWEST_PANELS = 4;
const MOST_CUTS = 16;

/**
 * Chooses the pieces by a model of the time: every cut of the rows packs the right operand once
 * more, every cut of the columns reads the left one again, and too few pieces leave threads idle.
 * The choice changes the speed and never a bit of the result.
 */
export function chooseTasks(
  gemm: GemmSizes,
  tiles: Pick<GemmTiles, 'rows' | 'vectors' | 'columns'>,
  lanes: number,
  threads: number,
  times: Times = lanes === 4 ? WASM : NATIVE,
): GemmTasks {
  const panels = Math.ceil(gemm.n / (tiles.vectors * lanes));
  const mostPanels = Math.max(1, Math.floor(tiles.columns / (tiles.vectors * lanes)));
  const rowTiles = gemm.m.isConstant ? Math.floor(gemm.m.constant / tiles.rows) : 0;
  const cuts = (least: number, size: number, smallest: number) => {
    const list: number[] = [];
    for (let count = least; count <= Math.max(least, MOST_CUTS); count++) {
      if (count === least || size / count >= smallest) list.push(count);
    }
    return threads === 1 ? [least] : list;
  };
  let best = { time: Number.POSITIVE_INFINITY, columns: 0, rows: 0 };
  for (const across of cuts(Math.ceil(panels / mostPanels), panels, FEWEST_PANELS)) {
    for (const down of cuts(1, rowTiles, FEWEST_ROW_TILES)) {
      const columns = Math.ceil(panels / across);
      const rows = Math.ceil(Math.max(1, rowTiles) / down);
      const time = estimate(gemm, { panels, columns, rowTiles, rows }, threads, times);
      if (time < best.time * 0.99) best = { time, columns, rows };
    }
  }
  const all = !gemm.m.isConstant || best.rows >= rowTiles;
  return {
    columns: best.columns * tiles.vectors * lanes,
    rowTiles: all ? undefined : best.rows,
  };
}

/** The time of the thread that works longest, in nanoseconds. */
function estimate(
  { batch, m, n, k, aIsPlain }: GemmSizes,
  cut: { panels: number; columns: number; rowTiles: number; rows: number },
  threads: number,
  { multiplyAdd, pack, readAgain }: Times,
): number {
  const m0 = range(m).max;
  const across = Math.ceil(cut.panels / cut.columns);
  const down = Math.max(1, Math.ceil(cut.rowTiles / cut.rows));
  const work =
    m0 * n * k * multiplyAdd +
    down * n * k * pack +
    across * m0 * k * (aIsPlain ? readAgain : pack);
  const uneven = (size: number, piece: number) => (size % piece === 0 ? 1 : VARIANT);
  const variants = uneven(cut.panels, cut.columns) * uneven(cut.rowTiles, cut.rows);
  return work * batch * idle(batch, cut, threads) * variants;
}

/**
 * By how much the longest share exceeds the mean, threads taking pieces as they come; 1 for one
 * thread.
 */
function idle(
  batch: number,
  cut: { panels: number; columns: number; rowTiles: number; rows: number },
  threads: number,
): number {
  if (threads === 1) return 1;
  const shares = new Array<number>(threads).fill(0);
  let total = 0;
  const deal = (size: number, piece: number, take: (part: number) => void) => {
    for (let from = 0; from < size; from += piece) take(Math.min(piece, size - from));
  };
  // More groups than this are even enough.
  for (let group = 0; group < Math.min(batch, 4 * threads); group++) {
    deal(Math.max(1, cut.rowTiles), cut.rows, (rows) =>
      deal(cut.panels, cut.columns, (columns) => {
        const least = shares.indexOf(Math.min(...shares));
        shares[least] += rows * columns;
        total += rows * columns;
      }),
    );
  }
  // Nothing to do, in a batch of none: shared evenly.
  return total === 0
    ? 1
    : ((Math.max(...shares) + UNEVEN_THREADS * cut.rows * cut.columns) * threads) / total;
}
