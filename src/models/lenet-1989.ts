import {
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

/** Groups of H1 maps that a third of the H2 maps sees: 8 of 12, as [start, count] pieces. */
const SEEN: readonly (readonly (readonly [start: number, count: number])[])[] = [
  [[0, 8]],
  [[4, 8]],
  [
    [0, 4],
    [8, 4],
  ],
];

/**
 * Uniform within 2.4 / sqrt(inputs). The paper says 2.4 / inputs; with that the network hardly learns,
 * and its reproduction (Karpathy 2022) takes the root.
 */
function spread(inputs: number): init.Initialiser {
  const bound = 2.4 / Math.sqrt(inputs);
  return init.uniform({ low: -bound, high: bound });
}

/** A 5 x 5 kernel at every other place, with a bias of its own for every unit. */
class UnsharedConv extends Module {
  /** [maps, inputs, 5, 5] */
  readonly weight: Parameter;
  /** [maps, size, size] */
  readonly bias: Parameter;

  constructor(inputs: number, size: number, options: InitOptions) {
    super();
    this.weight = newWeight('weight', [12, inputs, 5, 5], options, spread(inputs * 25));
    this.bias = newBias([12, size, size], options);
  }

  /** Beyond its edges an image is background, -1. */
  static framed(x: Tensor): Tensor {
    const edges = [
      [0, 0],
      [0, 0],
      [2, 2],
      [2, 2],
    ] as const;
    return x.pad(edges, -1);
  }
}

/**
 * The network that read zip codes (LeCun et al. 1989, "Backpropagation applied to handwritten zip code
 * recognition"): H1 and H2 of 12 maps with shared kernels and unshared biases, H3 of 30 units, ten
 * outputs, tanh everywhere; 9,760 parameters. Which maps H2 sees and how weights begin follow the
 * reproduction (Karpathy 2022).
 */
export class LeNet1989 extends Module {
  readonly h1: UnsharedConv;
  readonly h2: UnsharedConv;
  readonly h3: Linear;
  readonly out: Linear;

  constructor(options: InitOptions = {}) {
    super();
    this.h1 = new UnsharedConv(1, 8, options);
    this.h2 = new UnsharedConv(8, 4, options);
    this.h3 = new Linear(192, 30, { ...usually(options, spread(192)), bias: true });
    // All outputs begin at "not this digit".
    const biasInit = options.biasInit ?? init.constant(-1);
    this.out = new Linear(30, 10, { ...usually(options, spread(30)), bias: true, biasInit });
  }

  /** Images [n, 1, 16, 16] in -1 .. 1 to outputs [n, 10] in -1 .. 1, the digit's the largest. */
  forward(x: Tensor): Tensor {
    const { h1, h2 } = this;
    const maps = conv2d(UnsharedConv.framed(x), h1.weight.value, { stride: 2 })
      .add(h1.bias.value)
      .tanh();
    const framed = UnsharedConv.framed(maps);
    const thirds = SEEN.map((pieces, i) => {
      const seen = concat(
        pieces.map(([start, count]) => framed.narrow(1, start, count)),
        1,
      );
      return conv2d(seen, h2.weight.value.narrow(0, 4 * i, 4), { stride: 2 });
    });
    const features = concat(thirds, 1).add(h2.bias.value).tanh().flatten(1);
    return this.out.forward(this.h3.forward(features).tanh()).tanh();
  }

  /** Mean square of the difference to 1 for the digit and -1 for the others; labels i32 [n]. */
  loss(images: Tensor, labels: Tensor): Tensor {
    const targets = oneHot(labels, 10).cast('f32').mul(2).sub(1);
    return mseLoss(this.forward(images), targets);
  }
}
