import type { KernelTarget } from '../../ir/kernel/types.ts';

/** Sizes of the blocks; they change the speed and never a bit of the result. */
export interface GemmTiles {
  /** Rows of the register tile. */
  readonly rows: number;
  /** Vectors across the register tile. */
  readonly vectors: number;
  /** Most steps of a packed block: the register tile's operands stay in the first-level cache. */
  readonly depth: number;
  /** Most columns of a packed block: depth x columns x 4 bytes stay in the second-level cache. */
  readonly columns: number;
  /** Steps of depth for each turn of the inner loop. */
  readonly unroll: number;
  /** Pack rows of the left operand also where they lie evenly: rows far apart share cache lines. */
  readonly packsRows: boolean;
  /** Pack a right operand that lies along the depth by turning squares of it in registers. */
  readonly turnsColumns: boolean;
}

/**
 * WebAssembly engines issue all loads of a turn before its arithmetic, so accumulators and operands
 * are alive together: rows * vectors + rows + vectors must fit in the 15 registers that code may
 * use. 4 x 3 tiles or an unrolled turn spill, and run at 60 % of the speed of this.
 */
export const DEFAULT_TILES: GemmTiles = {
  rows: 4,
  vectors: 2,
  depth: 256,
  columns: 384,
  unroll: 1,
  packsRows: false,
  turnsColumns: false,
};

/** Machine code has 16 registers of 8 lanes, or 32 of 16: all but the operands of a step hold sums. */
const TILES_OF_8: GemmTiles = {
  rows: 6,
  vectors: 2,
  depth: 256,
  columns: 512,
  unroll: 2,
  packsRows: true,
  turnsColumns: true,
};
const TILES_OF_16: GemmTiles = {
  rows: 8,
  vectors: 3,
  depth: 384,
  columns: 480,
  unroll: 4,
  packsRows: true,
  turnsColumns: true,
};

/** The blocks that suit a target's registers. */
export function tilesFor({ lanes }: KernelTarget): GemmTiles {
  if (lanes === 4) return DEFAULT_TILES;
  return lanes === 8 ? TILES_OF_8 : TILES_OF_16;
}
