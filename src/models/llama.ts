import { badArgument } from '../base/errors.ts';
import {
  type CacheState,
  Embedding,
  type InitOptions,
  KVCache,
  type LayerCache,
  Linear,
  Module,
  RMSNorm,
  ropeFrequencies,
} from '../nn/index.ts';
import { rope, scaledDotProductAttention } from '../tensor/functions/index.ts';
import { arange, checkpoint, type Tensor, tensor } from '../tensor/index.ts';
import { biasesOf, type LlamaConfig } from './llama-config.ts';
import { llamaConfigToJson } from './llama-json.ts';
import { nextTokenLoss } from './loss.ts';
import type { CausalLM } from './types.ts';

/** Turns queries and keys [batch, heads, time, size] to their positions. */
type Rotation = (x: Tensor) => Tensor;

/** Causal self-attention with rotary positions; several query heads may share keys and values. */
class Attention extends Module {
  readonly q_proj: Linear;
  readonly k_proj: Linear;
  readonly v_proj: Linear;
  readonly o_proj: Linear;
  /** Norms of each head before it turns (Qwen3). */
  readonly q_norm: RMSNorm | undefined;
  readonly k_norm: RMSNorm | undefined;
  readonly #config: LlamaConfig;
  readonly #window: number | null;

  constructor(config: LlamaConfig, layer: number, init: InitOptions) {
    super();
    const {
      hidden_size: d,
      num_attention_heads: heads,
      num_key_value_heads: groups,
      head_dim: size,
    } = config;
    this.#config = config;
    const slides = config.layer_types[layer] === 'sliding_attention';
    this.#window = slides ? config.sliding_window : null;
    const { qkv, output } = biasesOf(config);
    this.q_proj = new Linear(d, heads * size, { ...init, bias: qkv });
    this.k_proj = new Linear(d, groups * size, { ...init, bias: qkv });
    this.v_proj = new Linear(d, groups * size, { ...init, bias: qkv });
    this.o_proj = new Linear(heads * size, d, { ...residualInit(config, init), bias: output });
    if (config.model_type === 'qwen3') {
      this.q_norm = new RMSNorm(size, { ...init, eps: config.rms_norm_eps });
      this.k_norm = new RMSNorm(size, { ...init, eps: config.rms_norm_eps });
    }
  }

  /** x [batch, time, d]; with a cache its positions continue those that the cache knows. */
  forward(x: Tensor, turned: Rotation, cache?: LayerCache): Tensor {
    const [batch, time] = x.shape;
    const { num_attention_heads: heads, num_key_value_heads: groups, head_dim } = this.#config;
    const split = (y: Tensor, count: number) => y.reshape([batch, time, count, head_dim]);
    // [batch, time, heads, size] to [batch, heads, time, size], and back
    const across = (y: Tensor) => y.transpose(1, 2);
    const queries = split(this.q_proj.forward(x), heads);
    const keys = split(this.k_proj.forward(x), groups);
    const q = turned(across(this.q_norm ? this.q_norm.forward(queries) : queries));
    const k = turned(across(this.k_norm ? this.k_norm.forward(keys) : keys));
    const v = across(split(this.v_proj.forward(x), groups));
    const options = { enableGqa: groups !== heads, slidingWindow: this.#window };
    const y = cache
      ? cache.attend(q, k, v, options)
      : scaledDotProductAttention(q, k, v, { ...options, isCausal: true });
    return this.o_proj.forward(across(y).reshape([batch, time, heads * head_dim]));
  }
}

/** SwiGLU (Shazeer 2020): down(silu(gate x) * up x). */
class GatedMLP extends Module {
  readonly gate_proj: Linear;
  readonly up_proj: Linear;
  readonly down_proj: Linear;

  constructor(config: LlamaConfig, init: InitOptions) {
    super();
    const { hidden_size: d, intermediate_size: inner } = config;
    const { mlp: bias } = biasesOf(config);
    this.gate_proj = new Linear(d, inner, { ...init, bias });
    this.up_proj = new Linear(d, inner, { ...init, bias });
    this.down_proj = new Linear(inner, d, { ...residualInit(config, init), bias });
  }

  forward(x: Tensor): Tensor {
    return this.down_proj.forward(this.gate_proj.forward(x).silu().mul(this.up_proj.forward(x)));
  }
}

class Block extends Module {
  readonly input_layernorm: RMSNorm;
  readonly self_attn: Attention;
  readonly post_attention_layernorm: RMSNorm;
  readonly mlp: GatedMLP;

  constructor(config: LlamaConfig, layer: number, init: InitOptions) {
    super();
    const norm = () => new RMSNorm(config.hidden_size, { ...init, eps: config.rms_norm_eps });
    this.input_layernorm = norm();
    this.self_attn = new Attention(config, layer, init);
    this.post_attention_layernorm = norm();
    this.mlp = new GatedMLP(config, init);
  }

  forward(x: Tensor, turned: Rotation, cache?: LayerCache): Tensor {
    const y = x.add(this.self_attn.forward(this.input_layernorm.forward(x), turned, cache));
    return y.add(this.mlp.forward(this.post_attention_layernorm.forward(y)));
  }
}

/** What HuggingFace calls `model`: everything but the output layer. */
class Trunk extends Module {
  readonly embed_tokens: Embedding;
  readonly layers: readonly Block[];
  readonly norm: RMSNorm;
  readonly #config: LlamaConfig;

  constructor(config: LlamaConfig, init: InitOptions) {
    super();
    this.#config = config;
    this.embed_tokens = new Embedding(config.vocab_size, config.hidden_size, init);
    this.layers = config.layer_types.map((_, i) => new Block(config, i, init));
    this.norm = new RMSNorm(config.hidden_size, { ...init, eps: config.rms_norm_eps });
  }

  forward(tokens: Tensor, state: CacheState | undefined, recompute: boolean): Tensor {
    const turned = this.#rotation(tokens, state);
    const x = this.layers.reduce((h, block, i) => {
      const run = (y: Tensor) => block.forward(y, turned, state?.layers[i]);
      return recompute ? checkpoint(run)(h) : run(h);
    }, this.embed_tokens.forward(tokens).cast('f32'));
    return this.norm.forward(x);
  }

  #rotation(tokens: Tensor, state: CacheState | undefined): Rotation {
    const { device } = tokens;
    const { rope_scaling, rope_theta: theta, head_dim: dims } = this.#config;
    const positions = state?.positions ?? arange(tokens.shape[1], { device });
    if (!rope_scaling) return (x) => rope(x, positions, { theta });
    const maxPositions = this.#config.max_position_embeddings;
    const sizes = { dims, theta, maxPositions, length: maxPositions };
    const { frequencies, scale } = ropeFrequencies(rope_scaling, sizes);
    const speeds = tensor(frequencies, { device });
    return (x) => rope(x, positions, { frequencies: speeds, scale });
  }
}

/** A llama (Touvron et al. 2023): a decoder with RMS norms, rotary positions and gated MLPs. */
export class Llama extends Module implements CausalLM {
  readonly config: LlamaConfig;
  readonly model: Trunk;
  readonly lm_head: Linear | undefined;
  gradientCheckpointing = false;

  /** Weights are normal, with deviation 0.02, from the global generator: seed it first. */
  constructor(config: LlamaConfig, options: InitOptions = {}) {
    super();
    this.config = config;
    this.model = new Trunk(config, options);
    const { hidden_size: d, vocab_size: vocabulary } = config;
    this.lm_head = config.tie_word_embeddings ? undefined : new Linear(d, vocabulary, options);
  }

  get type(): string {
    return this.config.model_type;
  }

  newCaches(batch = 1, capacity = this.config.max_position_embeddings): KVCache[] {
    const { num_key_value_heads: heads, head_dim: size } = this.config;
    const { device } = this.model.embed_tokens;
    return this.model.layers.map(() => new KVCache({ batch, heads, capacity, size, device }));
  }

  forward(tokens: Tensor, state?: CacheState): Tensor {
    return this.head(this.hidden(tokens, state));
  }

  hidden(tokens: Tensor, state?: CacheState): Tensor {
    const longest = this.config.max_position_embeddings;
    if (tokens.rank !== 2 || (tokens.shape[1] as number) > longest) {
      const expected = `a shape [batch, time], time up to ${longest}`;
      throw badArgument('Llama', 'tokens', tokens.shape, expected);
    }
    return this.model.forward(tokens, state, this.gradientCheckpointing && !state);
  }

  head(x: Tensor): Tensor {
    return this.lm_head ? this.lm_head.forward(x) : this.model.embed_tokens.project(x);
  }

  loss(inputs: Tensor, targets: Tensor, weights?: Tensor): Tensor {
    return nextTokenLoss(this.forward(inputs), targets, weights);
  }

  toConfig(): Record<string, unknown> {
    return llamaConfigToJson(this.config);
  }
}

/** GPT-2 makes the layers that end in the residual stream smaller by the root of their number. */
function residualInit(config: LlamaConfig, init: InitOptions): InitOptions {
  return { ...init, std: (init.std ?? 0.02) / Math.sqrt(2 * config.num_hidden_layers) };
}
