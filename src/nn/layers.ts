import { badArgument } from '../base/errors.ts';
import { rmsNorm } from '../tensor/functions/index.ts';
import type { Parameter, Tensor } from '../tensor/index.ts';
import { constantInit, type InitOptions, normalInit } from './init.ts';
import { Module } from './module.ts';

function checkSizes(where: string, sizes: Readonly<Record<string, number>>): void {
  for (const [name, size] of Object.entries(sizes)) {
    if (!Number.isInteger(size) || size < 1)
      throw badArgument(where, name, size, 'an integer >= 1');
  }
}

export interface LinearOptions extends InitOptions {
  readonly bias?: boolean;
}

/** y = x W' + b, with W [out, in] as in PyTorch. */
export class Linear extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;

  constructor(inSize: number, outSize: number, options: LinearOptions = {}) {
    super();
    checkSizes('Linear', { inSize, outSize });
    this.weight = normalInit('weight', [outSize, inSize], options);
    this.bias = options.bias ? constantInit('bias', [outSize], 0, options) : undefined;
  }

  /** x [..., in] to [..., out]. */
  forward(x: Tensor): Tensor {
    return x.linear(this.weight.value, this.bias?.value);
  }
}

/** A table of vectors, looked up by integers. */
export class Embedding extends Module {
  readonly weight: Parameter;

  constructor(count: number, size: number, options: InitOptions = {}) {
    super();
    checkSizes('Embedding', { count, size });
    this.weight = normalInit('weight', [count, size], options);
  }

  /** Integers [...] to [..., size]; one out of range throws a RangeError. */
  forward(index: Tensor): Tensor {
    return this.weight.value.embedding(index);
  }
}

/** Root mean square normalisation (Zhang and Sennrich 2019) with a learned scale. */
export class RMSNorm extends Module {
  readonly weight: Parameter;
  readonly #eps: number;

  constructor(size: number, options: InitOptions & { readonly eps?: number } = {}) {
    super();
    checkSizes('RMSNorm', { size });
    this.weight = constantInit('weight', [size], 1, options);
    this.#eps = options.eps ?? 1e-5;
  }

  /** x [..., size], normalised over its last axis. */
  forward(x: Tensor): Tensor {
    return rmsNorm(x, { weight: this.weight.value, eps: this.#eps });
  }
}
