import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import {
  add,
  div,
  type Index,
  mod,
  mul,
  range,
  sub,
  upperBound,
} from '../../ir/kernel/index-expr.ts';
import type { Mask, Value } from '../../ir/kernel/types.ts';
import { foldLanes } from './lanes.ts';

/** Blocks whose partial results are made side by side where the order is free, and how many at most. */
const SIDE_BY_SIDE = 4;
const MOST_SUMS = 4;
/** Partial results of a reduction; see `reduceInOrder`. */
export const PARTIALS = 16;
/** Of expensive elements, so many blocks go through one accumulator before the next one's turn. */
const BLOCKS_AT_A_TIME = 64;

export interface Reduction {
  /** Elements reduced. */
  readonly length: Index;
  readonly combine: (x: Value, y: Value) => Value;
  readonly identity: Value;
  /** Element i; a vector when i holds the lane, of which only lanes inside the mask count. */
  readonly element: (i: Index, mask?: Mask) => Value;
  /** True when the result itself is a vector (one reduction per lane). */
  readonly perLane: boolean;
  /** An element takes so many instructions that it fills the registers by itself. */
  readonly isHeavy?: boolean;
  /** The order changes no bit: more partial results may be in the making at a time. */
  readonly inAnyOrder?: boolean;
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
  const inVectors = reduction.isHeavy && !reduction.perLane && b.target.laneMasks;
  const [tail] = inVectors
    ? [reduceRest(b, reduction, start, rest)]
    : b.loop(rest, 'reduce', [zero], (i, [sum]) => [
        combine(sum, level(b, reduction.element(add(start, i)), zero.lanes)),
      ]);
  return whole ? combine(whole, tail) : tail;
}

/** The last elements, computed as vectors and joined lane by lane: the order stays what it is. */
function reduceRest(b: KernelBuilder, reduction: Reduction, start: Index, rest: Index): Value {
  const { combine, element, identity, length } = reduction;
  const turns = div(add(rest, b.lanes - 1), b.lanes);
  const step = (turn: Index | number, before: Value): Value => {
    const first = add(start, typeof turn === 'number' ? turn * b.lanes : mul(turn, b.lanes));
    const last = sub(length, 1);
    const place = add(first, b.laneIndex);
    const vector = b.splat(element(place, [sub(last, place)]));
    let sum = before;
    for (let lane = 0; lane < b.lanes; lane++) {
      const room = sub(last, add(first, lane));
      if (upperBound(room) < 0) break;
      const joined = combine(sum, b.lane(vector, lane));
      if (range(room).min >= 0) sum = joined;
      else sum = b.select(b.compare('le', b.const('i32', 0), b.index(room)), joined, sum);
    }
    return sum;
  };
  if (!turns.isConstant) {
    return b.loop(turns, 'reduce', [identity], (turn, [sum]) => [step(turn, sum)])[0];
  }
  let tail = identity;
  for (let turn = 0; turn < turns.constant; turn++) tail = step(turn, tail);
  return tail;
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
  const partials = sumBlocks(b, reduction, blocks, PARTIALS / b.lanes, (block, v) =>
    b.splat(element(add(add(mul(block, PARTIALS), v * b.lanes), b.laneIndex))),
  );
  let vectors = partials;
  while (vectors.length > 1) {
    const half = vectors.length / 2;
    const wider = vectors;
    vectors = repeat(zero, half).map((_, i) => combine(wider[i], wider[i + half]));
  }
  const quad = foldLanes(b, vectors[0], 4, combine);
  const even = combine(b.lane(quad, 0), b.lane(quad, 2));
  const odd = combine(b.lane(quad, 1), b.lane(quad, 3));
  return combine(even, odd);
}

/** The partial results of whole blocks, each of `count` vectors, in one accumulator for each vector. */
function sumBlocks(
  b: KernelBuilder,
  { combine, identity, isHeavy, inAnyOrder }: Reduction,
  blocks: Index,
  count: number,
  vector: (block: Index, v: number) => Value,
): Value[] {
  const zeros = repeat(b.splat(identity), count);
  if (inAnyOrder && count * SIDE_BY_SIDE <= MOST_SUMS) {
    const several = b.loop(
      div(blocks, SIDE_BY_SIDE),
      'reduce',
      repeat(b.splat(identity), count * SIDE_BY_SIDE),
      (j, sums) =>
        sums.map((sum, i) => {
          const block = add(mul(j, SIDE_BY_SIDE), Math.floor(i / count));
          return combine(sum, vector(block, i % count));
        }),
    );
    const joined = zeros.map((_, v) =>
      several.filter((_, i) => i % count === v).reduce((x, y) => combine(x, y)),
    );
    const after = mul(div(blocks, SIDE_BY_SIDE), SIDE_BY_SIDE);
    return b.loop(mod(blocks, SIDE_BY_SIDE), 'reduce', joined, (j, sums) =>
      sums.map((sum, v) => combine(sum, vector(add(after, j), v))),
    );
  }
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
