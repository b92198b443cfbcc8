import type { Tokenizer } from '../io/tokenizer/types.ts';
import type { CacheState, KVCache, Module } from '../nn/index.ts';
import type { Tensor } from '../tensor/index.ts';

/** A model of the next token, whatever its architecture. */
export interface CausalLM extends Module {
  /** What HuggingFace calls model_type. */
  readonly type: string;
  readonly config: {
    readonly vocab_size: number;
    /** Longest sequence. */
    readonly max_position_embeddings: number;
  };
  /**
   * In training blocks are computed again for their gradients instead of being kept: less memory for
   * more time, the same bits (default false). A jitted step keeps what was set when it was traced.
   */
  gradientCheckpointing: boolean;
  /** Empty caches for `batch` sequences of up to `capacity` tokens, one for each attention layer. */
  newCaches(batch?: number, capacity?: number): KVCache[];
  /** Tokens [batch, time] i32 to what the output layer sees, [batch, time, d]. */
  hidden(tokens: Tensor, state?: CacheState): Tensor;
  /** Hidden states [..., d] to logits [..., vocabulary]. */
  head(hidden: Tensor): Tensor;
  /** Tokens [batch, time] i32 to logits [batch, time, vocabulary]. */
  forward(tokens: Tensor, state?: CacheState): Tensor;
  /**
   * Mean cross-entropy of the next tokens, in nats; inputs, targets and weights [batch, time]. With
   * weights each target counts by its own, and the mean is over their sum.
   */
  loss(inputs: Tensor, targets: Tensor, weights?: Tensor): Tensor;
  /** The config.json of a HuggingFace directory. */
  toConfig(): Record<string, unknown>;
}

/** The defaults of generation_config.json, in the names of the library. */
export interface GenerationDefaults {
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly maxTokens?: number;
  /** Ids that end a text. */
  readonly eosIds?: readonly number[];
}

/** What a directory holds: a model, its tokenizer, and how it is to be sampled. */
export interface Pretrained {
  readonly model: CausalLM;
  /** Undefined where the directory has no tokenizer.json. */
  readonly tokenizer: Tokenizer | undefined;
  readonly generation: GenerationDefaults;
}
