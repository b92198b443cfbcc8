import { type LlamaConfig, llamaConfig } from '../models/index.ts';

/** The numbers of config.json that the model needs. */
const SIZES = [
  'vocab_size',
  'hidden_size',
  'intermediate_size',
  'num_hidden_layers',
  'num_attention_heads',
  'num_key_value_heads',
  'max_position_embeddings',
] as const;

/** A config.json as HuggingFace writes it for a llama. */
export function configToJson(config: LlamaConfig): Record<string, unknown> {
  return {
    architectures: ['LlamaForCausalLM'],
    ...config,
    model_type: 'llama',
    head_dim: config.hidden_size / config.num_attention_heads,
    hidden_act: 'silu',
    attention_bias: false,
    mlp_bias: false,
    attention_dropout: 0,
    rope_scaling: null,
    initializer_range: 0.02,
    bos_token_id: null,
    eos_token_id: null,
    use_cache: true,
    torch_dtype: 'float32',
  };
}

/** @throws Error naming the key that is missing, wrong or not supported */
export function configFromJson(json: unknown): LlamaConfig {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new Error('it is not a JSON object; expected the sizes of a llama');
  }
  const given = json as Record<string, unknown>;
  const expect = (key: string, ok: boolean, expected: string) => {
    if (ok) return;
    throw new Error(`${key} is ${JSON.stringify(given[key])}; expected ${expected}`);
  };
  expect('model_type', given['model_type'] === 'llama', '"llama"');
  for (const key of SIZES) {
    expect(key, Number.isInteger(given[key]) && Number(given[key]) >= 1, 'an integer >= 1');
  }
  for (const key of ['rms_norm_eps', 'rope_theta']) {
    expect(key, typeof given[key] === 'number' && given[key] > 0, 'a number > 0');
  }
  const tied = given['tie_word_embeddings'];
  expect('tie_word_embeddings', typeof tied === 'boolean', 'true or false');
  expect('hidden_act', (given['hidden_act'] ?? 'silu') === 'silu', '"silu"');
  expect('rope_scaling', (given['rope_scaling'] ?? null) === null, 'null');
  for (const key of ['attention_bias', 'mlp_bias']) {
    expect(key, (given[key] ?? false) === false, 'false');
  }
  const size = (key: (typeof SIZES)[number]) => given[key] as number;
  return llamaConfig({
    vocab_size: size('vocab_size'),
    hidden_size: size('hidden_size'),
    intermediate_size: size('intermediate_size'),
    num_hidden_layers: size('num_hidden_layers'),
    num_attention_heads: size('num_attention_heads'),
    num_key_value_heads: size('num_key_value_heads'),
    max_position_embeddings: size('max_position_embeddings'),
    rms_norm_eps: given['rms_norm_eps'] as number,
    rope_theta: given['rope_theta'] as number,
    tie_word_embeddings: tied as boolean,
  });
}
