import type { GenerationChunk } from './engine-types.ts';

/**
 * The pieces of one text on their way from the engine to whoever reads them. They are kept until
 * they are taken; an error is kept, too, and is thrown where the next piece is asked for.
 */
export class ChunkQueue implements AsyncIterableIterator<GenerationChunk, undefined> {
  readonly #ready: GenerationChunk[] = [];
  readonly #onReturn: () => void;
  #waiting: ((settle: () => IteratorResult<GenerationChunk, undefined>) => void)[] = [];
  #failure: { readonly error: unknown } | undefined;
  #ended = false;

  /** @param onReturn the reader has left */
  constructor(onReturn: () => void) {
    this.#onReturn = onReturn;
  }

  push(chunk: GenerationChunk): void {
    if (this.#ended) return;
    const reader = this.#waiting.shift();
    if (reader) reader(() => ({ done: false, value: chunk }));
    else this.#ready.push(chunk);
  }

  /** Nothing more comes. */
  end(): void {
    this.#ended = true;
    for (const reader of this.#waiting.splice(0)) reader(finished);
  }

  fail(error: unknown): void {
    if (this.#ended) return;
    const reader = this.#waiting.shift();
    if (reader) {
      reader(() => {
        throw error;
      });
    } else this.#failure = { error };
    this.end();
  }

  next(): Promise<IteratorResult<GenerationChunk, undefined>> {
    const chunk = this.#ready.shift();
    if (chunk) return Promise.resolve({ done: false, value: chunk });
    if (this.#failure) {
      const { error } = this.#failure;
      this.#failure = undefined;
      return Promise.reject(error);
    }
    if (this.#ended) return Promise.resolve(finished());
    return new Promise((resolve, reject) => {
      this.#waiting.push((settle) => {
        try {
          resolve(settle());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  async return(): Promise<IteratorResult<GenerationChunk, undefined>> {
    this.#ready.length = 0;
    this.#failure = undefined;
    this.end();
    this.#onReturn();
    return finished();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

function finished(): IteratorResult<GenerationChunk, undefined> {
  return { done: true, value: undefined };
}
