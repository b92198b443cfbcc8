import type { TextEngine } from '../generate/engine-types.ts';

/** When the engine last gave a piece of text. */
export class Progress {
  #last = Number.NEGATIVE_INFINITY;

  made(): void {
    this.#last = performance.now();
  }

  /** Seconds since then. */
  get age(): number {
    return (performance.now() - this.#last) / 1000;
  }
}

export interface HealthOptions {
  /** Seconds for which an answer holds (default 5). */
  readonly freshSeconds?: number;
  /** Seconds that a token may take (default 30). */
  readonly patienceSeconds?: number;
}

/**
 * Whether the engine writes, and not only the server answers. Text that clients get proves it; where
 * there is none one token is generated, at most one at a time and once in some seconds.
 */
export class Health {
  readonly #engine: TextEngine;
  readonly #prompt: ArrayLike<number>;
  readonly #progress: Progress;
  readonly #fresh: number;
  readonly #patience: number;
  #probe: Promise<void> | undefined;

  /** @param prompt ids that any model of the tokenizer can continue */
  constructor(
    engine: TextEngine,
    prompt: ArrayLike<number>,
    progress: Progress,
    { freshSeconds = 5, patienceSeconds = 30 }: HealthOptions = {},
  ) {
    this.#engine = engine;
    this.#prompt = prompt;
    this.#progress = progress;
    this.#fresh = freshSeconds;
    this.#patience = patienceSeconds;
  }

  /** Resolves to what is wrong, or undefined. */
  async check(): Promise<string | undefined> {
    if (this.#progress.age < this.#fresh) return undefined;
    this.#probe ??= this.#generate().finally(() => {
      this.#probe = undefined;
    });
    try {
      await this.#probe;
      return undefined;
    } catch (error) {
      // Others may be served meanwhile: then only the probe has no place.
      if (this.#progress.age < this.#patience) return undefined;
      return (error as Error).message;
    }
  }

  async #generate(): Promise<void> {
    const controller = new AbortController();
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      late.reject(new Error(`no token within ${this.#patience} s`));
      controller.abort();
    }, this.#patience * 1000);
    try {
      await Promise.race([this.#token(controller.signal), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #token(signal: AbortSignal): Promise<void> {
    const request = { prompt: this.#prompt, maxTokens: 1, temperature: 0, signal };
    for await (const { finish } of this.#engine.generate(request)) {
      if (finish !== undefined && finish.reason !== 'abort') this.#progress.made();
    }
    if (this.#progress.age > this.#patience) throw new Error('the engine gave no token');
  }
}
