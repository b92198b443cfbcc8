import type { Tokenizer } from '../io/tokenizer/types.ts';
import { StopFilter } from './stop.ts';

export interface TextStreamOptions {
  readonly stop?: string | readonly string[] | undefined;
  /** The text begins anew, and is no continuation of a text before it: see `TextStream`. */
  readonly fresh?: boolean;
  /** A single space before the first word is left out, whatever the tokenizer. */
  readonly answer?: boolean;
}

const SPACE = 0x20;

/**
 * Token ids to text, piece by piece. The bytes of tokens are joined before they are read as UTF-8, so
 * no piece splits a character; bytes that can never be one become U+FFFD, and those of a character
 * that is not complete at the end are left out. Special tokens have no text. Where a tokenizer puts a
 * space in front of every text (sentencepiece), a fresh text loses it, as `decode` does.
 */
export class TextStream {
  readonly #tokenizer: Tokenizer;
  // A byte order mark is a character like any other.
  readonly #utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  readonly #filter: StopFilter;
  readonly #fresh: boolean;
  readonly #answer: boolean;
  #begun = false;

  constructor(tokenizer: Tokenizer, options: TextStreamOptions = {}) {
    this.#tokenizer = tokenizer;
    this.#filter = new StopFilter(options.stop);
    this.#fresh = options.fresh ?? false;
    this.#answer = options.answer ?? false;
  }

  /** Whether a stop text has come; nothing is given out from there on. */
  get stopped(): boolean {
    return this.#filter.stopped;
  }

  /** Takes a token and gives the text that is certain now. */
  push(id: number): string {
    const bytes = this.#bytesOf(id);
    if (bytes.length === 0) return '';
    return this.#filter.push(this.#utf8.decode(bytes, { stream: true }));
  }

  /** What was held back, when no token will come. */
  end(): string {
    return this.#filter.end();
  }

  #bytesOf(id: number): Uint8Array {
    const tokenizer = this.#tokenizer;
    if (tokenizer.isSpecial(id)) return new Uint8Array(0);
    const bytes = tokenizer.bytesOf(id);
    if (this.#begun || bytes.length === 0) return bytes;
    this.#begun = true;
    if (bytes[0] !== SPACE) return bytes;
    const added = this.#fresh && !tokenizer.decode([id]).startsWith(' ');
    // More than one are an indentation.
    const dropped = added || (this.#answer && bytes[1] !== SPACE);
    return dropped ? bytes.subarray(1) : bytes;
  }
}
