import { Linear, Module } from '../nn/index.ts';
import { dropout, layerNorm } from '../tensor/functions/index.ts';
import type { Tensor } from '../tensor/index.ts';

export interface MLPOptions {
  /** Inputs, hidden layers, outputs. */
  readonly sizes: readonly number[];
  readonly activation: (x: Tensor) => Tensor;
  /** Deviation of the first weights times the root of their inputs (default sqrt 2, He et al. 2015). */
  readonly gain?: number;
  /** Shares of inputs and of hidden units that are dropped in training (default 0). */
  readonly dropout?: { readonly inputs: number; readonly hidden: number };
}

/** Linear layers with an activation between them. */
export class MLP extends Module {
  readonly layers: readonly Linear[];
  readonly #options: MLPOptions;

  constructor(options: MLPOptions) {
    super();
    const { sizes, gain = Math.SQRT2 } = options;
    this.#options = options;
    this.layers = sizes.slice(1).map((size, i) => {
      const inputs = sizes[i] as number;
      return new Linear(inputs, size, { bias: true, std: gain / Math.sqrt(inputs) });
    });
  }

  /** x [n, inputs] to [n, outputs] */
  forward(x: Tensor, training = false): Tensor {
    const { activation, dropout: share = { inputs: 0, hidden: 0 } } = this.#options;
    const kept = (y: Tensor, p: number) => (training && p > 0 ? dropout(y, { p }) : y);
    return this.layers.reduce((h, layer, i) => {
      if (i === 0) return layer.forward(kept(h, share.inputs));
      return layer.forward(kept(activation(h), share.hidden));
    }, x);
  }
}

/**
 * A deep network of layers of one width, each normalised (Ba et al. 2016) before its ReLU, in blocks
 * of two: plain, or with the block's input added to what it gives (He et al. 2016).
 */
export class DeepNetwork extends Module {
  readonly first: Linear;
  readonly hidden: readonly Linear[];
  readonly last: Linear;
  readonly #residual: boolean;

  /** @param depth hidden layers of width x width, an even number */
  constructor(options: {
    readonly inputs: number;
    readonly width: number;
    readonly depth: number;
    readonly outputs: number;
    readonly residual: boolean;
  }) {
    super();
    const { inputs, width, depth, outputs, residual } = options;
    const layer = (from: number, to: number) =>
      new Linear(from, to, { bias: true, std: Math.sqrt(2 / from) });
    this.#residual = residual;
    this.first = layer(inputs, width);
    this.hidden = Array.from({ length: depth }, () => layer(width, width));
    // Small first scores, whatever the size that the blocks have summed up to.
    this.last = new Linear(width, outputs, { bias: true, std: 0.1 / Math.sqrt(width) });
  }

  /** x [n, inputs] to [n, outputs] */
  forward(x: Tensor): Tensor {
    let h = layerNorm(this.first.forward(x)).relu();
    for (let i = 0; i < this.hidden.length; i += 2) {
      const [a, b] = this.hidden.slice(i, i + 2) as [Linear, Linear];
      const inner = layerNorm(a.forward(h)).relu();
      const change = layerNorm(b.forward(inner));
      h = (this.#residual ? h.add(change) : change).relu();
    }
    return this.last.forward(h);
  }
}
