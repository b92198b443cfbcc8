import { rmsNorm } from '../tensor/functions/index.ts';
import type { Device, Parameter, Tensor } from '../tensor/index.ts';
import { ones } from './init.ts';
import type { LoraAdapter } from './lora-adapter.ts';
import { Module } from './module.ts';
import { checkSizes, type InitOptions, newBias, newParameter, newWeight } from './new-parameter.ts';
import { PackedWeight } from './packed-weight.ts';

/** Trained as it stands, or packed for less memory. */
export type Weight = Parameter | PackedWeight;

export interface LinearOptions extends InitOptions {
  readonly bias?: boolean;
}

/** y = x W' + b, with W [out, in] as in PyTorch. */
export class Linear extends Module {
  weight: Weight;
  readonly bias: Parameter | undefined;
  /** An update that is trained in the weight's place: see `addLora`. */
  lora: LoraAdapter | undefined;

  constructor(inSize: number, outSize: number, options: LinearOptions = {}) {
    super();
    checkSizes('Linear', { inSize, outSize });
    this.weight = newWeight('weight', [outSize, inSize], options);
    this.bias = options.bias ? newBias([outSize], options) : undefined;
  }

  get device(): Device {
    return deviceOf(this.weight);
  }

  /** x [..., in] to [..., out]. */
  forward(x: Tensor): Tensor {
    const y = product(x, this.weight, this.bias?.value);
    return this.lora ? y.add(this.lora.forward(x)) : y;
  }
}

/** A table of vectors, looked up by integers. */
export class Embedding extends Module {
  weight: Weight;

  constructor(count: number, size: number, options: InitOptions = {}) {
    super();
    checkSizes('Embedding', { count, size });
    this.weight = newWeight('weight', [count, size], options);
  }

  /** Integers [...] to [..., size]; one out of range throws a RangeError. */
  forward(index: Tensor): Tensor {
    const { weight } = this;
    return weight instanceof PackedWeight ? weight.embedding(index) : weight.value.embedding(index);
  }

  /** x [..., size] to its products with all vectors, [..., count]: the head of a tied model. */
  project(x: Tensor): Tensor {
    return product(x, this.weight);
  }

  get device(): Device {
    return deviceOf(this.weight);
  }
}

function deviceOf(weight: Weight): Device {
  return weight instanceof PackedWeight ? weight.device : weight.held.device;
}

function product(x: Tensor, weight: Weight, bias?: Tensor): Tensor {
  if (!(weight instanceof PackedWeight)) return x.linear(weightFor(x, weight), bias);
  const y = weight.linear(x);
  return bias ? y.add(bias) : y;
}

/** The value of a weight for a product with x: one that is kept in 16 bits is widened where it is read. */
export function weightFor(x: Tensor, weight: Parameter): Tensor {
  const isSmall = weight.dtype === 'bf16' || weight.dtype === 'f16';
  return isSmall && x.dtype === 'f32' ? weight.value.cast('f32') : weight.value;
}

/** Root mean square normalisation (Zhang and Sennrich 2019) with a learned scale. */
export class RMSNorm extends Module {
  readonly weight: Parameter;
  readonly #eps: number;

  constructor(size: number, options: InitOptions & { readonly eps?: number } = {}) {
    super();
    checkSizes('RMSNorm', { size });
    this.weight = newParameter('weight', [size], ones, options.device);
    this.#eps = options.eps ?? 1e-5;
  }

  /** x [..., size], normalised over its last axis. */
  forward(x: Tensor): Tensor {
    return rmsNorm(x, { weight: this.weight.value, eps: this.#eps });
  }
}
