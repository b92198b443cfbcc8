import { cacheState, type KVCache } from '../nn/index.ts';
import {
  type BoundVar,
  bind,
  type Jitted,
  jit,
  type Tensor,
  tensor,
  type Var,
  variable,
} from '../tensor/index.ts';
import type { CachedModel } from './types.ts';

/** Tokens that the caches take at a time: between two pieces of a prompt a signal is looked at. */
const PIECE = 32;

type Step<T> = Jitted<[Tensor, BoundVar], T>;

/**
 * Runs a model token by token with caches of keys and values: one program for the pieces of a
 * prompt, one for single tokens, whatever the length. One text at a time.
 */
export class Decoder {
  readonly #model: CachedModel;
  readonly #caches: readonly KVCache[];
  readonly #piece: number;
  readonly #pieceEnd: Var;
  readonly #length: Var;
  readonly #prefill: Step<void>;
  readonly #decode: Step<Tensor>;
  /** The tokens whose keys and values the caches hold. */
  #known: number[] = [];

  /** @param vocabulary tokens whose logits are wanted */
  constructor(model: CachedModel, vocabulary: number) {
    const { max_position_embeddings: context } = model.config;
    this.#model = model;
    this.#caches = model.newCaches(1);
    this.#piece = Math.min(PIECE, context);
    this.#pieceEnd = variable('piece end', this.#piece, context);
    this.#length = variable('length', 1, context);
    const forward = (tokens: Tensor, length: Var) =>
      model.forward(tokens, cacheState(this.#caches, tokens.shape[1] as number, length));
    // Nothing is made of the logits: only what the caches need is computed.
    this.#prefill = jit((tokens: Tensor, end: Var) => {
      forward(tokens, end);
    });
    this.#decode = jit((tokens: Tensor, length: Var) =>
      forward(tokens, length).reshape([-1]).narrow(0, 0, vocabulary),
    );
  }

  /**
   * The logits after some tokens, from 1 up to the context's length. What they share with the
   * tokens of the call before is not computed again.
   */
  async logitsAfter(tokens: readonly number[], signal?: AbortSignal): Promise<ArrayLike<number>> {
    const last = tokens.length - 1;
    let shared = 0;
    while (shared < last && tokens[shared] === this.#known[shared]) shared++;
    this.#known.length = shared;
    // Beyond a few tokens pieces are cheaper than single ones.
    if (last - shared > 1) await this.#fill(tokens, last, signal);
    else for (let i = shared; i < last; i++) await this.#one(tokens, i, signal);
    return this.#one(tokens, last, signal);
  }

  /** Puts tokens up to `end` into the caches. */
  async #fill(tokens: readonly number[], end: number, signal?: AbortSignal): Promise<void> {
    const { max_position_embeddings: context } = this.#model.config;
    const size = this.#piece;
    while (this.#known.length < end) {
      // The last piece may begin inside the one before, which puts the same in again, and may
      // reach beyond the end: what it puts there is not seen, and written over by and by.
      const start = Math.min(this.#known.length, context - size);
      const piece = new Int32Array(size);
      piece.set(tokens.slice(start, Math.min(start + size, end)));
      const input = this.#tensor(piece);
      try {
        await this.#prefill.with({ signal })(input, bind(this.#pieceEnd, start + size));
      } finally {
        input.dispose();
      }
      this.#known = tokens.slice(0, Math.min(start + size, end));
    }
  }

  async #one(
    tokens: readonly number[],
    at: number,
    signal?: AbortSignal,
  ): Promise<ArrayLike<number>> {
    const input = this.#tensor(Int32Array.of(tokens[at]));
    try {
      const logits = await this.#decode.with({ signal })(input, bind(this.#length, at + 1));
      this.#known.push(tokens[at]);
      try {
        return await logits.data();
      } finally {
        logits.dispose();
      }
    } finally {
      input.dispose();
    }
  }

  #tensor(data: Int32Array): Tensor {
    return tensor(data, { shape: [1, data.length], device: this.#caches[0].keys.held.device });
  }

  /** Forgets all tokens: the caches begin anew. */
  reset(): void {
    this.#known = [];
  }

  /** Frees caches and programs. */
  dispose(): void {
    this.#prefill.dispose();
    this.#decode.dispose();
    for (const cache of this.#caches) cache.dispose();
  }
}
