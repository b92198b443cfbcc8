import type { RopeScaling } from '../nn/index.ts';
import { ConfigReader } from './config-reader.ts';
import { type LayerType, type LlamaConfig, type LlamaType, llamaConfig } from './llama-config.ts';

/** What the classes of transformers take where a config.json says nothing. */
const DEFAULTS: {
  readonly [T in LlamaType]: {
    readonly architecture: string;
    readonly positions: number;
    readonly groups?: number;
    readonly headSize?: number;
    readonly window?: number;
  };
} = {
  llama: { architecture: 'LlamaForCausalLM', positions: 2048 },
  mistral: {
    architecture: 'MistralForCausalLM',
    positions: 131072,
    groups: 8,
    window: 4096,
  },
  qwen2: { architecture: 'Qwen2ForCausalLM', positions: 32768, groups: 32 },
  qwen3: { architecture: 'Qwen3ForCausalLM', positions: 32768, groups: 32, headSize: 128 },
};

const LAYER_TYPES: readonly LayerType[] = ['full_attention', 'sliding_attention'];

/** Keys of relatives of the family, which would change what is computed. */
const FOREIGN = [
  'attn_logit_softcapping',
  'final_logit_softcapping',
  'query_pre_attn_scalar',
  'attention_multiplier',
  'embedding_multiplier',
  'residual_multiplier',
  'logits_scaling',
  'logit_scale',
  'scale_emb',
  'scale_depth',
  'dim_model_base',
  'num_experts',
  'num_local_experts',
  'n_routed_experts',
  'no_rope_layers',
  'attention_chunk_size',
  'use_qk_norm',
  'kv_lora_rank',
  'sliding_window_layers',
  'sliding_window_pattern',
  'rope_local_base_freq',
] as const;

/**
 * The config.json of a llama, Mistral, Qwen2 or Qwen3, in the spelling of transformers 4
 * (`rope_theta`, `rope_scaling`) or 5 (`rope_parameters`).
 *
 * @throws Error naming the key that is missing, wrong or not supported
 */
export function llamaConfigFromJson(json: unknown): LlamaConfig {
  const from = new ConfigReader(json);
  const type = from.oneOf('model_type', Object.keys(DEFAULTS) as LlamaType[]);
  const defaults = DEFAULTS[type];
  const llama = type === 'llama';
  from.only('hidden_act', 'silu', 'swish');
  from.only('pretraining_tp', 1);
  from.only('is_encoder_decoder', false);
  from.only('add_cross_attention', false);
  from.only('partial_rotary_factor', 1);
  from.only('rope_interleaved', false);
  from.only('use_mrope', false);
  for (const key of FOREIGN) from.only(key);
  if (type === 'mistral') from.only('attention_bias', false);
  if (type === 'qwen2') from.only('attention_bias', true);
  if (!llama) from.only('mlp_bias', false);
  const layers = from.count('num_hidden_layers');
  const heads = from.count('num_attention_heads');
  const hidden = from.count('hidden_size');
  return llamaConfig({
    model_type: type,
    vocab_size: from.count('vocab_size'),
    hidden_size: hidden,
    intermediate_size: from.count('intermediate_size'),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: from.count('num_key_value_heads', defaults.groups ?? heads),
    ...headSize(from, defaults.headSize),
    max_position_embeddings: from.count('max_position_embeddings', defaults.positions),
    rms_norm_eps: from.positive('rms_norm_eps', 1e-6),
    ...ropeOf(from),
    tie_word_embeddings: from.flag('tie_word_embeddings', false),
    attention_bias: (llama || type === 'qwen3') && from.flag('attention_bias', false),
    mlp_bias: llama && from.flag('mlp_bias', false),
    ...windowsOf(from, type, layers),
  });
}

function headSize(from: ConfigReader, missing: number | undefined): { head_dim?: number } {
  if (from.has('head_dim')) return { head_dim: from.count('head_dim') };
  return missing === undefined ? {} : { head_dim: missing };
}

function ropeOf(from: ConfigReader): Pick<LlamaConfig, 'rope_theta' | 'rope_scaling'> {
  const parameters = from.object('rope_parameters');
  const theta = from.positive('rope_theta', 10000);
  if (!parameters) return { rope_theta: theta, rope_scaling: scalingOf(from, 'rope_scaling') };
  return {
    rope_theta: parameters.positive('rope_theta', theta),
    rope_scaling: scalingOf(from, 'rope_parameters'),
  };
}

/** Scalings whose frequencies do not depend on how long the present text is. */
const SCALINGS = ['default', 'linear', 'llama3', 'yarn'] as const;

function scalingOf(from: ConfigReader, key: string): RopeScaling | null {
  const scaling = from.object(key);
  if (!scaling) return null;
  scaling.only('partial_rotary_factor', 1);
  for (const layers of LAYER_TYPES) scaling.only(layers);
  // Formerly the kind was called `type`.
  const named = scaling.has('rope_type') ? 'rope_type' : 'type';
  scaling.only(named, ...SCALINGS);
  const type = scaling.oneOf(named, SCALINGS, key === 'rope_parameters' ? 'default' : undefined);
  const original = () => scaling.count('original_max_position_embeddings');
  switch (type) {
    case 'default':
      return null;
    case 'linear':
      return { rope_type: type, factor: scaling.positive('factor') };
    case 'llama3':
      return {
        rope_type: type,
        factor: scaling.positive('factor'),
        low_freq_factor: scaling.positive('low_freq_factor'),
        high_freq_factor: scaling.positive('high_freq_factor'),
        original_max_position_embeddings: original(),
      };
    case 'yarn': {
      const { beta_fast, beta_slow, attention_factor, mscale, mscale_all_dim } = scaling.json as {
        readonly [key: string]: number | null | undefined;
      };
      const numbers = { beta_fast, beta_slow, attention_factor, mscale, mscale_all_dim };
      for (const name of Object.keys(numbers)) if (scaling.has(name)) scaling.positive(name);
      const given = Object.entries(numbers).filter(([name]) => scaling.has(name));
      return {
        rope_type: type,
        ...(scaling.has('factor') && { factor: scaling.positive('factor') }),
        original_max_position_embeddings: original(),
        ...(scaling.has('truncate') && { truncate: scaling.flag('truncate') }),
        ...Object.fromEntries(given),
      };
    }
    default:
      return type satisfies never;
  }
}

type Windows = Pick<LlamaConfig, 'sliding_window' | 'layer_types'>;

function windowsOf(from: ConfigReader, type: LlamaType, layers: number): Windows {
  if (type === 'llama') from.only('sliding_window');
  const listed = layerTypes(from, layers);
  const qwen = type === 'qwen2' || type === 'qwen3';
  const used = qwen ? from.flag('use_sliding_window', false) : type === 'mistral';
  const sliding_window = used ? windowOf(from, DEFAULTS[type].window) : null;
  // Qwen's first layers see everything.
  const first = qwen ? atLeast0(from, 'max_window_layers', 28) : 0;
  const layer_types =
    listed ??
    Array.from(
      { length: layers },
      (_, i): LayerType =>
        sliding_window !== null && i >= first ? 'sliding_attention' : 'full_attention',
    );
  if (sliding_window === null && layer_types.includes('sliding_attention')) {
    throw from.unsupported('layer_types', 'full_attention, as no sliding_window is in use');
  }
  return { sliding_window, layer_types };
}

function layerTypes(from: ConfigReader, layers: number): readonly LayerType[] | undefined {
  const list = from.list('layer_types');
  if (!list) return undefined;
  if (list.length !== layers || !list.every((x) => LAYER_TYPES.includes(x as LayerType))) {
    throw from.unsupported(
      'layer_types',
      `${layers} of ${LAYER_TYPES.map((t) => JSON.stringify(t)).join(' or ')}`,
    );
  }
  return list as readonly LayerType[];
}

/** The window; a key that is null means none, a missing one what the class says. */
function windowOf(from: ConfigReader, missing: number | undefined): number | null {
  if (from.has('sliding_window')) return from.count('sliding_window');
  return 'sliding_window' in from.json ? null : (missing ?? 4096);
}

function atLeast0(from: ConfigReader, key: string, missing: number): number {
  return from.json[key] === 0 ? 0 : from.count(key, missing);
}

/** A config.json that transformers 4 and 5 read. */
export function llamaConfigToJson(config: LlamaConfig): Record<string, unknown> {
  const { model_type: type, rope_theta, rope_scaling, sliding_window, layer_types } = config;
  const { attention_bias, mlp_bias, ...sizes } = config;
  const qwen = type === 'qwen2' || type === 'qwen3';
  const json: Record<string, unknown> = {
    architectures: [DEFAULTS[type].architecture],
    ...sizes,
    hidden_act: 'silu',
    attention_dropout: 0,
    initializer_range: 0.02,
    rope_scaling: rope_scaling && { ...rope_scaling },
    rope_parameters: { rope_theta, ...(rope_scaling ?? { rope_type: 'default' }) },
    use_cache: true,
  };
  delete json['layer_types'];
  delete json['sliding_window'];
  if (type === 'llama') Object.assign(json, { attention_bias, mlp_bias, pretraining_tp: 1 });
  if (type === 'qwen3') Object.assign(json, { attention_bias });
  if (type === 'mistral') Object.assign(json, { sliding_window });
  if (qwen) {
    Object.assign(json, {
      sliding_window,
      use_sliding_window: sliding_window !== null,
      max_window_layers: firstSliding(layer_types),
      layer_types,
    });
  }
  return json;
}

/** As many layers as see everything before the first that does not. */
function firstSliding(types: readonly LayerType[]): number {
  const first = types.indexOf('sliding_attention');
  return first < 0 ? types.length : first;
}
