import { Module } from '../nn/index.ts';
import { conv2d, dropout } from '../tensor/functions/index.ts';
import { concat, full, Parameter, random, scope, type Tensor } from '../tensor/index.ts';

export interface ZipCodeOptions {
  /**
   * Of the hidden units; the network of 1989 has tanh, at its outputs, too. First weights are uniform
   * within 2.4 / inputs with tanh, as in the paper, and 2.4 / sqrt(inputs) with relu.
   */
  readonly activation: 'tanh' | 'relu';
  /** Share of the units below H3 that are dropped in training (default 0). */
  readonly dropout?: number;
}

/** Side of an image with the two pixels of background around it that H1 looks at. */
export const PADDED_SIDE = 20;

/**
 * The network of LeCun et al. 1989 for 16 x 16 digits, 9,760 parameters: H1 is 12 maps of 5 x 5
 * windows with stride 2, each unit with a bias of its own; H2 12 maps of which each sees 8 of those
 * 12; H3 30 units; 10 outputs. Which maps see which follows Karpathy's reproduction of 2022, since
 * the paper does not say.
 */
export class ZipCodeNetwork extends Module {
  readonly h1w: Parameter;
  readonly h1b = level([12, 8, 8], 0);
  readonly h2w: Parameter;
  readonly h2b = level([12, 4, 4], 0);
  readonly h3w: Parameter;
  readonly h3b = level([30], 0);
  readonly outw: Parameter;
  readonly outb: Parameter;
  readonly #options: ZipCodeOptions;

  constructor(options: ZipCodeOptions) {
    super();
    this.#options = options;
    const reach = (inputs: number) =>
      2.4 / (options.activation === 'tanh' ? inputs : Math.sqrt(inputs));
    this.h1w = spread(reach(25), [12, 1, 5, 5]);
    this.h2w = spread(reach(8 * 25), [12, 8, 5, 5]);
    this.h3w = spread(reach(192), [30, 192]);
    this.outw = spread(reach(30), [10, 30]);
    // Nine of ten targets are -1 where the outputs are squashed.
    this.outb = level([10], options.activation === 'tanh' ? -1 : 0);
  }

  /** Images [n, 1, 20, 20], background -1 around them, to outputs [n, 10]. */
  forward(x: Tensor, training = false): Tensor {
    const { activation, dropout: p = 0 } = this.#options;
    const squash = (y: Tensor) => (activation === 'tanh' ? y.tanh() : y.relu());
    const background = activation === 'tanh' ? -1 : 0;
    const h1 = squash(conv2d(x, this.h1w.value, { stride: 2 }).add(this.h1b.value));
    const edge = [2, 2] as const;
    const wide = h1.pad([[0, 0], [0, 0], edge, edge], background);
    const maps = (from: number, count: number) => wide.narrow(1, from, count);
    const seen = concat([maps(0, 8), maps(4, 8), maps(0, 4), maps(8, 4)], 1);
    const sums = conv2d(seen, this.h2w.value, { stride: 2, groups: 3 });
    const h2 = squash(sums.add(this.h2b.value)).reshape([x.shape[0] as number, 192]);
    const kept = training && p > 0 ? dropout(h2, { p }) : h2;
    const h3 = squash(kept.linear(this.h3w.value, this.h3b.value));
    const out = h3.linear(this.outw.value, this.outb.value);
    return activation === 'tanh' ? out.tanh() : out;
  }
}

/** Weights uniform from -reach to reach. */
function spread(reach: number, shape: readonly number[]): Parameter {
  return held(
    scope(() =>
      random
        .uniform([...shape])
        .sub(0.5)
        .mul(2 * reach),
    ),
  );
}

function level(shape: readonly number[], value: number): Parameter {
  return held(full(shape, value));
}

function held(value: Tensor): Parameter {
  const parameter = new Parameter(value, 'weight');
  value.dispose();
  return parameter;
}
