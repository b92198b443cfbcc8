import { badArgument } from '../base/errors.ts';
import { formatShape } from '../ir/shape.ts';
import type { Tensor } from '../tensor/index.ts';
import { type ActivationName, activation } from './activations.ts';
import { MultiheadAttention } from './attention.ts';
import { Dropout } from './dropout.ts';
import { fanUniform } from './init.ts';
import { Linear } from './layers.ts';
import { Module } from './module.ts';
import { type InitOptions, usually } from './new-parameter.ts';
import { LayerNorm } from './normalization.ts';

export interface TransformerEncoderLayerOptions extends InitOptions {
  readonly heads: number;
  /** Size between the two linear layers (default 2048). */
  readonly hidden?: number;
  /** Default 0.1. */
  readonly dropout?: number;
  /** Default relu. */
  readonly activation?: ActivationName;
  /** Normalises before attention and linear layers (true), or behind their sums (default). */
  readonly normFirst?: boolean;
  readonly eps?: number;
}

/**
 * Self-attention and two linear layers, each in a residual branch with a normalisation (Vaswani et al.
 * 2017; torch.nn.TransformerEncoderLayer with batch_first, whose parameter names these are). Dropout
 * acts between the linear layers and behind both branches, not on attention weights.
 */
export class TransformerEncoderLayer extends Module {
  readonly self_attn: MultiheadAttention;
  readonly linear1: Linear;
  readonly linear2: Linear;
  readonly norm1: LayerNorm;
  readonly norm2: LayerNorm;
  readonly dropout: Dropout;
  readonly #activation: (x: Tensor) => Tensor;
  readonly #normFirst: boolean;

  constructor(size: number, options: TransformerEncoderLayerOptions) {
    super();
    const { heads, hidden = 2048, dropout = 0.1, normFirst = false, eps = 1e-5 } = options;
    this.self_attn = new MultiheadAttention(size, { ...options, heads });
    const linear = (inputs: number, outputs: number) => {
      const usual = fanUniform(inputs);
      const biasInit = options.biasInit ?? usual;
      return new Linear(inputs, outputs, { ...usually(options, usual), bias: true, biasInit });
    };
    this.linear1 = linear(size, hidden);
    this.linear2 = linear(hidden, size);
    const { device } = options;
    const norm = () => new LayerNorm(size, { eps, ...(device === undefined ? {} : { device }) });
    this.norm1 = norm();
    this.norm2 = norm();
    this.dropout = new Dropout(dropout);
    this.#activation = activation(options.activation ?? 'relu');
    this.#normFirst = normFirst;
  }

  /**
   * @param x [batch, time, size]
   * @param options `padding` bool [batch, time]: true where a key is not to be seen; `isCausal`
   */
  forward(
    x: Tensor,
    options: { readonly padding?: Tensor; readonly isCausal?: boolean } = {},
  ): Tensor {
    const attend = (y: Tensor) => this.dropout.forward(this.#attend(y, options));
    const feed = (y: Tensor) => {
      const inner = this.dropout.forward(this.#activation(this.linear1.forward(y)));
      return this.dropout.forward(this.linear2.forward(inner));
    };
    if (this.#normFirst) {
      const y = x.add(attend(this.norm1.forward(x)));
      return y.add(feed(this.norm2.forward(y)));
    }
    const y = this.norm1.forward(x.add(attend(x)));
    return this.norm2.forward(y.add(feed(y)));
  }

  #attend(
    x: Tensor,
    { padding, isCausal = false }: { readonly padding?: Tensor; readonly isCausal?: boolean },
  ): Tensor {
    if (!padding) return this.self_attn.forward(x, { isCausal });
    const wanted = formatShape(x.shape.slice(0, 2));
    if (padding.dtype !== 'bool' || formatShape(padding.shape) !== wanted) {
      const got = `${padding.dtype}${formatShape(padding.shape)}`;
      throw badArgument('TransformerEncoderLayer', 'padding', got, `bool${wanted}`);
    }
    const [batch, time] = x.shape;
    const mask = padding.logicalNot().reshape([batch, 1, 1, time]);
    return this.self_attn.forward(x, { isCausal, mask });
  }
}
