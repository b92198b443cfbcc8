import { Llama, llamaConfig } from '../models/index.ts';

/** Sizes of a new model. */
export interface ModelSizes {
  readonly dim: number;
  readonly layers: number;
  readonly heads: number;
  /** Heads of keys and values (default: as many as heads). */
  readonly kvHeads?: number;
  /** Width within the MLPs (default: the usual 8/3 of the width, a multiple of 8). */
  readonly ff?: number;
  readonly context: number;
}

/**
 * A new llama. Its first weights are larger than the customary 0.02, which suits widths of a
 * thousand: small models learn faster by them.
 */
export function makeModel(vocabulary: number, sizes: ModelSizes): Llama {
  const { dim, layers, heads, kvHeads = heads, ff = Math.ceil(dim / 3) * 8, context } = sizes;
  const config = llamaConfig({
    vocab_size: vocabulary,
    hidden_size: dim,
    intermediate_size: ff,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    max_position_embeddings: context,
  });
  return new Llama(config, { std: 0.64 / Math.sqrt(dim) });
}
