import { badArgument } from '../base/errors.ts';
import { formatShape } from '../ir/shape.ts';
import { type RopeOptions, rope, scaledDotProductAttention } from '../tensor/functions/index.ts';
import { arange, type Parameter, type Tensor, tensor } from '../tensor/index.ts';
import { alibiBias } from './alibi.ts';
import { fanUniform, xavierUniform } from './init.ts';
import type { LayerCache } from './kv-cache.ts';
import { Linear } from './layers.ts';
import { Module } from './module.ts';
import { checkSizes, type InitOptions, newBias, newWeight, usually } from './new-parameter.ts';
import { type RopeFrequencies, type RopeScaling, ropeFrequencies } from './rope-scaling.ts';

export interface RotaryOptions extends Pick<RopeOptions, 'theta' | 'dims' | 'style'> {
  readonly scaling?: RopeScaling;
  /** Of `scaling`: the model's longest text. */
  readonly maxPositions?: number;
}

export interface MultiheadAttentionOptions extends InitOptions {
  readonly heads: number;
  /** Heads of keys and values, a divisor of `heads` (GQA; 1: MQA; default: as many). */
  readonly kvHeads?: number;
  /** Numbers of one head (default: size / heads). */
  readonly headSize?: number;
  /** Default true. */
  readonly bias?: boolean;
  /** Rotates queries and keys by their positions. */
  readonly rope?: RotaryOptions;
  /** Lowers scores by distance. */
  readonly alibi?: boolean;
}

export interface AttentionInputs {
  /** What keys and values are made of, [batch, keys, size] (default: x itself). */
  readonly context?: Tensor;
  /** As in `scaledDotProductAttention`: true where a key may be seen, or what is added. */
  readonly mask?: Tensor;
  readonly isCausal?: boolean;
  readonly slidingWindow?: number;
  /** Of the tokens, [time] or [batch, time] (default: 0, 1, ...). */
  readonly positions?: Tensor;
  /** The past of a causal step; `positions` then say where its tokens stand. */
  readonly cache?: LayerCache | undefined;
}

/**
 * Attention of several heads (Vaswani et al. 2017; torch.nn.MultiheadAttention with batch_first, whose
 * parameter names these are). Rows of in_proj_weight: q, k, v; with fewer heads of keys and values
 * their blocks are smaller.
 */
export class MultiheadAttention extends Module {
  readonly in_proj_weight: Parameter;
  readonly in_proj_bias: Parameter | undefined;
  readonly out_proj: Linear;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly #alibi: boolean;
  readonly #rope: RotaryOptions | undefined;
  readonly #frequencies: RopeFrequencies | undefined;

  constructor(size: number, options: MultiheadAttentionOptions) {
    super();
    const { heads, kvHeads = heads, headSize = size / heads, bias = true } = options;
    checkSizes('MultiheadAttention', { size, heads, kvHeads, headSize });
    if (heads % kvHeads !== 0) {
      throw badArgument('MultiheadAttention', 'kvHeads', kvHeads, `a divisor of ${heads} heads`);
    }
    this.heads = heads;
    this.kvHeads = kvHeads;
    this.headSize = headSize;
    this.#alibi = options.alibi ?? false;
    this.#rope = options.rope;
    this.#frequencies = frequenciesOf(options.rope, headSize);
    const rows = (heads + 2 * kvHeads) * headSize;
    this.in_proj_weight = newWeight('in_proj_weight', [rows, size], options, xavierUniform());
    this.in_proj_bias = bias ? newBias([rows], options, undefined, 'in_proj_bias') : undefined;
    const inner = heads * headSize;
    this.out_proj = new Linear(inner, size, { ...usually(options, fanUniform(inner)), bias });
  }

  /** x [batch, time, size] to the same shape. */
  forward(x: Tensor, inputs: AttentionInputs = {}): Tensor {
    if (x.rank !== 3) {
      const got = formatShape(x.shape);
      throw new TypeError(`MultiheadAttention: x is ${got}; expected [batch, time, size]`);
    }
    const { cache, isCausal = false, mask } = inputs;
    const [q, k, v] = this.#rotated(this.#project(x, inputs.context), inputs);
    const seen = cache
      ? this.#continued(cache, q, k, v, inputs)
      : scaledDotProductAttention(q, k, v, {
          mask: this.#alibi ? this.#fallingScores(q, k, mask) : mask,
          isCausal,
          enableGqa: true,
          ...(inputs.slidingWindow === undefined ? {} : { slidingWindow: inputs.slidingWindow }),
        });
    const [batch, time] = x.shape;
    return this.out_proj.forward(
      seen.transpose(1, 2).reshape([batch, time, this.heads * this.headSize]),
    );
  }

  /** Queries, keys and values, [batch, heads, time, head size]. */
  #project(x: Tensor, context: Tensor | undefined): readonly [Tensor, Tensor, Tensor] {
    const inner = this.heads * this.headSize;
    const shared = this.kvHeads * this.headSize;
    const weight = this.in_proj_weight.value;
    const bias = this.in_proj_bias?.value;
    const heads = (y: Tensor, count: number) =>
      y.reshape([y.shape[0], y.shape[1], count, this.headSize]).transpose(1, 2);
    const parts = context
      ? [
          x.linear(weight.narrow(0, 0, inner), bias?.narrow(0, 0, inner)),
          ...context
            .linear(weight.narrow(0, inner, 2 * shared), bias?.narrow(0, inner, 2 * shared))
            .split(shared, 2),
        ]
      : x.linear(weight, bias).split([inner, shared, shared], 2);
    return [
      heads(parts[0], this.heads),
      heads(parts[1], this.kvHeads),
      heads(parts[2], this.kvHeads),
    ];
  }

  #rotated(
    [q, k, v]: readonly [Tensor, Tensor, Tensor],
    { positions, context, cache }: AttentionInputs,
  ): readonly [Tensor, Tensor, Tensor] {
    if (!this.#rope) return [q, k, v];
    if (context) {
      throw new TypeError(
        'MultiheadAttention: rope is set and a context given, whose places are not those of x; ' +
          'make the layer without rope',
      );
    }
    if (cache && !positions) {
      throw new TypeError('MultiheadAttention: a cache is given without positions; give both');
    }
    const at = positions ?? arange(q.shape[2], { device: q.device });
    const { frequencies, scale } = this.#frequencies ?? {};
    const options = {
      ...this.#rope,
      ...(frequencies ? { frequencies: tensor(frequencies, { device: q.device }) } : {}),
      ...(scale === undefined ? {} : { scale }),
    };
    return [rope(q, at, options), rope(k, at, options), v];
  }

  #continued(cache: LayerCache, q: Tensor, k: Tensor, v: Tensor, inputs: AttentionInputs): Tensor {
    const { mask, context, slidingWindow } = inputs;
    const refused = { mask, context, alibi: this.#alibi || undefined };
    for (const [name, value] of Object.entries(refused)) {
      if (value === undefined) continue;
      throw new TypeError(
        `MultiheadAttention: ${name} and a cache do not go together; leave one out`,
      );
    }
    return cache.attend(q, k, v, {
      enableGqa: true,
      ...(slidingWindow === undefined ? {} : { slidingWindow }),
    });
  }

  #fallingScores(q: Tensor, k: Tensor, mask: Tensor | undefined): Tensor {
    const [queries, keys] = [q.shape[2], k.shape[2]];
    if (typeof queries !== 'number' || typeof keys !== 'number') {
      throw badArgument('MultiheadAttention', 'the time of x', queries, 'a number with alibi');
    }
    const bias = alibiBias(this.heads, queries, keys, q.device);
    if (!mask) return bias;
    return mask.dtype === 'bool' ? mask.where(bias, Number.NEGATIVE_INFINITY) : bias.add(mask);
  }
}

function frequenciesOf(
  options: RotaryOptions | undefined,
  headSize: number,
): RopeFrequencies | undefined {
  if (!options?.scaling) return undefined;
  const { scaling, theta, maxPositions, dims = headSize } = options;
  return ropeFrequencies(scaling, {
    dims,
    ...(theta === undefined ? {} : { theta }),
    ...(maxPositions === undefined ? {} : { maxPositions }),
  });
}
