import { ANSWER_MARK } from './exchange.ts';

/**
 * How much each character of a text should count in the loss: 1 in an answer and the line end that
 * closes it, and `elsewhere` in all else. One weight for each UTF-16 unit, so for each token of an
 * ASCII text.
 *
 * Questions and stories are drawn at random, so that most of their characters cannot be foreseen
 * and only add noise to the gradients; answers are what is to be learnt.
 *
 * @throws RangeError if `elsewhere` is not a number from 0 to 1.
 */
export function answerWeights(text: string, elsewhere = 0.1): Float32Array {
  if (!(elsewhere >= 0 && elsewhere <= 1)) {
    throw new RangeError(`elsewhere is ${elsewhere}; expected a number from 0 to 1. Try 0.1.`);
  }
  const weights = new Float32Array(text.length).fill(elsewhere);
  const mark = `\n${ANSWER_MARK}`;
  for (let at = text.indexOf(mark); at !== -1; at = text.indexOf(mark, at + 1)) {
    const end = text.indexOf('\n', at + mark.length);
    weights.fill(1, at + mark.length, end === -1 ? text.length : end + 1);
  }
  return weights;
}
