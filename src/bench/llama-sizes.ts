import { type LlamaConfig, llamaConfig } from '../models/index.ts';

const SHARED = { vocab_size: 32000, max_position_embeddings: 512, tie_word_embeddings: false };

/** 134,105,856 parameters. */
export const LLAMA_134M: LlamaConfig = llamaConfig({
  ...SHARED,
  hidden_size: 768,
  intermediate_size: 2048,
  num_hidden_layers: 12,
  num_attention_heads: 12,
});

/** 1,104,218,112 parameters; four queries share keys and values. */
export const LLAMA_1B: LlamaConfig = llamaConfig({
  ...SHARED,
  hidden_size: 2048,
  intermediate_size: 8192,
  num_hidden_layers: 16,
  num_attention_heads: 32,
  num_key_value_heads: 8,
});
