import { badArgument } from '../base/errors.ts';
import {
  type CacheState,
  Embedding,
  type InitOptions,
  KVCache,
  type LayerCache,
  LayerNorm,
  Linear,
  Module,
  newBias,
  newWeight,
  PackedWeight,
  type Weight,
  weightFor,
} from '../nn/index.ts';
import { scaledDotProductAttention } from '../tensor/functions/index.ts';
import { arange, checkpoint, type Parameter, type Tensor } from '../tensor/index.ts';
import { ConfigReader } from './config-reader.ts';
import { sizesOfDepth } from './depth.ts';
import { nextTokenLoss } from './loss.ts';
import type { CausalLM } from './types.ts';

/** The activations that are known, by HuggingFace's names; "gelu_new" is the one by tanh. */
const ACTIVATIONS = {
  gelu_new: (x: Tensor) => x.gelu('tanh'),
  gelu_pytorch_tanh: (x: Tensor) => x.gelu('tanh'),
  gelu: (x: Tensor) => x.gelu(),
  relu: (x: Tensor) => x.relu(),
} as const;

/** The sizes of a GPT-2, with the key names of HuggingFace's config.json. */
export interface Gpt2Config {
  readonly vocab_size: number;
  readonly n_embd: number;
  readonly n_layer: number;
  readonly n_head: number;
  /** Width within the MLPs. */
  readonly n_inner: number;
  /** Longest sequence: `n_positions` of config.json. */
  readonly max_position_embeddings: number;
  readonly layer_norm_epsilon: number;
  readonly activation_function: keyof typeof ACTIVATIONS;
  /** The output layer is the embedding table. */
  readonly tie_word_embeddings: boolean;
}

/**
 * Fills in what is not said.
 *
 * @throws TypeError naming the size that does not fit the others
 */
export function gpt2Config(
  sizes: Pick<Gpt2Config, 'vocab_size' | 'n_embd' | 'n_layer' | 'n_head'> & Partial<Gpt2Config>,
): Gpt2Config {
  const { n_embd: d, n_head: heads } = sizes;
  if (d % heads !== 0) {
    throw badArgument('gpt2Config', 'n_embd', d, `a multiple of ${heads} heads`);
  }
  return {
    n_inner: 4 * d,
    max_position_embeddings: 1024,
    layer_norm_epsilon: 1e-5,
    activation_function: 'gelu_new',
    tie_word_embeddings: true,
    ...sizes,
  };
}

/** A GPT of one dial; depth 12 is nanoGPT's default: see `sizesOfDepth`. */
export function gptConfig(options: {
  readonly depth: number;
  readonly vocab_size: number;
  /** Longest sequence (default 1024). */
  readonly context?: number;
}): Gpt2Config {
  const { layers, width, heads } = sizesOfDepth(options.depth);
  return gpt2Config({
    vocab_size: options.vocab_size,
    n_embd: width,
    n_layer: layers,
    n_head: heads,
    max_position_embeddings: options.context ?? 1024,
  });
}

/** What HuggingFace calls Conv1D: a linear layer whose weight lies [in, out]; packed, [out, in]. */
class Conv1D extends Module {
  weight: Weight;
  readonly bias: Parameter;
  /** True: `weight` is the transpose of a `Linear`'s. */
  readonly isTransposed = true;

  constructor(inSize: number, outSize: number, init: InitOptions) {
    super();
    this.weight = newWeight('weight', [inSize, outSize], init);
    this.bias = newBias([outSize], init);
  }

  /** x [..., in] to [..., out]. */
  forward(x: Tensor): Tensor {
    const { weight } = this;
    const y = weight instanceof PackedWeight ? weight.linear(x) : x.matmul(weightFor(x, weight));
    return y.add(this.bias.value);
  }
}

function newNorm(config: Gpt2Config, { device }: InitOptions): LayerNorm {
  const where = device === undefined ? {} : { device };
  return new LayerNorm(config.n_embd, { eps: config.layer_norm_epsilon, ...where });
}

class Attention extends Module {
  /** Queries, keys and values of all heads, one behind the other. */
  readonly c_attn: Conv1D;
  readonly c_proj: Conv1D;
  readonly #heads: number;

  constructor(config: Gpt2Config, init: InitOptions) {
    super();
    const { n_embd: d } = config;
    this.c_attn = new Conv1D(d, 3 * d, init);
    this.c_proj = new Conv1D(d, d, residualInit(config, init));
    this.#heads = config.n_head;
  }

  /** x [batch, time, d]. */
  forward(x: Tensor, cache?: LayerCache): Tensor {
    const [batch, time, d] = x.shape as readonly [number, number, number];
    const fused = this.c_attn.forward(x);
    const [q, k, v] = [0, 1, 2].map((i) =>
      fused
        .narrow(-1, i * d, d)
        .reshape([batch, time, this.#heads, d / this.#heads])
        .transpose(1, 2),
    );
    const y = cache
      ? cache.attend(q, k, v)
      : scaledDotProductAttention(q, k, v, { isCausal: true });
    return this.c_proj.forward(y.transpose(1, 2).reshape([batch, time, d]));
  }
}

class MLP extends Module {
  readonly c_fc: Conv1D;
  readonly c_proj: Conv1D;
  readonly #activation: (x: Tensor) => Tensor;

  constructor(config: Gpt2Config, init: InitOptions) {
    super();
    this.c_fc = new Conv1D(config.n_embd, config.n_inner, init);
    this.c_proj = new Conv1D(config.n_inner, config.n_embd, residualInit(config, init));
    this.#activation = ACTIVATIONS[config.activation_function];
  }

  forward(x: Tensor): Tensor {
    return this.c_proj.forward(this.#activation(this.c_fc.forward(x)));
  }
}

class Block extends Module {
  readonly ln_1: LayerNorm;
  readonly attn: Attention;
  readonly ln_2: LayerNorm;
  readonly mlp: MLP;

  constructor(config: Gpt2Config, init: InitOptions) {
    super();
    this.ln_1 = newNorm(config, init);
    this.attn = new Attention(config, init);
    this.ln_2 = newNorm(config, init);
    this.mlp = new MLP(config, init);
  }

  forward(x: Tensor, cache?: LayerCache): Tensor {
    const y = x.add(this.attn.forward(this.ln_1.forward(x), cache));
    return y.add(this.mlp.forward(this.ln_2.forward(y)));
  }
}

/** What HuggingFace calls `transformer`: everything but the output layer. */
class Trunk extends Module {
  readonly wte: Embedding;
  readonly wpe: Embedding;
  readonly h: readonly Block[];
  readonly ln_f: LayerNorm;

  constructor(config: Gpt2Config, init: InitOptions) {
    super();
    this.wte = new Embedding(config.vocab_size, config.n_embd, init);
    this.wpe = new Embedding(config.max_position_embeddings, config.n_embd, init);
    this.h = Array.from({ length: config.n_layer }, () => new Block(config, init));
    this.ln_f = newNorm(config, init);
  }

  forward(tokens: Tensor, state: CacheState | undefined, recompute: boolean): Tensor {
    const positions = state?.positions ?? arange(tokens.shape[1], { device: tokens.device });
    const x = this.wte.forward(tokens).cast('f32').add(this.wpe.forward(positions));
    const y = this.h.reduce((h, block, i) => {
      const run = (z: Tensor) => block.forward(z, state?.layers[i]);
      return recompute ? checkpoint(run)(h) : run(h);
    }, x);
    return this.ln_f.forward(y);
  }
}

/**
 * GPT-2 (Radford et al. 2019): a decoder with learned positions and layer norms before attention and
 * MLP. Without dropout.
 */
export class Gpt2 extends Module implements CausalLM {
  readonly type = 'gpt2';
  readonly config: Gpt2Config;
  readonly transformer: Trunk;
  readonly lm_head: Linear | undefined;
  gradientCheckpointing = false;

  /** Weights are normal, with deviation 0.02, from the global generator: seed it first. */
  constructor(config: Gpt2Config, init: InitOptions = {}) {
    super();
    this.config = config;
    this.transformer = new Trunk(config, init);
    const { n_embd: d, vocab_size: vocabulary } = config;
    this.lm_head = config.tie_word_embeddings ? undefined : new Linear(d, vocabulary, init);
  }

  newCaches(batch = 1, capacity = this.config.max_position_embeddings): KVCache[] {
    const { n_head: heads, n_embd: d } = this.config;
    const { device } = this.transformer.wte;
    const size = d / heads;
    return this.transformer.h.map(() => new KVCache({ batch, heads, capacity, size, device }));
  }

  forward(tokens: Tensor, state?: CacheState): Tensor {
    return this.head(this.hidden(tokens, state));
  }

  hidden(tokens: Tensor, state?: CacheState): Tensor {
    const longest = this.config.max_position_embeddings;
    if (tokens.rank !== 2 || (tokens.shape[1] as number) > longest) {
      const expected = `a shape [batch, time], time up to ${longest}`;
      throw badArgument('Gpt2', 'tokens', tokens.shape, expected);
    }
    return this.transformer.forward(tokens, state, this.gradientCheckpointing && !state);
  }

  head(x: Tensor): Tensor {
    return this.lm_head ? this.lm_head.forward(x) : this.transformer.wte.project(x);
  }

  loss(inputs: Tensor, targets: Tensor, weights?: Tensor): Tensor {
    return nextTokenLoss(this.forward(inputs), targets, weights);
  }

  toConfig(): Record<string, unknown> {
    const { max_position_embeddings, ...sizes } = this.config;
    return {
      architectures: ['GPT2LMHeadModel'],
      model_type: 'gpt2',
      ...sizes,
      n_positions: max_position_embeddings,
      attn_pdrop: 0,
      embd_pdrop: 0,
      resid_pdrop: 0,
      scale_attn_weights: true,
      scale_attn_by_inverse_layer_idx: false,
      reorder_and_upcast_attn: false,
      add_cross_attention: false,
      initializer_range: 0.02,
      use_cache: true,
    };
  }
}

/** @throws Error naming the key that is missing, wrong or not supported */
export function gpt2ConfigFromJson(json: unknown): Gpt2Config {
  const from = new ConfigReader(json);
  from.oneOf('model_type', ['gpt2']);
  from.only('scale_attn_weights', true);
  from.only('scale_attn_by_inverse_layer_idx', false);
  from.only('add_cross_attention', false);
  from.only('is_encoder_decoder', false);
  const d = from.count('n_embd', 768);
  const known = Object.keys(ACTIVATIONS) as (keyof typeof ACTIVATIONS)[];
  from.only('activation_function', ...known);
  return gpt2Config({
    vocab_size: from.count('vocab_size', 50257),
    n_embd: d,
    n_layer: from.count('n_layer', 12),
    n_head: from.count('n_head', 12),
    n_inner: from.count('n_inner', 4 * d),
    max_position_embeddings: from.count('n_positions', 1024),
    layer_norm_epsilon: from.positive('layer_norm_epsilon', 1e-5),
    activation_function: from.oneOf('activation_function', known, 'gelu_new'),
    tie_word_embeddings: from.flag('tie_word_embeddings', true),
  });
}

/** The layers that end in the residual stream begin smaller, by the root of their number. */
function residualInit(config: Gpt2Config, init: InitOptions): InitOptions {
  return { ...init, std: (init.std ?? 0.02) / Math.sqrt(2 * config.n_layer) };
}
