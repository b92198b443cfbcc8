import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import { add, constant, type Index, mul, sub } from '../../ir/kernel/index-expr.ts';
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
  readonly length: number;
}

export function blocksOf({ length }: Stretch): number {
  return Math.ceil(length / BLOCK);
}

/** Packs operands as pairs of bf16 along the depth, whose last block is filled up with zeros. */
export class PairPacking {
  readonly #b: KernelBuilder;

  constructor(b: KernelBuilder) {
    this.#b = b;
  }

  /**
   * Lines as [block][lines][16] words.
   *
   * @param count lines to pack; where it is less than `lines` the others stay as they are
   */
  toLines(
    operand: Lines,
    first: Index,
    count: Index,
    lines: number,
    stretch: Stretch,
    target: Buffer,
  ): void {
    const b = this.#b;
    const place = (block: Index, line: Index) =>
      add(mul(add(mul(block, lines), line), WORDS), b.laneIndex);
    if (operand.along) {
      this.#someBlocks(stretch, (blocks) => {
        b.loop(count, 'serial', [], (line) => {
          for (const { block, left } of blocks) {
            const words = this.#along(operand, add(first, line), stretch, block, left);
            b.store(target, place(block, line), words);
          }
        });
      });
      return;
    }
    this.#eachBlock(stretch, (block, left) => {
      for (let from = 0; from < lines; from += b.lanes) {
        const lane = add(b.laneIndex, from);
        const mask = [sub(sub(count, 1), lane)];
        const at = add(first, lane);
        turnSquare(b, this.#square(operand, at, mask, stretch, block, left)).forEach((vector, i) => {
          if (from + i < lines) b.store(target, place(block, constant(from + i)), vector);
        });
      }
    });
  }

  /** Lines side by side as [block][16 lines][16 pairs][16] words, from word `base` of the target on. */
  toColumns(
    operand: Lines,
    first: Index,
    valid: number,
    width: number,
    stretch: Stretch,
    target: Buffer,
    base: Index,
  ): void {
    const b = this.#b;
    this.#eachBlock(stretch, (block, left) => {
      for (let from = 0; from < valid; from += b.lanes) {
        const lane = add(b.laneIndex, from);
        const vectors = operand.along
          ? turnSquare(
              b,
              b.eachLane((l) =>
                from + l < valid
                  ? this.#along(operand, add(first, from + l), stretch, block, left)
                  : this.#nothing(),
              ),
            )
          : this.#square(operand, add(first, lane), [sub(constant(valid - 1), lane)], stretch, block, left);
        vectors.forEach((vector, i) => {
          const place = add(mul(block, WORDS * width), from * WORDS + i * b.lanes);
          b.store(target, add(base, add(place, b.laneIndex)), vector);
        });
      }
    });
  }

  /** Whole blocks in a loop, then the one that is not whole, of which so many elements are left. */
  #eachBlock(
    { length }: Stretch,
    body: (block: Index, left: number) => void,
  ): void {
    const whole = Math.floor(length / BLOCK);
    this.#b.loop(whole, 'serial', [], (block) => body(block, BLOCK));
    const left = length - whole * BLOCK;
    if (left > 0) body(constant(whole), left);
  }

  /** The same, some blocks at a time: those of a line lie in few sets of the cache. */
  #someBlocks(
    { length }: Stretch,
    body: (blocks: readonly { block: Index; left: number }[]) => void,
  ): void {
    const whole = Math.floor(length / BLOCK);
    const groups = Math.floor(whole / GROUP);
    this.#b.loop(groups, 'serial', [], (group) => {
      body(upTo(0, GROUP).map((i) => ({ block: add(mul(group, GROUP), i), left: BLOCK })));
    });
    const rest = upTo(groups * GROUP, Math.ceil(length / BLOCK)).map((block) => ({
      block: constant(block),
      left: Math.min(BLOCK, length - block * BLOCK),
    }));
    if (rest.length > 0) body(rest);
  }

  /** The words of one line in a block. */
  #along(operand: Lines, line: Index, { start }: Stretch, block: Index, left: number): Value {
    const b = this.#b;
    const half = (from: number): Value => {
      const rest = left - from;
      if (rest <= 0) return this.#zero();
      const at = add(add(start, mul(block, BLOCK)), add(b.laneIndex, from));
      if (rest >= b.lanes) return b.splat(operand.element(line, at, []));
      const inside = sub(constant(rest - 1), b.laneIndex);
      const value = b.splat(operand.element(line, at, [inside]));
      return b.select(b.compare('le', b.const('i32', 0), b.index(inside)), value, this.#zero());
    };
    return b.pairs('along', half(0), half(WORDS));
  }

  /** Sixteen words of depth in a block, each a vector of lines. */
  #square(
    operand: Lines,
    line: Index,
    mask: Mask,
    { start }: Stretch,
    block: Index,
    left: number,
  ): Value[] {
    const b = this.#b;
    const one = (i: number): Value => {
      if (i >= left) return this.#zero();
      return b.splat(operand.element(line, add(start, add(mul(block, BLOCK), i)), mask));
    };
    return Array.from({ length: WORDS }, (_, word) =>
      2 * word < left ? b.pairs('across', one(2 * word), one(2 * word + 1)) : this.#nothing(),
    );
  }

  #zero(): Value {
    return this.#b.splat(this.#b.const('f32', 0));
  }

  #nothing(): Value {
    return this.#b.splat(this.#b.const('i32', 0));
  }
}
