import { blockCost } from '../../ir/kernel/cost.ts';
import type { Loop } from '../../ir/kernel/types.ts';

/** A shared loop is dealt out in about so many pieces for each thread, so that none waits long. */
export const PIECES = 4;
/** Fewer instructions than this are not worth a turn at the counter. */
const LEAST_PIECE = 4000;

/** Turns of a shared loop that are worth a turn at the counter. */
export function leastTurns({ body }: Loop): number {
  return Math.ceil(LEAST_PIECE / Math.max(1, blockCost(body).instructions));
}
