import type { CacheState, KVCache } from '../nn/index.ts';
import type { Parameterised, Tensor } from '../tensor/index.ts';

/** What text can be generated with: a model of the next token whose context is bounded. */
export interface CausalModel extends Parameterised {
  readonly config: {
    readonly vocab_size: number;
    /** Longest sequence that `forward` takes. */
    readonly max_position_embeddings: number;
  };
  /** Tokens [batch, time] i32 to logits [batch, time, vocabulary]. */
  forward(tokens: Tensor): Tensor;
}

/** A model that can continue what caches of keys and values hold. */
export interface CachedModel extends CausalModel {
  newCaches(batch: number): readonly KVCache[];
  /** With a state the tokens continue those that its caches know. */
  forward(tokens: Tensor, state?: CacheState): Tensor;
}

export function hasCaches(model: CausalModel): model is CachedModel {
  return 'newCaches' in model && typeof model.newCaches === 'function';
}

/** Text to ids and back. */
export interface Tokenizer {
  /** Number of ids. */
  readonly size: number;
  /** @throws RangeError for text that the vocabulary cannot say */
  encode(text: string): Int32Array;
  decode(ids: ArrayLike<number>): string;
}
