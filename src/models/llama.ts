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
} from '../nn/index.ts';
import { crossEntropy, rope, scaledDotProductAttention } from '../tensor/functions/index.ts';
import { arange, type Tensor } from '../tensor/index.ts';

/** The sizes of a llama, with the key names of HuggingFace's config.json. */
export interface LlamaConfig {
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  /** Longest sequence. */
  readonly max_position_embeddings: number;
  readonly rms_norm_eps: number;
  readonly rope_theta: number;
  /** The output layer is the embedding table. */
  readonly tie_word_embeddings: boolean;
}

/** Fills in what is not said: heads without sharing, and the constants of the paper. */
export function llamaConfig(
  sizes: Pick<
    LlamaConfig,
    'vocab_size' | 'hidden_size' | 'intermediate_size' | 'num_hidden_layers' | 'num_attention_heads'
  > &
    Partial<LlamaConfig>,
): LlamaConfig {
  const config: LlamaConfig = {
    num_key_value_heads: sizes.num_attention_heads,
    max_position_embeddings: 256,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    tie_word_embeddings: true,
    ...sizes,
  };
  const check = (name: keyof LlamaConfig, ok: boolean, expected: string) => {
    if (!ok) throw badArgument('llamaConfig', name, config[name], expected);
  };
  const { hidden_size: d, num_attention_heads: heads, num_key_value_heads: groups } = config;
  check(
    'hidden_size',
    d % heads === 0 && (d / heads) % 2 === 0,
    `an even multiple of ${heads} heads`,
  );
  check('num_key_value_heads', heads % groups === 0, `a divisor of ${heads} heads`);
  return config;
}

/** Causal self-attention with rotary positions; several query heads may share keys and values. */
class Attention extends Module {
  readonly q_proj: Linear;
  readonly k_proj: Linear;
  readonly v_proj: Linear;
  readonly o_proj: Linear;
  readonly #config: LlamaConfig;
  readonly #headSize: number;

  constructor(config: LlamaConfig, init: InitOptions) {
    super();
    const { hidden_size: d, num_attention_heads: heads, num_key_value_heads: groups } = config;
    this.#config = config;
    this.#headSize = d / heads;
    this.q_proj = new Linear(d, d, init);
    this.k_proj = new Linear(d, groups * this.#headSize, init);
    this.v_proj = new Linear(d, groups * this.#headSize, init);
    this.o_proj = new Linear(d, d, residualInit(config, init));
  }

  /** x [batch, time, d], positions [time] or [batch, time]; with a cache they continue its text */
  forward(x: Tensor, positions: Tensor, cache?: LayerCache): Tensor {
    const [batch, time] = x.shape;
    const {
      num_attention_heads: heads,
      num_key_value_heads: groups,
      rope_theta: theta,
    } = this.#config;
    const split = (y: Tensor, count: number) =>
      y.reshape([batch, time, count, this.#headSize]).transpose(1, 2); // [batch, count, time, size]
    const q = rope(split(this.q_proj.forward(x), heads), positions, { theta });
    const k = rope(split(this.k_proj.forward(x), groups), positions, { theta });
    const v = split(this.v_proj.forward(x), groups);
    const enableGqa = groups !== heads;
    const y = cache
      ? cache.attend(q, k, v, { enableGqa })
      : scaledDotProductAttention(q, k, v, { isCausal: true, enableGqa });
    return this.o_proj.forward(y.transpose(1, 2).reshape([batch, time, heads * this.#headSize]));
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
    this.gate_proj = new Linear(d, inner, init);
    this.up_proj = new Linear(d, inner, init);
    this.down_proj = new Linear(inner, d, residualInit(config, init));
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

  constructor(config: LlamaConfig, init: InitOptions) {
    super();
    const norm = () => new RMSNorm(config.hidden_size, { ...init, eps: config.rms_norm_eps });
    this.input_layernorm = norm();
    this.self_attn = new Attention(config, init);
    this.post_attention_layernorm = norm();
    this.mlp = new GatedMLP(config, init);
  }

  forward(x: Tensor, positions: Tensor, cache?: LayerCache): Tensor {
    const y = x.add(this.self_attn.forward(this.input_layernorm.forward(x), positions, cache));
    return y.add(this.mlp.forward(this.post_attention_layernorm.forward(y)));
  }
}

/** What HuggingFace calls `model`: everything but the output layer. */
class Trunk extends Module {
  readonly embed_tokens: Embedding;
  readonly layers: readonly Block[];
  readonly norm: RMSNorm;

  constructor(config: LlamaConfig, init: InitOptions) {
    super();
    this.embed_tokens = new Embedding(config.vocab_size, config.hidden_size, init);
    this.layers = Array.from({ length: config.num_hidden_layers }, () => new Block(config, init));
    this.norm = new RMSNorm(config.hidden_size, { ...init, eps: config.rms_norm_eps });
  }

  forward(tokens: Tensor, state?: CacheState): Tensor {
    const positions = state?.positions ?? arange(tokens.shape[1], { device: tokens.device });
    const x = this.layers.reduce(
      (h, block, i) => block.forward(h, positions, state?.layers[i]),
      this.embed_tokens.forward(tokens),
    );
    return this.norm.forward(x);
  }
}

/** A llama (Touvron et al. 2023): a decoder with RMS norms, rotary positions and gated MLPs. */
export class Llama extends Module {
  readonly config: LlamaConfig;
  readonly model: Trunk;
  readonly lm_head: Linear | undefined;

  /** Weights are normal, with deviation 0.02, from the global generator: seed it first. */
  constructor(config: LlamaConfig, options: InitOptions = {}) {
    super();
    this.config = config;
    this.model = new Trunk(config, options);
    const { hidden_size: d, vocab_size: vocabulary } = config;
    this.lm_head = config.tie_word_embeddings ? undefined : new Linear(d, vocabulary, options);
  }

  /** Empty caches for `batch` sequences, one for each layer: see `cacheState`. */
  newCaches(batch = 1): KVCache[] {
    const { hidden_size: d, num_attention_heads, num_key_value_heads: heads } = this.config;
    const { device } = this.model.embed_tokens;
    return this.model.layers.map(
      () =>
        new KVCache({
          batch,
          heads,
          capacity: this.config.max_position_embeddings,
          size: d / num_attention_heads,
          device,
        }),
    );
  }

  /**
   * Tokens [batch, time] i32 to logits [batch, time, vocabulary]. With a state the tokens continue
   * those that its caches know.
   */
  forward(tokens: Tensor, state?: CacheState): Tensor {
    return this.head(this.hidden(tokens, state));
  }

  /** Tokens [batch, time] to what the output layer sees, [batch, time, d]; see `forward`. */
  hidden(tokens: Tensor, state?: CacheState): Tensor {
    const [, time] = tokens.shape;
    const longest = this.config.max_position_embeddings;
    if (tokens.rank !== 2 || (time as number) > longest) {
      throw badArgument(
        'Llama',
        'tokens',
        tokens.shape,
        `a shape [batch, time], time up to ${longest}`,
      );
    }
    return this.model.forward(tokens, state);
  }

  /** Hidden states [..., d] to logits [..., vocabulary]. */
  head(x: Tensor): Tensor {
    return this.lm_head ? this.lm_head.forward(x) : this.model.embed_tokens.project(x);
  }

  /**
   * Mean cross-entropy of the next tokens, in nats; inputs, targets and weights [batch, time]. With
   * weights each target counts by its own, and the mean is over their sum.
   */
  loss(inputs: Tensor, targets: Tensor, weights?: Tensor): Tensor {
    const logits = this.forward(inputs).reshape([-1, this.config.vocab_size]);
    const labels = targets.reshape([-1]);
    if (!weights) return crossEntropy(logits, labels);
    const losses = crossEntropy(logits, labels, { reduction: 'none' });
    return losses
      .mul(weights.reshape([-1]))
      .sum()
      .div(weights.sum());
  }
}

/** GPT-2 makes the layers that end in the residual stream smaller by the root of their number. */
function residualInit(config: LlamaConfig, init: InitOptions): InitOptions {
  return { ...init, std: (init.std ?? 0.02) / Math.sqrt(2 * config.num_hidden_layers) };
}
