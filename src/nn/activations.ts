import { badArgument } from '../base/errors.ts';
import * as F from '../tensor/functions/index.ts';
import type { Tensor } from '../tensor/index.ts';
import { Module } from './module.ts';

/** x or 0. */
export class ReLU extends Module {
  forward(x: Tensor): Tensor {
    return x.relu();
  }
}

/** x limited to 0 .. 6. */
export class ReLU6 extends Module {
  forward(x: Tensor): Tensor {
    return F.relu6(x);
  }
}

/** The square of relu (So et al. 2021). */
export class ReLUSquared extends Module {
  forward(x: Tensor): Tensor {
    return F.reluSquared(x);
  }
}

/** x Phi(x) (Hendrycks and Gimpel 2016), by erf or by tanh. */
export class GELU extends Module {
  readonly #approximate: 'none' | 'tanh';

  constructor({ approximate = 'none' }: { readonly approximate?: 'none' | 'tanh' } = {}) {
    super();
    this.#approximate = approximate;
  }

  forward(x: Tensor): Tensor {
    return x.gelu(this.#approximate);
  }
}

/** x sigmoid(x). */
export class SiLU extends Module {
  forward(x: Tensor): Tensor {
    return x.silu();
  }
}

export class Tanh extends Module {
  forward(x: Tensor): Tensor {
    return x.tanh();
  }
}

export class Sigmoid extends Module {
  forward(x: Tensor): Tensor {
    return x.sigmoid();
  }
}

/** 1 / (1 + e^-x) in logarithm, without underflow. */
export class LogSigmoid extends Module {
  forward(x: Tensor): Tensor {
    return F.logSigmoid(x);
  }
}

export class Softplus extends Module {
  forward(x: Tensor): Tensor {
    return F.softplus(x);
  }
}

export class Mish extends Module {
  forward(x: Tensor): Tensor {
    return F.mish(x);
  }
}

export class Hardswish extends Module {
  forward(x: Tensor): Tensor {
    return F.hardswish(x);
  }
}

export class SELU extends Module {
  forward(x: Tensor): Tensor {
    return F.selu(x);
  }
}

export class ELU extends Module {
  readonly #alpha: number;

  constructor({ alpha = 1 }: { readonly alpha?: number } = {}) {
    super();
    this.#alpha = alpha;
  }

  forward(x: Tensor): Tensor {
    return F.elu(x, { alpha: this.#alpha });
  }
}

export class LeakyReLU extends Module {
  readonly #negativeSlope: number;

  constructor({ negativeSlope = 0.01 }: { readonly negativeSlope?: number } = {}) {
    super();
    this.#negativeSlope = negativeSlope;
  }

  forward(x: Tensor): Tensor {
    return F.leakyRelu(x, { negativeSlope: this.#negativeSlope });
  }
}

/** Shares that add up to 1 along an axis (default: the last). */
export class Softmax extends Module {
  readonly #axis: number;

  constructor({ axis = -1 }: { readonly axis?: number } = {}) {
    super();
    this.#axis = axis;
  }

  forward(x: Tensor): Tensor {
    return x.softmax(this.#axis);
  }
}

/** Pointwise functions by the names that config.json uses (`hidden_act`). */
const ACTIVATIONS = {
  relu: (x) => x.relu(),
  relu2: (x) => F.reluSquared(x),
  relu6: (x) => F.relu6(x),
  leaky_relu: (x) => F.leakyRelu(x),
  gelu: (x) => x.gelu(),
  gelu_new: (x) => x.gelu('tanh'),
  gelu_pytorch_tanh: (x) => x.gelu('tanh'),
  quick_gelu: (x) => x.mul(x.mul(1.702).sigmoid()),
  silu: (x) => x.silu(),
  swish: (x) => x.silu(),
  mish: (x) => F.mish(x),
  tanh: (x) => x.tanh(),
  sigmoid: (x) => x.sigmoid(),
  linear: (x) => x,
} as const satisfies Record<string, (x: Tensor) => Tensor>;

export type ActivationName = keyof typeof ACTIVATIONS;

/** @throws TypeError for a name that is not known */
export function activation(name: ActivationName): (x: Tensor) => Tensor {
  if (Object.hasOwn(ACTIVATIONS, name)) return ACTIVATIONS[name];
  throw badArgument('activation', 'the name', name, `one of ${Object.keys(ACTIVATIONS)}`);
}
