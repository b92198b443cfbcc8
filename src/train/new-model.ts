import { type CausalLM, Gpt2, gpt2Config, Llama, llamaConfig } from '../models/index.ts';

/** Sizes of a new model. */
export interface ModelSizes {
  /** Default llama. */
  readonly arch?: 'llama' | 'gpt2';
  readonly dim: number;
  readonly layers: number;
  readonly heads: number;
  /** Heads of keys and values of a llama (default: as many as heads). */
  readonly kvHeads?: number;
  /** Width within the MLPs (default: the usual 8/3 of the width, a multiple of 8; 4 in a gpt2). */
  readonly ff?: number;
  readonly context: number;
}

/**
 * A new model, with weights from the global generator. Those of a llama are larger at first than the
 * customary 0.02, which suits widths of a thousand: small models learn faster by them.
 */
export function makeModel(vocabulary: number, sizes: ModelSizes): CausalLM {
  const { arch = 'llama', dim, layers, heads, kvHeads = heads, ff, context } = sizes;
  const init = { std: 0.64 / Math.sqrt(dim) };
  switch (arch) {
    case 'llama': {
      const config = llamaConfig({
        vocab_size: vocabulary,
        hidden_size: dim,
        intermediate_size: ff ?? Math.ceil(dim / 3) * 8,
        num_hidden_layers: layers,
        num_attention_heads: heads,
        num_key_value_heads: kvHeads,
        max_position_embeddings: context,
      });
      return new Llama(config, init);
    }
    case 'gpt2': {
      const config = gpt2Config({
        vocab_size: vocabulary,
        n_embd: dim,
        n_inner: ff ?? 4 * dim,
        n_layer: layers,
        n_head: heads,
        max_position_embeddings: context,
      });
      return new Gpt2(config, init);
    }
    default:
      arch satisfies never;
      throw new TypeError(`makeModel: arch is ${arch}; expected llama or gpt2`);
  }
}
