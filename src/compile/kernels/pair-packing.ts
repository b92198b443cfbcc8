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

/** Some lines of an operand. */
export interface Some {
  readonly operand: Lines;
  readonly first: Index;
  readonly count: Index;
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

  /** Lines as [block][lines][16] words. Where there are fewer than `lines` the others stay as they are. */
  toLines({ operand, first, count }: Some, lines: number, stretch: Stretch, target: Buffer): void {
    const b = this.#b;
    const place = (block: Index, line: Index) =>
      add(mul(add(mul(block, lines), line), WORDS), b.laneIndex);
    if (operand.along) {
      this.#someBlocks(stretch, (blocks) => {
        b.loop(count, 'serial', [], (line) => {
          for (const block of blocks) {
            const words = this.#along(operand, add(first, line), stretch, block);
            b.store(target, place(block.at, line), words);
          }
        });
      });
      return;
    }
    this.#eachBlock(stretch, (block) => {
      for (let from = 0; from < Math.min(lines, range(count).max); from += b.lanes) {
        const lane = add(b.laneIndex, from);
        const mask = [sub(sub(count, 1), lane)];
        const at = add(first, lane);
        turnSquare(b, this.#square(operand, at, mask, stretch, block)).forEach((vector, i) => {
          if (from + i < lines) b.store(target, place(block.at, constant(from + i)), vector);
        });
      }
    });
  }

  /** Lines side by side as [block][16 lines][16 pairs][16] words, from word `base` of the target on. */
  toColumns(
    { operand, first, count }: Some,
    width: number,
    stretch: Stretch,
    target: Buffer,
    base: Index,
  ): void {
    const b = this.#b;
    this.#eachBlock(stretch, (block) => {
      for (let from = 0; from < Math.min(width, range(count).max); from += b.lanes) {
        const lane = add(b.laneIndex, from);
        const one = (l: number): Value => {
          const isThere = sub(sub(count, 1), from + l);
          if (range(isThere).max < 0) return this.#nothing();
          const mask = range(isThere).min < 0 ? [isThere] : [];
          return this.#along(operand, add(first, from + l), stretch, block, mask);
        };
        const mask = [sub(sub(count, 1), lane)];
        const vectors = operand.along
          ? turnSquare(b, b.eachLane(one))
          : this.#square(operand, add(first, lane), mask, stretch, block);
        vectors.forEach((vector, i) => {
          const place = add(mul(block.at, WORDS * width), from * WORDS + i * b.lanes);
          b.store(target, add(base, add(place, b.laneIndex)), vector);
        });
      }
    });
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
