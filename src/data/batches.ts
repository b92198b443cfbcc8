import type { RandomState } from './random.ts';
import { SeededRandom } from './random.ts';

/** What to draw batches from; `batch` in rows, `sequence` in tokens per row. */
export interface BatchSamplerOptions {
  readonly tokens: ArrayLike<number>;
  readonly batch: number;
  readonly sequence: number;
  readonly seed: number;
  /**
   * Where windows may start, such as `documentStarts`; without it they start anywhere. Starts too
   * near the end for a whole window are left out.
   */
  readonly starts?: ArrayLike<number> | undefined;
  /** How much each token counts as a target, such as `answerWeights`; without it, equally. */
  readonly weights?: ArrayLike<number> | undefined;
}

/** One batch; all arrays are row-major, shape [batch, sequence]. */
export interface TokenBatch {
  readonly inputs: Int32Array;
  /** The token that follows each input token. */
  readonly targets: Int32Array;
  /** How much each target counts in the loss; there only if the sampler was given weights. */
  readonly weights?: Float32Array;
}

/** Where a sampler stands; plain JSON. The sizes guard against resuming on something else. */
export interface BatchSamplerState {
  readonly tokens: number;
  readonly batch: number;
  readonly sequence: number;
  readonly starts: number;
  readonly drawn: number;
  readonly random: RandomState;
}

/**
 * Draws windows of `sequence + 1` tokens at random starts, each equally likely.
 *
 * The same tokens, sizes and seed give the same batches on every engine, and `state` and `restore`
 * let a stopped run continue with exactly the batches it would have seen.
 */
export class BatchSampler {
  readonly batch: number;
  readonly sequence: number;
  readonly #tokens: ArrayLike<number>;
  /** How many starts there are, and which; without a list they are 0, 1, 2 and so on. */
  readonly #startCount: number;
  readonly #starts: Int32Array | undefined;
  readonly #weights: ArrayLike<number> | undefined;
  readonly #random: SeededRandom;
  #drawn = 0;

  /**
   * @throws RangeError if a size is not a positive integer, or if `tokens` is shorter than one
   *   window of `sequence + 1`, if no start leaves room for a window, or if there is not one weight
   *   for each token.
   */
  constructor(options: BatchSamplerOptions) {
    const { tokens, batch, sequence, seed } = options;
    requireSize('batch', batch);
    requireSize('sequence', sequence);
    if (tokens.length < sequence + 1) {
      throw new RangeError(
        `tokens has length ${tokens.length}; expected at least sequence + 1 = ${sequence + 1}. ` +
          'Use a longer text or a shorter sequence.',
      );
    }
    this.batch = batch;
    this.sequence = sequence;
    this.#tokens = tokens;
    if (options.weights !== undefined && options.weights.length !== tokens.length) {
      throw new RangeError(
        `weights has length ${options.weights.length}; expected ${tokens.length}, one for each ` +
          'token. Make the weights from the text that the tokens were made from.',
      );
    }
    const room = tokens.length - sequence;
    this.#starts = options.starts === undefined ? undefined : usableStarts(options.starts, room);
    this.#startCount = this.#starts?.length ?? room;
    this.#weights = options.weights;
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
    const weights = this.#weights === undefined ? undefined : new Float32Array(batch * sequence);
    for (let row = 0; row < batch; row += 1) {
      const drawn = this.#random.integer(this.#startCount);
      const start = this.#starts === undefined ? drawn : (this.#starts[drawn] as number);
      for (let column = 0; column < sequence; column += 1) {
        const at = row * sequence + column;
        inputs[at] = this.#tokens[start + column] as number;
        targets[at] = this.#tokens[start + column + 1] as number;
        if (weights !== undefined) {
          weights[at] = this.#weights?.[start + column + 1] as number;
        }
      }
    }
    this.#drawn += 1;
    return weights === undefined ? { inputs, targets } : { inputs, targets, weights };
  }

  /** The present state; give it to `restore` of a sampler of the same tokens and sizes. */
  state(): BatchSamplerState {
    return {
      tokens: this.#tokens.length,
      batch: this.batch,
      sequence: this.sequence,
      starts: this.#startCount,
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
    for (const name of ['tokens', 'batch', 'sequence', 'starts'] as const) {
      if (state[name] !== own[name]) {
        throw new RangeError(
          `state.${name} is ${state[name]}; expected ${own[name]}, as in this sampler. Resume ` +
            'with the text, batch, sequence and starts that the state was taken with.',
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

/**
 * Where the documents of a text begin: at 0 and after every blank line, in UTF-16 units, which are
 * also token positions if every character is one token and one unit, as in ASCII text.
 *
 * Windows that start with a document see its whole context, and nothing before it that a model
 * would first have to learn to ignore.
 */
export function documentStarts(text: string): Int32Array {
  const starts = [0];
  for (let at = text.indexOf('\n\n'); at !== -1; at = text.indexOf('\n\n', at + 2)) {
    if (at + 2 < text.length) {
      starts.push(at + 2);
    }
  }
  return Int32Array.from(starts);
}

function usableStarts(starts: ArrayLike<number>, room: number): Int32Array {
  const all = Array.from(starts);
  const wrong = all.findIndex((start) => !Number.isInteger(start) || start < 0);
  if (wrong !== -1) {
    throw new RangeError(
      `starts[${wrong}] is ${all[wrong]}; expected a token position. Pass integers from 0 on.`,
    );
  }
  const usable = all.filter((start) => start < room);
  if (usable.length === 0) {
    throw new RangeError(
      `starts has no position below ${room}, where a whole window fits; expected at least one. ` +
        'Use a longer text or a shorter sequence.',
    );
  }
  return Int32Array.from(usable);
}

function requireSize(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1) {
    throw new RangeError(`${name} is ${value}; expected a positive integer. Pass 1 or more.`);
  }
}
