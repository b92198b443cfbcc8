import type { TokenLogprob } from './engine-types.ts';

/** Most alternatives of a token that are told. */
export const MOST_ALTERNATIVES = 20;

/** The logarithm of the sum of exponentials. */
export function logSumExp(logits: ArrayLike<number>): number {
  let top = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) if (logits[id] > top) top = logits[id];
  let sum = 0;
  for (let id = 0; id < logits.length; id++) sum += Math.exp(logits[id] - top);
  return top + Math.log(sum);
}

/** The ids of the largest values, best first; of equal ones the lower id comes first. */
export function largestIds(values: ArrayLike<number>, count: number): number[] {
  const best: number[] = [];
  for (let id = 0; id < values.length && count > 0; id++) {
    if (best.length === count && !(values[id] > values[best[count - 1]])) continue;
    if (best.length === count) best.pop();
    let at = best.length;
    while (at > 0 && values[id] > values[best[at - 1]]) at--;
    best.splice(at, 0, id);
  }
  return best;
}

/**
 * What the logits of a step say of the token that was chosen.
 *
 * @param logits before penalties, bias, temperature and filters
 * @param count alternatives that are wanted
 * @param named the text and bytes of a token
 */
export function explainChoice(
  logits: ArrayLike<number>,
  id: number,
  count: number,
  named: (id: number) => Pick<TokenLogprob, 'text' | 'bytes'>,
): TokenLogprob {
  const total = logSumExp(logits);
  const about = (token: number) => ({
    id: token,
    ...named(token),
    logprob: logits[token] - total,
  });
  return { ...about(id), top: largestIds(logits, count).map(about) };
}
