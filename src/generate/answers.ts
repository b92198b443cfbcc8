import { badArgument } from '../base/errors.ts';

/** One prompt being answered in a row of the batch. */
interface Row {
  readonly index: number;
  readonly promptLength: number;
  /** Known tokens: the prompt and the accepted part of the answer. */
  length: number;
}

export interface AnswerSheetOptions {
  readonly prompts: readonly Int32Array[];
  /** A guess of each answer, or nothing; right or wrong, it never changes an answer. */
  readonly drafts: readonly (Int32Array | undefined)[];
  readonly rows: number;
  readonly window: number;
  readonly maxTokens: number;
  /** The token that ends an answer. */
  readonly stop: number;
}

/**
 * The windows of many prompts that are answered greedily together, [rows, window]. A pass of the
 * model tells the most probable token after every place of a window, also after places that are
 * only guessed: as far as the guesses equal what the model says, they are its answer, and beyond
 * that its own words are the next guess (speculative decoding by Jacobi iteration, Santilli et al.
 * 2023). Every pass settles at least one token of each row, and the result is exactly that of one
 * token a pass. A row whose answer is complete takes the next prompt.
 */
export class AnswerSheet {
  readonly tokens: Int32Array;
  readonly answers: Int32Array[];
  readonly #options: AnswerSheetOptions;
  readonly #rows: (Row | undefined)[];
  #next = 0;

  constructor(options: AnswerSheetOptions) {
    const { prompts, rows, window } = options;
    prompts.forEach((prompt, i) => {
      if (prompt.length > 0 && prompt.length < window) return;
      throw badArgument(
        'answerAll',
        `prompts[${i}]`,
        `${prompt.length} tokens`,
        `1 to ${window - 1} tokens, so that an answer fits into the window of ${window}`,
      );
    });
    this.#options = options;
    this.tokens = new Int32Array(rows * window);
    this.answers = prompts.map(() => new Int32Array(0));
    this.#rows = Array.from({ length: rows }, (_, row) => this.#fill(row));
  }

  /** Whether all answers are complete. */
  get done(): boolean {
    return this.#rows.every((row) => row === undefined);
  }

  /** Takes what the model says after each place, [rows, window]. */
  update(said: ArrayLike<number>): void {
    const { window } = this.#options;
    this.#rows.forEach((row, r) => {
      if (!row) return;
      const start = r * window;
      let guessed = true;
      while (guessed && !this.#isComplete(row, start)) {
        const token = said[start + row.length - 1];
        guessed = this.tokens[start + row.length] === token;
        this.tokens[start + row.length] = token;
        row.length++;
      }
      if (!this.#isComplete(row, start)) {
        for (let at = row.length; at < window; at++) this.tokens[start + at] = said[start + at - 1];
        return;
      }
      const end = start + row.length;
      const stopped = this.tokens[end - 1] === this.#options.stop && row.length > row.promptLength;
      const answer = this.tokens.slice(start + row.promptLength, stopped ? end - 1 : end);
      this.answers[row.index] = answer;
      this.#rows[r] = this.#fill(r);
    });
  }

  #isComplete({ length, promptLength }: Row, start: number): boolean {
    const { maxTokens, stop, window } = this.#options;
    if (length === promptLength) return false;
    const last = this.tokens[start + length - 1];
    return last === stop || length - promptLength >= maxTokens || length >= window;
  }

  /** Puts the next prompt and its draft into a row. */
  #fill(r: number): Row | undefined {
    const { prompts, drafts, window } = this.#options;
    const index = this.#next;
    if (index >= prompts.length) return undefined;
    this.#next++;
    const place = this.tokens.subarray(r * window, (r + 1) * window).fill(0);
    place.set(prompts[index]);
    const { length } = prompts[index];
    place.set((drafts[index] ?? new Int32Array(0)).subarray(0, window - length), length);
    return { index, promptLength: length, length };
  }
}
