import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import type { Value } from '../../ir/kernel/types.ts';

/**
 * Joins lane i of a vector with lane i + half of it, the halves growing smaller until only the first
 * `count` lanes hold something: all others then do not matter.
 */
export function foldLanes(
  b: KernelBuilder,
  vector: Value,
  count: number,
  combine: (x: Value, y: Value) => Value,
): Value {
  let folded = vector;
  for (let half = b.lanes / 2; half >= count; half /= 2) {
    const upper = b.eachLane((lane) => (lane + half) % b.lanes);
    folded = combine(folded, b.shuffle(folded, folded, upper));
  }
  return folded;
}
