import {
  type CausalLM,
  Gpt2,
  gptConfig,
  Llama,
  type LlamaConfig,
  llamaConfig,
} from '../../src/models/index.ts';
import { random } from '../../src/tensor/index.ts';

/** Small models of every kind, with something in each place that a mistake would show in. */

const SIZES = {
  vocab_size: 40,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 32,
} as const;

/** Another value in every place, so that nothing is equal by chance. */
export function filled<M extends CausalLM>(model: M): M {
  random.seed(5);
  for (const parameter of model.parameters().values()) {
    parameter.set(random.normal(parameter.shape, { std: 0.3 }));
  }
  return model;
}

export function sampleLlama(more: Partial<LlamaConfig> = {}): Llama {
  return filled(new Llama(llamaConfig({ ...SIZES, ...more })));
}

const yarn = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 8 } as const;

/** Name, model, and the class of transformers. */
export const MODEL_SAMPLES: readonly (readonly [string, () => CausalLM, string])[] = [
  ['llama', () => sampleLlama(), 'LlamaForCausalLM'],
  [
    'llama with biases',
    () => sampleLlama({ attention_bias: true, mlp_bias: true, head_dim: 20 }),
    'LlamaForCausalLM',
  ],
  [
    'llama, untied, with yarn',
    () => sampleLlama({ tie_word_embeddings: false, rope_scaling: yarn }),
    'LlamaForCausalLM',
  ],
  [
    'llama with linear scaling',
    () => sampleLlama({ rope_scaling: { rope_type: 'linear', factor: 3 } }),
    'LlamaForCausalLM',
  ],
  [
    'mistral',
    () => sampleLlama({ model_type: 'mistral', sliding_window: 3 }),
    'MistralForCausalLM',
  ],
  ['qwen2', () => sampleLlama({ model_type: 'qwen2' }), 'Qwen2ForCausalLM'],
  [
    'qwen2 with one layer that slides',
    () =>
      sampleLlama({
        model_type: 'qwen2',
        sliding_window: 3,
        layer_types: ['full_attention', 'sliding_attention'],
      }),
    'Qwen2ForCausalLM',
  ],
  ['qwen3', () => sampleLlama({ model_type: 'qwen3', attention_bias: true }), 'Qwen3ForCausalLM'],
  [
    'gpt2',
    () => filled(new Gpt2(gptConfig({ depth: 1, vocab_size: 40, context: 32 }))),
    'GPT2LMHeadModel',
  ],
  [
    'gpt2, untied',
    () =>
      filled(
        new Gpt2({
          ...gptConfig({ depth: 1, vocab_size: 40 }),
          tie_word_embeddings: false,
          activation_function: 'relu',
        }),
      ),
    'GPT2LMHeadModel',
  ],
];
