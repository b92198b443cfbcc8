import {
  add,
  atomIndex,
  constant,
  type Index,
  lowestTerms,
  mul,
  range,
  sub,
  substitute,
  upperBound,
  visitAtoms,
} from './index-expr.ts';
import type { Buffer, Mask } from './types.ts';

/** An access whose place could not be proven; the caller adds where it stands. */
export interface Unproven {
  /** The expression that may be negative: the index itself, or size - 1 - index. */
  readonly expression: Index;
  readonly side: 'below 0' | 'beyond the end';
  readonly min: number;
}

/**
 * Proves that `lanes` elements from `index` on, `step` apart, lie inside a buffer wherever the mask
 * holds. Gives what is missing, or undefined.
 */
export function unprovenAccess(
  buffer: Buffer,
  index: Index,
  step: number,
  lanes: number,
  mask: Mask,
): Unproven | undefined {
  const last = step * (lanes - 1);
  const lowest = add(index, Math.min(0, last));
  const room = sub(constant(buffer.size - 1), add(index, Math.max(0, last)));
  if (!proveNonNegative(lowest, mask)) {
    return { expression: lowest, side: 'below 0', min: smallest(lowest) };
  }
  if (!proveNonNegative(room, mask)) {
    return { expression: room, side: 'beyond the end', min: smallest(room) };
  }
  return undefined;
}

/** A true lower bound. */
export function smallest(x: Index): number {
  return Math.max(range(x).min, -largest(mul(x, -1)));
}

/**
 * A true upper bound. `upperBound` puts a loop at its last turn wherever it occurs, which bounds a
 * sum but not a quotient or remainder of the same loop: there intervals must do.
 */
export function largest(x: Index): number {
  return hasDividedLoop(x) ? range(x).max : upperBound(x);
}

/** Whether a loop stands inside a division, here or in the extent of a loop that occurs. */
function hasDividedLoop(x: Index): boolean {
  return x.terms.some(({ atom }) => {
    if (atom.kind === 'loop') return hasDividedLoop(atom.extent);
    if (atom.kind !== 'div' && atom.kind !== 'mod') return false;
    let found = false;
    visitAtoms(atom.of, (inner) => {
      if (inner.kind === 'loop') found = true;
    });
    return found;
  });
}

/**
 * Whether x >= 0 wherever the mask holds: x less some multiples of mask conditions, each of which
 * is then >= 0, must have a lower bound of 0. The multiples that can help are those at which a term
 * of x vanishes: rows x width + column, with row and column masked, needs width x row + column.
 */
export function proveNonNegative(x: Index, mask: Mask): boolean {
  // Intervals alone nearly always do, and cost the least.
  if (range(x).min >= 0 || smallest(x) >= 0 || isRemainder(x)) return true;
  const least = atLastTurn(x);
  if (least && isRemainder(least)) return true;
  return mask.some((given, i) => {
    const condition = lowestTerms(given);
    // Order does not matter in a sum, so only later conditions are tried with this one.
    const rest = mask.slice(i + 1);
    return multiples(x, condition).some((factor) =>
      proveNonNegative(sub(x, mul(condition, factor)), rest),
    );
  });
}

/** x at the last turn of a loop with which it only falls; such are the tails of symbolic sizes. */
function atLastTurn(x: Index): Index | undefined {
  const [falling, ...others] = x.terms.filter((t) => t.atom.kind === 'loop');
  if (falling?.atom.kind !== 'loop' || others.length > 0) return undefined;
  if (falling.coefficient >= 0 || hasDividedLoop(x)) return undefined;
  const last = sub(falling.atom.extent, 1);
  return substitute(x, new Map([[falling.atom.key, last]]));
}

/** Whether x is k (y - by floor(y / by)) and something that is >= 0: a remainder is never negative. */
function isRemainder(x: Index): boolean {
  return x.terms.some(({ atom, coefficient }) => {
    if (atom.kind !== 'div' || coefficient >= 0 || coefficient % atom.by !== 0) return false;
    const k = -coefficient / atom.by;
    const rest = sub(sub(x, mul(atomIndex(atom), coefficient)), mul(atom.of, k));
    return range(rest).min >= 0;
  });
}

function multiples(x: Index, condition: Index): number[] {
  const factors = new Set<number>([1]);
  const coefficients = new Map(x.terms.map((t) => [t.atom.key, t.coefficient]));
  for (const { atom, coefficient } of condition.terms) {
    const factor = (coefficients.get(atom.key) ?? 0) / coefficient;
    if (factor > 0 && Number.isInteger(factor)) factors.add(factor);
  }
  return [...factors];
}
