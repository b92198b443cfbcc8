import { badArgument } from '../base/errors.ts';
import { SeededRandom } from '../data/index.ts';

export interface SamplerOptions {
  /** Divides the logits (default 1); 0 always takes the most probable token. */
  readonly temperature?: number | undefined;
  /** Draws from the most probable tokens only (default: from all). */
  readonly topK?: number | undefined;
  /** Same seed, same text (default 0). */
  readonly seed?: number | undefined;
}

/** Chooses the next token from logits, by a random generator of its own. */
export class Sampler {
  readonly #temperature: number;
  readonly #topK: number;
  readonly #random: SeededRandom;

  /** @throws TypeError or RangeError for an option that is out of range */
  constructor(options: SamplerOptions = {}) {
    const { temperature = 1, topK = Number.POSITIVE_INFINITY, seed = 0 } = options;
    if (!(typeof temperature === 'number' && temperature >= 0 && temperature < 1e6)) {
      throw badArgument('Sampler', 'temperature', temperature, 'a number >= 0; 0 is greedy');
    }
    if (topK !== Number.POSITIVE_INFINITY && !(Number.isInteger(topK) && topK >= 1)) {
      throw badArgument('Sampler', 'topK', topK, 'an integer >= 1');
    }
    this.#temperature = temperature;
    this.#topK = topK;
    this.#random = new SeededRandom(seed);
  }

  /**
   * The id of the next token. Of equal logits the lower id comes first.
   *
   * @param logits one for each id
   * @throws RangeError if one is NaN
   */
  next(logits: ArrayLike<number>): number {
    const values = Array.from(logits);
    const wrong = values.findIndex(Number.isNaN);
    if (wrong >= 0) {
      throw new RangeError(
        `the logit of token ${wrong} is NaN; expected numbers. The model's weights hold NaN: ` +
          'train it again with a lower learning rate.',
      );
    }
    if (this.#temperature === 0 || this.#topK === 1) return largest(values);
    const ids = [...values.keys()];
    if (this.#topK < ids.length) {
      ids.sort((a, b) => values[b] - values[a] || a - b);
      ids.length = this.#topK;
    }
    const top = values[largest(values)];
    const weights = ids.map((id) => Math.exp((values[id] - top) / this.#temperature));
    const total = weights.reduce((sum, w) => sum + w, 0);
    let rest = (this.#random.next() / 2 ** 32) * total;
    for (let i = 0; i < ids.length; i++) {
      rest -= weights[i];
      if (rest < 0) return ids[i];
    }
    // Rounding can leave a rest after the last weight.
    return ids[ids.length - 1];
  }
}

function largest(values: readonly number[]): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}
