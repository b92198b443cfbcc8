import { DTYPES, type DType } from '../dtype.ts';
import type { Statement, TileDot, TileStatement } from './types.ts';

/** Registers for tiles. */
export const TILES = 8;
export const TILE_ROWS = 16;
export const TILE_ROW_BYTES = 64;
/** Bytes of the largest tile. */
export const TILE_BYTES = TILE_ROWS * TILE_ROW_BYTES;

export interface TileShape {
  readonly rows: number;
  readonly rowBytes: number;
}

const WHOLE: TileShape = { rows: TILE_ROWS, rowBytes: TILE_ROW_BYTES };
/** Bytes of depth in a product of bytes: half of what a tile holds. */
const DEPTH = 32;

/** Parts of a product and the shapes that it gives them. */
export function dotShapes({ of, sum, a, b }: TileDot): (readonly [tile: number, TileShape])[] {
  if (of === 'bf16') return [sum, a, b].map((tile) => [tile, WHOLE] as const);
  return [
    [sum, WHOLE],
    [a, { rows: TILE_ROWS, rowBytes: DEPTH }],
    [b, { rows: DEPTH / 4, rowBytes: TILE_ROW_BYTES }],
  ];
}

/** The shape of each tile of a kernel: as its first product has it, else the largest. */
export function tileShapes(body: readonly Statement[]): readonly TileShape[] {
  const shapes = new Map<number, TileShape>();
  const visit = (block: readonly Statement[]): void => {
    for (const statement of block) {
      if (statement.kind === 'loop') visit(statement.body);
      if (statement.kind !== 'tileDot') continue;
      for (const [tile, shape] of dotShapes(statement)) {
        if (!shapes.has(tile)) shapes.set(tile, shape);
      }
    }
  };
  visit(body);
  return Array.from({ length: TILES }, (_, tile) => shapes.get(tile) ?? WHOLE);
}

export function sameShape(a: TileShape, b: TileShape): boolean {
  return a.rows === b.rows && a.rowBytes === b.rowBytes;
}

/** Elements of a buffer that make a row of a tile; undefined where tiles hold no such type. */
export function tileRow(dtype: DType, { rowBytes }: TileShape): number | undefined {
  switch (dtype) {
    case 'f32':
    case 'i32':
    case 'bf16':
    case 'i8':
    case 'u8':
      return rowBytes / DTYPES[dtype].bytes;
    default:
      return undefined;
  }
}

export function isTileStatement(statement: Statement): statement is TileStatement {
  const { kind } = statement;
  return kind === 'tileDot' || kind === 'tileLoad' || kind === 'tileStore' || kind === 'tileZero';
}
