import { badArgument } from '../base/errors.ts';
import {
  Dropout,
  type InitOptions,
  init,
  Linear,
  Module,
  newBias,
  newWeight,
  usually,
} from '../nn/index.ts';
import { conv2d, mseLoss, oneHot } from '../tensor/functions/index.ts';
import { concat, type Parameter, type Tensor } from '../tensor/index.ts';

export interface LeNet1989Options extends InitOptions {
  /**
   * Of the hidden units. tanh (default) is the network of 1989: its outputs are squashed, too, and its
   * weights begin uniform within 2.4 / inputs. With relu the outputs are scores for a cross-entropy,
   * and weights begin within 2.4 / sqrt(inputs).
   */
  readonly activation?: 'tanh' | 'relu';
  /** Share of the units of H2 that is dropped in training (default 0). */
  readonly dropout?: number;
}

/** Uniform within 2.4 / inputs, or its root. */
function spread(inputs: number, { activation }: LeNet1989Options): init.Initialiser {
  const bound = 2.4 / (activation === 'relu' ? Math.sqrt(inputs) : inputs);
  return init.uniform({ low: -bound, high: bound });
}

/** A 5 x 5 kernel at every other place, with a bias of its own for every unit. */
class UnsharedConv extends Module {
  /** [maps, inputs, 5, 5] */
  readonly weight: Parameter;
  /** [maps, size, size] */
  readonly bias: Parameter;

  constructor(inputs: number, size: number, options: LeNet1989Options) {
    super();
    this.weight = newWeight('weight', [12, inputs, 5, 5], options, spread(inputs * 25, options));
    this.bias = newBias([12, size, size], options);
  }

  /** x [n, groups * inputs, side + 4, side + 4] to [n, 12, side / 2, side / 2] */
  forward(x: Tensor, groups = 1): Tensor {
    return conv2d(x, this.weight.value, { stride: 2, groups }).add(this.bias.value);
  }
}

/** Images with two places of background around them. */
function framed(x: Tensor, background: number): Tensor {
  const edges = [
    [0, 0],
    [0, 0],
    [2, 2],
    [2, 2],
  ] as const;
  return x.pad(edges, background);
}

/**
 * The network that read zip codes (LeCun et al. 1989, "Backpropagation applied to handwritten zip code
 * recognition"): H1 and H2 of 12 maps with shared kernels and unshared biases, H3 of 30 units, ten
 * outputs, tanh everywhere; 9,760 parameters. Which 8 of H1's maps each third of H2's sees follows the
 * reproduction (Karpathy 2022), since the paper does not say.
 */
export class LeNet1989 extends Module {
  readonly h1: UnsharedConv;
  readonly h2: UnsharedConv;
  readonly h3: Linear;
  readonly out: Linear;
  readonly dropout: Dropout;
  readonly #activation: 'tanh' | 'relu';

  constructor(options: LeNet1989Options = {}) {
    super();
    const { activation = 'tanh', dropout = 0 } = options;
    if (activation !== 'tanh' && activation !== 'relu') {
      throw badArgument('LeNet1989', 'activation', activation, 'tanh or relu');
    }
    this.#activation = activation;
    this.h1 = new UnsharedConv(1, 8, options);
    this.h2 = new UnsharedConv(8, 4, options);
    this.dropout = new Dropout(dropout);
    this.h3 = new Linear(192, 30, { ...usually(options, spread(192, options)), bias: true });
    // Squashed outputs begin at "not this digit".
    const biasInit = options.biasInit ?? init.constant(activation === 'tanh' ? -1 : 0);
    this.out = new Linear(30, 10, {
      ...usually(options, spread(30, options)),
      bias: true,
      biasInit,
    });
  }

  /** Images [n, 1, 16, 16] in -1 .. 1 to outputs [n, 10], with tanh in -1 .. 1; the digit's is the largest. */
  forward(x: Tensor): Tensor {
    const tanh = this.#activation === 'tanh';
    const squash = (y: Tensor) => (tanh ? y.tanh() : y.relu());
    const h1 = squash(this.h1.forward(framed(x, -1)));
    const wide = framed(h1, tanh ? -1 : 0);
    const maps = (start: number, count: number) => wide.narrow(1, start, count);
    const seen = concat([maps(0, 8), maps(4, 8), maps(0, 4), maps(8, 4)], 1);
    const h2 = squash(this.h2.forward(seen, 3)).flatten(1);
    const out = this.out.forward(squash(this.h3.forward(this.dropout.forward(h2))));
    return tanh ? out.tanh() : out;
  }

  /** Mean square of the difference to 1 for the digit and -1 for the others; labels i32 [n]. */
  loss(images: Tensor, labels: Tensor): Tensor {
    const targets = oneHot(labels, 10).cast('f32').mul(2).sub(1);
    return mseLoss(this.forward(images), targets);
  }
}
