import type { DType } from '../dtype.ts';
import type { Statement, TileStatement } from './types.ts';

/** Registers for tiles. */
export const TILES = 8;
export const TILE_ROWS = 16;
export const TILE_ROW_BYTES = 64;
export const TILE_BYTES = TILE_ROWS * TILE_ROW_BYTES;

/** Elements of a buffer that make a row of a tile; undefined where tiles hold no such type. */
export function tileRow(dtype: DType): number | undefined {
  switch (dtype) {
    case 'f32':
    case 'i32':
      return TILE_ROW_BYTES / 4;
    case 'bf16':
      return TILE_ROW_BYTES / 2;
    default:
      return undefined;
  }
}

export function isTileStatement(statement: Statement): statement is TileStatement {
  const { kind } = statement;
  return kind === 'tileDot' || kind === 'tileLoad' || kind === 'tileStore' || kind === 'tileZero';
}
