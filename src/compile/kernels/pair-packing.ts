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
} from '../../ir/kernel/index-expr.ts';
import type { Buffer, Mask, Value } from '../../ir/kernel/types.ts';
import { upTo } from '../../ir/shape.ts';
import { turnSquare } from './square.ts';

/** Elements of depth that a tile, or sixteen words of pairs, holds. */
export const BLOCK = 32;
/** Words of a block. */
export const WORDS = BLOCK / 2;

/** Blocks of a line that are packed at a time. */
const GROUP = 4;

/** An operand: lines (rows of the left, columns of the right one) by depth. */
export interface Lines {
  /** An element, rounded to bf16 or not yet; a vector when an index holds the lane. */
  readonly element: (line: Index, depth: Index, mask: Mask) => Value;
  /** True when vectors are read along the depth, else across the lines. */
  readonly along: boolean;
}

/** A stretch of depth that is packed at once. */
export interface Stretch {
  readonly start: Index;
  readonly length: Index;
}

/** Blocks of a stretch, the last of which may be filled up. */
export function blocksOf({ length }: Stretch): Index {
  return div(add(length, BLOCK - 1), BLOCK);
}

/** Lines of an operand, and where they go. */
export interface Packed {
  readonly operand: Lines;
  readonly first: Index;
  /** Lines of a part, a tile's rows or a panel's columns. */
  readonly size: number;
  /** Calls for each part, with the lines that there are in it. */
  readonly parts: (body: (part: Index, count: Index) => void) => void;
  /** Words from one part to the next. */
  readonly words: number;
}

/** A block of depth and how many of its elements there are; undefined: all. */
interface Block {
  readonly at: Index;
  readonly left: Index | undefined;
}

/** Packs operands as pairs of bf16 along the depth, whose last block is filled up with zeros. */
export class PairPacking {
  readonly #b: KernelBuilder;

  constructor(b: KernelBuilder) {
    this.#b = b;
  }

  /** Lines as [tile][block][lines][16] words. Of a tile that is not full the others stay as they are. */
  toLines({ operand, first, parts, size, words }: Packed, stretch: Stretch, target: Buffer): void {
    const b = this.#b;
    const place = (tile: Index, block: Index, line: Index) =>
      add(mul(tile, words), add(mul(add(mul(block, size), line), WORDS), b.laneIndex));
    if (operand.along) {
      parts((tile, count) => {
        const start = add(first, mul(tile, size));
        this.#someBlocks(stretch, (blocks) => {
          b.loop(count, 'serial', [], (line) => {
            for (const block of blocks) {
              const vector = this.#along(operand, add(start, line), stretch, block);
              b.store(target, place(tile, block.at, line), vector);
            }
          });
        });
      });
      return;
    }
    this.#eachBlock(stretch, (block) => {
      parts((tile, count) => {
        for (let from = 0; from < Math.min(size, range(count).max); from += b.lanes) {
          const lane = add(b.laneIndex, from);
          const line = add(add(first, mul(tile, size)), lane);
          const mask = [sub(sub(count, 1), lane)];
          turnSquare(b, this.#square(operand, line, mask, stretch, block)).forEach((vector, i) => {
            if (from + i < size) b.store(target, place(tile, block.at, constant(from + i)), vector);
          });
        }
      });
    });
  }

  /** Lines side by side, as [panel][block][16 lines][16 pairs][16] words. */
  toColumns(packed: Packed, stretch: Stretch, target: Buffer): void {
    const { operand, parts } = packed;
    const pack = (block: Block, panel: Index, count: Index) =>
      this.#panelBlock(packed, stretch, target, block, panel, count);
    // The way the operand lies in memory.
    if (operand.along) {
      parts((panel, count) => {
        this.#eachBlock(stretch, (block) => pack(block, panel, count));
      });
    } else {
      this.#eachBlock(stretch, (block) => {
        parts((panel, count) => pack(block, panel, count));
      });
    }
  }

  #panelBlock(
    { operand, first, size, words }: Packed,
    stretch: Stretch,
    target: Buffer,
    block: Block,
    panel: Index,
    count: Index,
  ): void {
    const b = this.#b;
    const start = add(first, mul(panel, size));
    const base = add(mul(panel, words), mul(block.at, WORDS * size));
    for (let from = 0; from < Math.min(size, range(count).max); from += b.lanes) {
      const lane = add(b.laneIndex, from);
      const one = (l: number): Value => {
        const isThere = sub(sub(count, 1), from + l);
        if (range(isThere).max < 0) return this.#nothing();
        const mask = range(isThere).min < 0 ? [isThere] : [];
        return this.#along(operand, add(start, from + l), stretch, block, mask);
      };
      const mask = [sub(sub(count, 1), lane)];
      const vectors = operand.along
        ? turnSquare(b, b.eachLane(one))
        : this.#square(operand, add(start, lane), mask, stretch, block);
      vectors.forEach((vector, i) => {
        const place = add(b.laneIndex, from * WORDS + i * b.lanes);
        b.store(target, add(base, place), vector);
      });
    }
  }

  /** Whole blocks in a loop, then the one that is not whole. */
  #eachBlock({ length }: Stretch, body: (block: Block) => void): void {
    const whole = div(length, BLOCK);
    this.#b.loop(whole, 'serial', [], (at) => body({ at, left: undefined }));
    this.#lastBlock(length, body);
  }

  #lastBlock(length: Index, body: (block: Block) => void): void {
    const left = mod(length, BLOCK);
    const last = { at: div(length, BLOCK), left };
    if (!left.isConstant) {
      // One turn, or none.
      this.#b.loop(div(add(left, BLOCK - 1), BLOCK), 'serial', [], () => body(last));
    } else if (left.constant > 0) body(last);
  }

  /** The same, some blocks at a time: those of a line lie in few sets of the cache. */
  #someBlocks({ length }: Stretch, body: (blocks: readonly Block[]) => void): void {
    const b = this.#b;
    const [whole, group] = [div(length, BLOCK), mul(div(length, BLOCK * GROUP), GROUP)];
    const block = (at: Index): Block => ({ at, left: undefined });
    b.loop(div(whole, GROUP), 'serial', [], (i) => {
      body(upTo(0, GROUP).map((j) => block(add(mul(i, GROUP), j))));
    });
    b.loop(mod(whole, GROUP), 'serial', [], (i) => body([block(add(group, i))]));
    this.#lastBlock(length, (last) => body([last]));
  }

  /** The words of one line in a block; where the mask fails they may be anything. */
  #along(operand: Lines, line: Index, { start }: Stretch, block: Block, mask: Mask = []): Value {
    const b = this.#b;
    const half = (from: number): Value => {
      const inside = block.left && sub(sub(block.left, from + 1), b.laneIndex);
      const at = add(add(start, mul(block.at, BLOCK)), add(b.laneIndex, from));
      if (!inside) return b.splat(operand.element(line, at, mask));
      if (range(inside).max < 0) return this.#zero();
      const value = b.splat(operand.element(line, at, [...mask, inside]));
      return this.#where(inside, value);
    };
    return b.pairs('along', half(0), half(WORDS));
  }

  /** Sixteen words of depth in a block, each a vector of lines. */
  #square(operand: Lines, line: Index, mask: Mask, { start }: Stretch, block: Block): Value[] {
    const b = this.#b;
    const one = (i: number): Value => {
      const at = add(start, add(mul(block.at, BLOCK), i));
      const inside = block.left && sub(block.left, i + 1);
      if (!inside || range(inside).min >= 0) return b.splat(operand.element(line, at, mask));
      if (range(inside).max < 0) return this.#zero();
      return this.#where(inside, b.splat(operand.element(line, at, [...mask, inside])));
    };
    return upTo(0, WORDS).map((word) => b.pairs('across', one(2 * word), one(2 * word + 1)));
  }

  /** A vector where a condition holds, for each lane by itself or for all, else 0. */
  #where(condition: Index, value: Value): Value {
    const b = this.#b;
    return b.select(b.compare('le', b.const('i32', 0), b.index(condition)), value, this.#zero());
  }

  #zero(): Value {
    return this.#b.splat(this.#b.const('f32', 0));
  }

  #nothing(): Value {
    return this.#b.splat(this.#b.const('i32', 0));
  }
}
