import { SeededRandom } from './random.ts';
import type { RandomState } from './random.ts';

/** What to draw batches from; `batch` in rows, `sequence` in tokens per row. */
export interface BatchSamplerOptions {
  readonly tokens: ArrayLike<number>;
  readonly batch: number;
  readonly sequence: number;
  readonly seed: number;
}

/** One batch; both arrays are row-major, shape [batch, sequence]. */
export interface TokenBatch {
  readonly inputs: Int32Array;
  /** The token that follows each input token. */
  readonly targets: Int32Array;
}

/** Where a sampler stands; plain JSON. The sizes guard against resuming on something else. */
export interface BatchSamplerState {
  readonly tokens: number;
  readonly batch: number;
  readonly sequence: number;
  readonly drawn: number;
  readonly random: RandomState;
}

/**
 * Draws windows of `sequence + 1` tokens at uniform random starts.
 *
 * The same tokens, sizes and seed give the same batches on every engine, and `state` and `restore`
 * let a stopped run continue with exactly the batches it would have seen.
 */
export class BatchSampler {
  readonly batch: number;
  readonly sequence: number;
  readonly #tokens: ArrayLike<number>;
  readonly #starts: number;
  readonly #random: SeededRandom;
  #drawn = 0;

  /**
   * @throws RangeError if a size is not a positive integer, or if `tokens` is shorter than one
   *   window of `sequence + 1`.
   */
  constructor(options: BatchSamplerOptions) {
    const { tokens, batch, sequence, seed } = options;
    requireSize('batch', batch);
    requireSize('sequence', sequence);
    if (tokens.length < sequence + 1) {
      throw new RangeError(
        `tokens has length ${tokens.length}; expected at least sequence + 1 = ${sequence + 1}. `
        + 'Use a longer text or a shorter sequence.',
      );
    }
    this.batch = batch;
    this.sequence = sequence;
    this.#tokens = tokens;
    this.#starts = tokens.length - sequence;
    this.#random = new SeededRandom(seed);
  }

  /** The number of batches drawn so far. */
  get drawn(): number {
    return this.#drawn;
  }

  /** Draws the next batch. */
  next(): TokenBatch {
    const { batch, sequence } = this;
    const inputs = new Int32Array(batch * sequence);
    const targets = new Int32Array(batch * sequence);
    for (let row = 0; row < batch; row += 1) {
      const start = this.#random.integer(this.#starts);
      for (let column = 0; column < sequence; column += 1) {
        inputs[row * sequence + column] = this.#tokens[start + column] as number;
        targets[row * sequence + column] = this.#tokens[start + column + 1] as number;
      }
    }
    this.#drawn += 1;
    return { inputs, targets };
  }

  /** The present state; give it to `restore` of a sampler of the same tokens and sizes. */
  state(): BatchSamplerState {
    return {
      tokens: this.#tokens.length,
      batch: this.batch,
      sequence: this.sequence,
      drawn: this.#drawn,
      random: this.#random.state(),
    };
  }

  /**
   * Continues from a state.
   *
   * @throws RangeError if the state belongs to other sizes or is not a state.
   */
  restore(state: BatchSamplerState): void {
    const own = this.state();
    for (const name of ['tokens', 'batch', 'sequence'] as const) {
      if (state[name] !== own[name]) {
        throw new RangeError(
          `state.${name} is ${state[name]}; expected ${own[name]}, as in this sampler. Resume with `
          + 'the text, batch and sequence that the state was taken with.',
        );
      }
    }
    if (!Number.isInteger(state.drawn) || state.drawn < 0) {
      throw new RangeError(
        `state.drawn is ${state.drawn}; expected a count of batches. Pass what state() returned.`,
      );
    }
    this.#random.restore(state.random);
    this.#drawn = state.drawn;
  }
}

function requireSize(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1) {
    throw new RangeError(`${name} is ${value}; expected a positive integer. Pass 1 or more.`);
  }
}
