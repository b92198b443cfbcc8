import { badArgument } from '../base/errors.ts';
import { SeededRandom } from '../data/index.ts';
import { keepLikeliest, keepMass } from './candidates.ts';
import type { SamplingOptions } from './engine-types.ts';

/**
 * Logits so far below the best, in units of the temperature, are never drawn: e^-37 is less than the
 * last bit of the sum of weights, and a draw has 53 bits.
 */
const NEGLIGIBLE = -37;

/** Temperatures below this are 0: what they leave to others no draw would find. */
const COLD = 1e-5;

/** Arrays of the vocabulary's size, used again for each token. One serves many samplers. */
export class SamplerScratch {
  readonly ids: Int32Array;
  readonly weights: Float64Array;

  constructor(vocabulary: number) {
    this.ids = new Int32Array(vocabulary);
    this.weights = new Float64Array(vocabulary);
  }
}

/**
 * Chooses the tokens of one text, by a random generator of its own. The order of what it does is
 * that of transformers: penalties, bias, temperature, top-k, top-p, min-p, draw.
 */
export class Sampler {
  readonly #temperature: number;
  readonly #topK: number;
  readonly #topP: number;
  readonly #minP: number;
  readonly #repetition: number;
  readonly #presence: number;
  readonly #frequency: number;
  readonly #bias: ReadonlyMap<number, number>;
  readonly #random: SeededRandom;
  /** Tokens of prompt and text, with how often the text holds them. */
  readonly #seen = new Map<number, number>();
  #scratch: SamplerScratch | undefined;

  /** @throws TypeError or RangeError for an option that is out of range */
  constructor(options: SamplingOptions = {}, scratch?: SamplerScratch) {
    const number = (name: keyof SamplingOptions, fallback: number, low: number, high: number) => {
      const value = options[name] ?? fallback;
      if (typeof value === 'number' && value >= low && value <= high) return value;
      const most = Number.isFinite(high) ? ` to ${high}` : ' on';
      throw badArgument('generate', name, value, `a number from ${low}${most}`);
    };
    this.#temperature = number('temperature', 1, 0, 1e6);
    this.#topP = number('topP', 1, 0, 1);
    this.#minP = number('minP', 0, 0, 1);
    this.#presence = number('presencePenalty', 0, -1e6, 1e6);
    this.#frequency = number('frequencyPenalty', 0, -1e6, 1e6);
    this.#repetition = number('repetitionPenalty', 1, Number.MIN_VALUE, 1e6);
    const { topK = Number.POSITIVE_INFINITY, seed } = options;
    if (topK !== Number.POSITIVE_INFINITY && !(Number.isInteger(topK) && topK >= 1)) {
      throw badArgument('generate', 'topK', topK, 'an integer >= 1');
    }
    this.#topK = topK;
    this.#bias = checkedBias(options.logitBias);
    this.#random = new SeededRandom(seed === undefined ? anySeed() : wordOf(seed));
    this.#scratch = scratch;
  }

  /** Tells of the prompt's tokens, which the repetition penalty counts. */
  see(prompt: ArrayLike<number>): void {
    if (this.#repetition === 1) return;
    for (let i = 0; i < prompt.length; i++) this.#seen.set(prompt[i], 0);
  }

  /**
   * The id of the next token; it counts as part of the text from then on. Of equal logits the lower
   * id comes first. Penalties and bias are put into the array itself.
   *
   * @param logits one for each id
   * @throws RangeError if one is NaN, or if none is left that can be drawn
   */
  next(logits: Float32Array): number {
    this.#adjust(logits);
    const best = likeliest(logits);
    const id = this.#temperature < COLD || this.#topK === 1 ? best : this.#draw(logits, best);
    if (this.#penalises) this.#seen.set(id, (this.#seen.get(id) ?? 0) + 1);
    return id;
  }

  get #penalises(): boolean {
    return this.#repetition !== 1 || this.#presence !== 0 || this.#frequency !== 0;
  }

  #adjust(logits: Float32Array): void {
    for (const [id, count] of this.#seen) {
      let logit = logits[id];
      if (this.#repetition !== 1) {
        logit = logit > 0 ? logit / this.#repetition : logit * this.#repetition;
      }
      if (count > 0) logit -= this.#presence + count * this.#frequency;
      logits[id] = logit;
    }
    for (const [id, bias] of this.#bias) logits[id] += bias;
  }

  #draw(logits: Float32Array, best: number): number {
    this.#scratch ??= new SamplerScratch(logits.length);
    const { ids, weights } = this.#scratch;
    let count = this.#candidates(logits, best, ids);
    if (this.#topK < count) count = keepLikeliest(ids, count, logits, this.#topK);
    const top = logits[best];
    const scale = 1 / this.#temperature;
    let total = 0;
    for (let i = 0; i < count; i++) {
      const weight = Math.exp((logits[ids[i]] - top) * scale);
      weights[ids[i]] = weight;
      total += weight;
    }
    if (this.#topP < 1) count = keepMass(ids, count, logits, weights, this.#topP * total);
    if (this.#minP > 0) count = keepAbove(ids, count, weights, this.#minP);
    return this.#pick(ids.subarray(0, count), weights);
  }

  /** Ids that have a chance at all, in their order. Min-p may rule most out where no top-p counts them. */
  #candidates(logits: Float32Array, best: number, ids: Int32Array): number {
    const lowest = this.#topP < 1 ? NEGLIGIBLE : Math.max(NEGLIGIBLE, Math.log(this.#minP) - 1e-6);
    const least = logits[best] + lowest * this.#temperature;
    let count = 0;
    for (let id = 0; id < logits.length; id++) if (logits[id] >= least) ids[count++] = id;
    return count;
  }

  /** One of them by their weights. In the order of ids, whatever order selection has left. */
  #pick(ids: Int32Array, weights: Float64Array): number {
    if (this.#topK !== Number.POSITIVE_INFINITY || this.#topP < 1) ids.sort();
    let total = 0;
    for (let i = 0; i < ids.length; i++) total += weights[ids[i]];
    const high = this.#random.next() >>> 5;
    const low = this.#random.next() >>> 6;
    let rest = ((high * 2 ** 26 + low) / 2 ** 53) * total;
    for (let i = 0; i < ids.length; i++) {
      rest -= weights[ids[i]];
      if (rest < 0) return ids[i];
    }
    // Rounding can leave a rest after the last weight.
    return ids[ids.length - 1];
  }
}

/** @throws RangeError for NaN, and where nothing can be drawn */
function likeliest(logits: Float32Array): number {
  let best = 0;
  let top = Number.NEGATIVE_INFINITY;
  let wrong = -1;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id];
    if (logit > top) {
      top = logit;
      best = id;
    } else if (Number.isNaN(logit)) wrong = id;
  }
  if (wrong >= 0) {
    throw new RangeError(
      `the logit of token ${wrong} is NaN; expected numbers. The model's weights hold NaN, or ` +
        'numbers too large: train it again with a lower learning rate.',
    );
  }
  if (top === Number.NEGATIVE_INFINITY) {
    throw new RangeError('every logit is -infinity; expected at least one token that can follow');
  }
  if (top === Number.POSITIVE_INFINITY) {
    throw new RangeError(`the logit of token ${best} is infinite; expected finite numbers`);
  }
  return best;
}

function keepAbove(ids: Int32Array, count: number, weights: Float64Array, least: number): number {
  let kept = 0;
  for (let i = 0; i < count; i++) if (weights[ids[i]] >= least) ids[kept++] = ids[i];
  return kept;
}

function checkedBias(bias: ReadonlyMap<number, number> | undefined): ReadonlyMap<number, number> {
  for (const [id, value] of bias ?? []) {
    if (!Number.isInteger(id) || id < 0) {
      throw badArgument('generate', 'logitBias', id, 'ids as keys: integers >= 0');
    }
    if (typeof value !== 'number' || Number.isNaN(value) || value === Number.POSITIVE_INFINITY) {
      throw badArgument(
        'generate',
        `logitBias of ${id}`,
        value,
        'a number; -Infinity bans a token',
      );
    }
  }
  return bias ?? new Map();
}

/** 32 bits of a seed of up to 53, all of which count. */
function wordOf(seed: number): number {
  if (!Number.isSafeInteger(seed)) throw badArgument('generate', 'seed', seed, 'an integer');
  if (seed >= 0 && seed < 2 ** 32) return seed;
  return ((seed >>> 0) ^ Math.imul(Math.floor(seed / 2 ** 32), 0x9e3779b9)) >>> 0;
}

function anySeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}
