import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import { add, type Index, mul, ZERO } from '../../ir/kernel/index-expr.ts';
import type { LoopKind, Value } from '../../ir/kernel/types.ts';
import { largestDivisor } from '../largest-divisor.ts';

/** Innermost loops of at most this many turns are written out: their offsets become constants. */
const UNROLLED = 7;
/** Lanes of the widest vectors. */
const VECTOR = 16;

/**
 * How the depth of a product is walked through when several axes are contracted: a loop an axis, so
 * that addresses of a window (channel, row, column) need no division.
 */
export interface Depth {
  /** Steps of a block; all blocks but the last have as many. */
  readonly block: number;
  /** Inner axes that every block holds whole; their product divides `block` and the depth. */
  readonly inner: readonly number[];
}

/**
 * Blocks of at most about `most` steps that cut as few axes as possible.
 *
 * @param axes sizes of the contracted axes
 */
export function planDepth(axes: readonly number[], most: number): Depth {
  const real = axes.filter((size) => size !== 1);
  const total = real.reduce((n, size) => n * size, 1);
  if (total === 0) return { block: 1, inner: [] };
  if (total <= most) return { block: total, inner: real.slice(1) };
  let first = real.length;
  let whole = 1;
  while (first > 0 && whole * real[first - 1] <= most) whole *= real[--first];
  const room = Math.floor(most / whole);
  // A block that ends where the next axis ends makes that axis' place a sum of loops, too.
  const even = first === 1 ? 0 : largestDivisor(real[first - 1], room);
  const cut = 2 * even > room ? even : shared(real[first - 1], room);
  return { block: whole * cut, inner: real.slice(first) };
}

/** Steps of each of the fewest blocks of at most `room`: nearly equal, and in whole vectors. */
function shared(size: number, room: number): number {
  const each = Math.ceil(size / Math.ceil(size / room));
  return Math.min(room, Math.ceil(each / VECTOR) * VECTOR);
}

/** Loops over `length` steps of a block, carrying values; `body` gets the step. */
export function overDepth(
  b: KernelBuilder,
  { inner }: Depth,
  length: number,
  kind: LoopKind,
  inits: readonly Value[],
  body: (step: Index, carried: readonly Value[]) => readonly Value[],
): readonly Value[] {
  const whole = inner.reduce((n, size) => n * size, 1);
  const descend = (sizes: readonly number[], step: Index, values: readonly Value[]) => {
    if (sizes.length === 0) return body(step, values);
    const [size, ...rest] = sizes;
    const next = (i: Index | number, carried: readonly Value[]): readonly Value[] =>
      descend(rest, add(mul(step, size), i), carried);
    if (rest.length > 0 || inner.length === 0 || size > UNROLLED) {
      return b.loop(size, kind, values, next);
    }
    let current = values;
    for (let i = 0; i < size; i++) current = next(i, current);
    return current;
  };
  return descend([length / whole, ...inner], ZERO, inits);
}
