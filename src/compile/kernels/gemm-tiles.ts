/** Sizes of the blocks; they change the speed and never a bit of the result. */
export interface GemmTiles {
  /** Rows of the register tile; LANES for a packed left operand. */
  readonly rows: number;
  /** Vectors across the register tile. */
  readonly vectors: number;
  /** Most steps of a packed block: the register tile's operands stay in the first-level cache. */
  readonly depth: number;
  /** Most columns of a packed block: depth x columns x 4 bytes stay in the second-level cache. */
  readonly columns: number;
  /** Steps of depth for each turn of the inner loop. */
  readonly unroll: number;
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
};
