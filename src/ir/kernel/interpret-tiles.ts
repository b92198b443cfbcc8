import { flushedFma, flushedSum, highHalf, lowHalf } from './interpret-bf16.ts';
import type { Frame } from './interpret-frame.ts';
import { TILE_BYTES, TILE_ROW_BYTES, TILE_ROWS, tileRow } from './tiles.ts';
import type { TileDot, TileLoad, TileStatement, TileStore } from './types.ts';

const WORDS = TILE_ROW_BYTES / 4;

/** A tile statement as a closure over a frame. */
export function compileTile(frame: Frame, statement: TileStatement): () => void {
  switch (statement.kind) {
    case 'tileZero': {
      const tile = bytesOf(frame, statement.tile);
      return () => {
        tile.fill(0);
      };
    }
    case 'tileLoad':
    case 'tileStore':
      return compileMove(frame, statement);
    case 'tileDot':
      return statement.of === 'bf16' ? pairDot(frame, statement) : byteDot(frame, statement);
    default:
      return statement satisfies never;
  }
}

function bytesOf(frame: Frame, tile: number): Uint8Array {
  return frame.tiles.subarray(tile * TILE_BYTES, (tile + 1) * TILE_BYTES);
}

/** Rows between a buffer and a tile, byte by byte. */
function compileMove(frame: Frame, move: TileLoad | TileStore): () => void {
  const { buffer, stride, kind } = move;
  const shape = frame.tileShapes[move.tile];
  const { rows, rowBytes } = shape;
  const row = tileRow(buffer.dtype, shape) ?? frame.fail(`a tile of ${buffer.dtype}`);
  const tile = bytesOf(frame, move.tile);
  const slot = frame.bufferSlot(buffer);
  const at = frame.index(move.index);
  const guard = frame.guard(buffer);
  return () => {
    const first = at();
    const { buffer: memory, byteOffset, BYTES_PER_ELEMENT } = frame.memory[slot];
    for (let i = 0; i < rows; i++) {
      const start = first + i * stride;
      guard(start, row - 1);
      const there = new Uint8Array(memory, byteOffset + start * BYTES_PER_ELEMENT, rowBytes);
      const here = tile.subarray(i * TILE_ROW_BYTES, i * TILE_ROW_BYTES + rowBytes);
      if (kind === 'tileLoad') here.set(there);
      else there.set(here);
    }
  };
}

/** Pairs of bf16, in the order of the instruction. */
function pairDot(frame: Frame, dot: TileDot): () => void {
  const words = (tile: number) => new Int32Array(frame.tiles.buffer, tile * TILE_BYTES, 256);
  const sums = new Float32Array(frame.tiles.buffer, dot.sum * TILE_BYTES, TILE_ROWS * WORDS);
  const [left, right] = [words(dot.a), words(dot.b)];
  return () => {
    for (let m = 0; m < TILE_ROWS; m++) {
      for (let n = 0; n < WORDS; n++) {
        let [even, odd] = [0, 0];
        for (let k = 0; k < TILE_ROWS; k++) {
          const [a, b] = [left[m * WORDS + k], right[k * WORDS + n]];
          even = flushedFma(lowHalf(a), lowHalf(b), even);
          odd = flushedFma(highHalf(a), highHalf(b), odd);
        }
        const at = m * WORDS + n;
        sums[at] = flushedSum(sums[at], flushedSum(even, odd));
      }
    }
  };
}

function byteDot(frame: Frame, dot: TileDot): () => void {
  const bytes = (tile: number) => new Int8Array(frame.tiles.buffer, tile * TILE_BYTES, TILE_BYTES);
  const sums = new Int32Array(frame.tiles.buffer, dot.sum * TILE_BYTES, TILE_ROWS * WORDS);
  const [left, right] = [bytes(dot.a), bytes(dot.b)];
  const depth = frame.tileShapes[dot.a].rowBytes;
  return () => {
    for (let m = 0; m < TILE_ROWS; m++) {
      for (let n = 0; n < WORDS; n++) {
        let exact = 0;
        for (let k = 0; k < depth; k++) {
          const [word, byte] = [k >> 2, k & 3];
          exact += left[m * TILE_ROW_BYTES + k] * right[word * TILE_ROW_BYTES + 4 * n + byte];
        }
        sums[m * WORDS + n] += exact;
      }
    }
  };
}
