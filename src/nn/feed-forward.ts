import type { Tensor } from '../tensor/index.ts';
import { type ActivationName, activation } from './activations.ts';
import { Linear, type LinearOptions } from './layers.ts';
import { Module } from './module.ts';

export interface FeedForwardOptions extends LinearOptions {
  /** The function between the layers. */
  readonly activation?: ActivationName;
}

/**
 * down(f(gate(x)) up(x)) (Shazeer 2020): SwiGLU with silu (default), GeGLU with gelu, ReGLU with relu,
 * the bilinear layer with linear. Parameter names are those of llama.
 */
export class GatedMLP extends Module {
  readonly gate_proj: Linear;
  readonly up_proj: Linear;
  readonly down_proj: Linear;
  readonly #activation: (x: Tensor) => Tensor;

  constructor(size: number, hidden: number, options: FeedForwardOptions = {}) {
    super();
    this.gate_proj = new Linear(size, hidden, options);
    this.up_proj = new Linear(size, hidden, options);
    this.down_proj = new Linear(hidden, size, options);
    this.#activation = activation(options.activation ?? 'silu');
  }

  /** x [..., size] to the same shape. */
  forward(x: Tensor): Tensor {
    const gate = this.#activation(this.gate_proj.forward(x));
    return this.down_proj.forward(gate.mul(this.up_proj.forward(x)));
  }
}

/** down(f(up(x))); parameter names up_proj and down_proj. */
export class MLP extends Module {
  readonly up_proj: Linear;
  readonly down_proj: Linear;
  readonly #activation: (x: Tensor) => Tensor;

  constructor(size: number, hidden: number, options: FeedForwardOptions = {}) {
    super();
    this.up_proj = new Linear(size, hidden, options);
    this.down_proj = new Linear(hidden, size, options);
    this.#activation = activation(options.activation ?? 'gelu');
  }

  /** x [..., size] to the same shape. */
  forward(x: Tensor): Tensor {
    return this.down_proj.forward(this.#activation(this.up_proj.forward(x)));
  }
}
