import { tmm } from '../../../asm/index.ts';
import { DTYPES } from '../../../ir/dtype.ts';
import { isTileStatement, tileShapes } from '../../../ir/kernel/tiles.ts';
import type { Statement, TileLoad, TileStatement, TileStore } from '../../../ir/kernel/types.ts';
import type { Emitter } from './emitter.ts';
import { type Place, place } from './machine.ts';

/** The 64 bytes that say how large each tile is: bytes of a row from byte 16 on, rows from 48 on. */
const PALETTE = 1;
const ROW_BYTES_AT = 16;
const ROWS_AT = 48;

export function usesTiles(block: readonly Statement[]): boolean {
  return block.some((s) => isTileStatement(s) || (s.kind === 'loop' && usesTiles(s.body)));
}

/** Gives all tiles their sizes. */
export function beginTiles(e: Emitter, body: readonly Statement[]): void {
  const sizes = new Uint8Array(64);
  const view = new DataView(sizes.buffer);
  view.setUint8(0, PALETTE);
  tileShapes(body).forEach(({ rows, rowBytes }, tile) => {
    view.setUint16(ROW_BYTES_AT + 2 * tile, rowBytes, true);
    view.setUint8(ROWS_AT + tile, rows);
  });
  e.m.reads('ldtilecfg', place(e.a.constant(sizes)));
}

/** Nobody has to save tiles any more when threads change places. */
export function endTiles(e: Emitter): void {
  e.m.reads('tilerelease');
}

export function emitTile(e: Emitter, statement: TileStatement): void {
  const { m } = e;
  switch (statement.kind) {
    case 'tileZero':
      m.reads('tilezero', tmm(statement.tile));
      return;
    case 'tileLoad':
      m.reads('tileloadd', tmm(statement.tile), rowsOf(e, statement));
      return;
    case 'tileStore':
      m.reads('tilestored', rowsOf(e, statement), tmm(statement.tile));
      return;
    case 'tileDot':
      m.reads(
        statement.of === 'bf16' ? 'tdpbf16ps' : 'tdpbssd',
        tmm(statement.sum),
        tmm(statement.a),
        tmm(statement.b),
      );
      return;
    default:
      statement satisfies never;
  }
}

/** The first row; the index register says how far apart they lie. */
function rowsOf(e: Emitter, { buffer, index, stride }: TileLoad | TileStore): Place {
  const distance = e.number(stride * DTYPES[buffer.dtype].bytes);
  return e.address(buffer, index, { index: distance });
}
