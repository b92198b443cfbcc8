import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import { add, div, type Index, LANE, LANES, mod, mul } from '../../ir/kernel/index-expr.ts';
import type { Value } from '../../ir/kernel/types.ts';

/** Partial results of a reduction; see `reduceInOrder`. */
export const PARTIALS = 16;
/** Of expensive elements, so many blocks go through one accumulator before the next one's turn. */
const BLOCKS_AT_A_TIME = 64;

export interface Reduction {
  /** Elements reduced. */
  readonly length: Index;
  readonly combine: (x: Value, y: Value) => Value;
  readonly identity: Value;
  /** Element i; a vector when i holds the lane. */
  readonly element: (i: Index) => Value;
  /** True when the result itself is a vector (one reduction per lane). */
  readonly perLane: boolean;
  /** An element takes so many instructions that it fills the registers by itself. */
  readonly isHeavy?: boolean;
  /** Writes the elements out instead of looping over them: a constant number below PARTIALS. */
  readonly unrolled?: boolean;
}

/**
 * Reduces in the one order that every kernel uses, whatever its tiles: of each whole block of 16,
 * element i joins partial result i mod 16; the partials meet as p[j] + p[j+8], then + 4, + 2, + 1;
 * the last length mod 16 elements form a sequence of their own, added at the end. A vector of
 * partials and one vector per column then give the same bits.
 */
export function reduceInOrder(b: KernelBuilder, reduction: Reduction): Value {
  const { length, combine } = reduction;
  const blocks = div(length, PARTIALS);
  const rest = mod(length, PARTIALS);
  const hasBlocks = !(blocks.isConstant && blocks.constant === 0);
  const hasRest = !(rest.isConstant && rest.constant === 0);
  const whole = hasBlocks ? reduceBlocks(b, reduction, blocks) : undefined;
  if (whole && !hasRest) return whole;
  const zero = reduction.perLane ? b.splat(reduction.identity) : reduction.identity;
  const start = mul(blocks, PARTIALS);
  if (reduction.unrolled) {
    let sum = zero;
    for (let i = 0; i < rest.constant; i++) {
      sum = combine(sum, level(b, reduction.element(add(start, i)), zero.lanes));
    }
    return sum;
  }
  const [tail] = b.loop(rest, 'reduce', [zero], (i, [sum]) => [
    combine(sum, level(b, reduction.element(add(start, i)), zero.lanes)),
  ]);
  return whole ? combine(whole, tail) : tail;
}

function reduceBlocks(b: KernelBuilder, reduction: Reduction, blocks: Index): Value {
  const { combine, element, perLane } = reduction;
  const zero = b.splat(reduction.identity);
  if (perLane) {
    let partials = sumBlocks(b, reduction, blocks, PARTIALS, (block, u) =>
      b.splat(element(add(mul(block, PARTIALS), u))),
    );
    for (let half = PARTIALS / 2; half >= 1; half /= 2) {
      const wider = partials;
      partials = repeat(zero, half).map((_, i) => combine(wider[i], wider[i + half]));
    }
    return partials[0];
  }
  const partials = sumBlocks(b, reduction, blocks, PARTIALS / LANES, (block, v) =>
    b.splat(element(add(add(mul(block, PARTIALS), v * LANES), LANE))),
  );
  const quad = combine(combine(partials[0], partials[2]), combine(partials[1], partials[3]));
  const even = combine(b.lane(quad, 0), b.lane(quad, 2));
  const odd = combine(b.lane(quad, 1), b.lane(quad, 3));
  return combine(even, odd);
}

/** The partial results of whole blocks, each of `count` vectors, in one accumulator for each vector. */
function sumBlocks(
  b: KernelBuilder,
  { combine, identity, isHeavy }: Reduction,
  blocks: Index,
  count: number,
  vector: (block: Index, v: number) => Value,
): Value[] {
  const zeros = repeat(b.splat(identity), count);
  if (!isHeavy) {
    return b.loop(blocks, 'reduce', zeros, (j, sums) =>
      sums.map((sum, v) => combine(sum, vector(j, v))),
    );
  }
  // Side by side, long expressions would need more registers than there are: one after the other,
  // for so many blocks at a time that what they read stays near.
  const oneByOne = (start: Index, turns: Index | number, sums: readonly Value[]) =>
    sums.map((sum, v) => {
      const [next] = b.loop(turns, 'reduce', [sum], (j, [s]) => [
        combine(s, vector(add(start, j), v)),
      ]);
      return next;
    });
  const runs = div(blocks, BLOCKS_AT_A_TIME);
  const after = mul(runs, BLOCKS_AT_A_TIME);
  const sums = b.loop(runs, 'reduce', zeros, (run, carried) =>
    oneByOne(mul(run, BLOCKS_AT_A_TIME), BLOCKS_AT_A_TIME, carried),
  );
  return oneByOne(after, mod(blocks, BLOCKS_AT_A_TIME), sums);
}

function level(b: KernelBuilder, value: Value, lanes: number): Value {
  return lanes === 1 ? value : b.splat(value);
}

function repeat(value: Value, count: number): Value[] {
  return new Array<Value>(count).fill(value);
}
