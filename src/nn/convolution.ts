import { badArgument } from '../base/errors.ts';
import {
  type ConvolutionOptions,
  conv1d,
  conv2d,
  type PerAxis,
} from '../tensor/functions/index.ts';
import type { Parameter, Tensor } from '../tensor/index.ts';
import { fanUniform } from './init.ts';
import { Module } from './module.ts';
import { checkSizes, type InitOptions, newBias, newWeight } from './new-parameter.ts';

export interface ConvOptions extends Omit<ConvolutionOptions, 'bias'>, InitOptions {
  /** Default true. */
  readonly bias?: boolean;
}

/**
 * A convolution (cross-correlation). Weights and biases begin uniform within 1 / sqrt(inputs of an
 * output), as in PyTorch.
 */
abstract class Convolution extends Module {
  /** [out, in / groups, ...kernel] */
  readonly weight: Parameter;
  /** [out] */
  readonly bias: Parameter | undefined;
  protected readonly options: Omit<ConvolutionOptions, 'bias'>;

  constructor(
    inChannels: number,
    outChannels: number,
    kernel: readonly number[],
    options: ConvOptions,
  ) {
    super();
    const name = new.target.name;
    const { bias = true, groups = 1, stride = 1, padding = 0, dilation = 1 } = options;
    checkSizes(name, { inChannels, outChannels, groups });
    for (const kernelSize of kernel) checkSizes(name, { kernelSize });
    if (inChannels % groups !== 0 || outChannels % groups !== 0) {
      const expected = `a divisor of ${inChannels} inputs and ${outChannels} outputs`;
      throw badArgument(name, 'groups', groups, expected);
    }
    const shape = [outChannels, inChannels / groups, ...kernel];
    const usual = fanUniform(shape.slice(1).reduce((n, d) => n * d, 1));
    this.weight = newWeight('weight', shape, options, usual);
    this.bias = bias ? newBias([outChannels], options, usual) : undefined;
    this.options = { groups, stride, padding, dilation };
  }
}

/** torch.nn.Conv1d: x [n, in, length] to [n, out, ...]. */
export class Conv1d extends Convolution {
  constructor(inChannels: number, outChannels: number, kernel: number, options: ConvOptions = {}) {
    super(inChannels, outChannels, [kernel], options);
  }

  forward(x: Tensor): Tensor {
    return conv1d(x, this.weight.value, { ...this.options, bias: this.bias?.value });
  }
}

/** torch.nn.Conv2d: x [n, in, height, width] to [n, out, ...]. */
export class Conv2d extends Convolution {
  /** @param kernel [height, width], or one number for both */
  constructor(inChannels: number, outChannels: number, kernel: PerAxis, options: ConvOptions = {}) {
    const sizes = typeof kernel === 'number' ? [kernel, kernel] : kernel;
    if (sizes.length !== 2) throw badArgument('Conv2d', 'kernel', kernel, 'one or two sizes');
    super(inChannels, outChannels, sizes, options);
  }

  forward(x: Tensor): Tensor {
    return conv2d(x, this.weight.value, { ...this.options, bias: this.bias?.value });
  }
}
