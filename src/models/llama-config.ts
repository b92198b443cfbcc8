import { badArgument } from '../base/errors.ts';
import type { RopeScaling } from '../nn/index.ts';

/** The members of the family, by the name that HuggingFace gives to their `model_type`. */
export type LlamaType = 'llama' | 'mistral' | 'qwen2' | 'qwen3';

export type LayerType = 'full_attention' | 'sliding_attention';

/** The sizes of a llama, with the key names of HuggingFace's config.json. */
export interface LlamaConfig {
  readonly model_type: LlamaType;
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  /** Numbers of one head; even. */
  readonly head_dim: number;
  /** Longest sequence. */
  readonly max_position_embeddings: number;
  readonly rms_norm_eps: number;
  readonly rope_theta: number;
  /** How the rotary frequencies differ from those of theta alone. */
  readonly rope_scaling: RopeScaling | null;
  /** The output layer is the embedding table. */
  readonly tie_word_embeddings: boolean;
  /** Biases of queries, keys, values and of the attention's output (llama, qwen3). */
  readonly attention_bias: boolean;
  /** Biases of the MLP (llama). */
  readonly mlp_bias: boolean;
  /** Keys that a query sees, its own among them, in layers of sliding attention. */
  readonly sliding_window: number | null;
  /** One for each layer (default: sliding everywhere where there is a window). */
  readonly layer_types: readonly LayerType[];
}

type Required =
  | 'vocab_size'
  | 'hidden_size'
  | 'intermediate_size'
  | 'num_hidden_layers'
  | 'num_attention_heads';

/**
 * Fills in what is not said: heads without sharing, and the constants of the paper.
 *
 * @throws TypeError naming the size that does not fit the others
 */
export function llamaConfig(
  sizes: Pick<LlamaConfig, Required> & Partial<LlamaConfig>,
): LlamaConfig {
  const window = sizes.sliding_window ?? null;
  const config: LlamaConfig = {
    model_type: 'llama',
    num_key_value_heads: sizes.num_attention_heads,
    head_dim: sizes.hidden_size / sizes.num_attention_heads,
    max_position_embeddings: 256,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    rope_scaling: null,
    tie_word_embeddings: true,
    attention_bias: false,
    mlp_bias: false,
    sliding_window: null,
    layer_types: Array.from({ length: sizes.num_hidden_layers }, () =>
      window === null ? 'full_attention' : 'sliding_attention',
    ),
    ...sizes,
  };
  const check = (name: keyof LlamaConfig, ok: boolean, expected: string) => {
    if (!ok) throw badArgument('llamaConfig', name, config[name], expected);
  };
  const { num_attention_heads: heads, num_key_value_heads: groups, head_dim: size } = config;
  if (sizes.head_dim === undefined) {
    const even = Number.isInteger(size) && size % 2 === 0;
    check('hidden_size', even, `an even multiple of ${heads} heads`);
  }
  check('head_dim', Number.isInteger(size) && size >= 2 && size % 2 === 0, 'an even number >= 2');
  check('num_key_value_heads', heads % groups === 0, `a divisor of ${heads} heads`);
  const { sliding_window, layer_types: types, num_hidden_layers: layers } = config;
  const isCount =
    sliding_window === null || (Number.isInteger(sliding_window) && sliding_window >= 1);
  check('sliding_window', isCount, 'null or an integer >= 1');
  check('layer_types', types.length === layers, `a list of ${layers}, one for each layer`);
  const slides = types.includes('sliding_attention');
  check('layer_types', !slides || sliding_window !== null, 'full_attention: no sliding_window');
  const { model_type: type } = config;
  const hasWindow = type !== 'llama' || sliding_window === null;
  check('sliding_window', hasWindow, 'null for a llama: a mistral has windows');
  const uniform = type !== 'mistral' || new Set(types).size === 1;
  check('layer_types', uniform, 'the same everywhere in a mistral');
  const mayHaveBiases = type === 'llama' || type === 'qwen3';
  check('attention_bias', mayHaveBiases || !config.attention_bias, `false for ${type}`);
  check('mlp_bias', type === 'llama' || !config.mlp_bias, `false for ${type}`);
  return config;
}

/** Which projections have biases. */
export function biasesOf({ model_type, attention_bias, mlp_bias }: LlamaConfig) {
  return {
    qkv: attention_bias || model_type === 'qwen2',
    output: attention_bias,
    mlp: mlp_bias,
  };
}
