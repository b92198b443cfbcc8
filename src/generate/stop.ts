import { badArgument } from '../base/errors.ts';

/**
 * Cuts a stream of text at the first of some stop texts. What may be the beginning of one is held
 * back until it is known.
 */
export class StopFilter {
  readonly #stops: readonly string[];
  #held = '';
  #stopped = false;

  constructor(stop: string | readonly string[] = []) {
    this.#stops = typeof stop === 'string' ? [stop] : stop;
    for (const text of this.#stops) {
      if (typeof text !== 'string' || text === '') {
        throw badArgument('generate', 'stop', stop, 'texts of at least one character');
      }
    }
  }

  /** Whether a stop text has come; it and what follows are never given out. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Takes the next piece and gives what is certain to come before any stop text. */
  push(piece: string): string {
    if (this.#stopped) return '';
    this.#held += piece;
    const cuts = this.#stops.map((stop) => this.#held.indexOf(stop)).filter((at) => at >= 0);
    if (cuts.length > 0) {
      this.#stopped = true;
      return this.#held.slice(0, Math.min(...cuts));
    }
    const keep = Math.max(0, ...this.#stops.map((stop) => overlap(this.#held, stop)));
    return this.#take(this.#held.length - keep);
  }

  /** What was held back, when nothing more will come. */
  end(): string {
    return this.#stopped ? '' : this.#take(this.#held.length);
  }

  #take(count: number): string {
    const text = this.#held.slice(0, count);
    this.#held = this.#held.slice(count);
    return text;
  }
}

/** Length of the longest end of `text` with which `stop` begins. */
function overlap(text: string, stop: string): number {
  let length = Math.min(text.length, stop.length - 1);
  while (length > 0 && !text.endsWith(stop.slice(0, length))) length--;
  return length;
}
