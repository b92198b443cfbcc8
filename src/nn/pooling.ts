import {
  type AveragePoolOptions,
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  avgPool1d,
  avgPool2d,
  type MaxPoolOptions,
  maxPool1d,
  maxPool2d,
  type PerAxis,
} from '../tensor/functions/index.ts';
import type { Tensor } from '../tensor/index.ts';
import { Module } from './module.ts';

/** A function of a window's size and options as a module. */
abstract class Pool<Options> extends Module {
  protected readonly kernelSize: PerAxis;
  protected readonly options: Options;

  /** @param kernelSize of a window; the stride, where it is not given, is the same */
  constructor(kernelSize: PerAxis, options: Options = {} as Options) {
    super();
    this.kernelSize = kernelSize;
    this.options = options;
  }
}

/** torch.nn.MaxPool1d of [n, c, length]. */
export class MaxPool1d extends Pool<MaxPoolOptions> {
  forward(x: Tensor): Tensor {
    return maxPool1d(x, this.kernelSize, this.options);
  }
}

/** torch.nn.MaxPool2d of [n, c, height, width]. */
export class MaxPool2d extends Pool<MaxPoolOptions> {
  forward(x: Tensor): Tensor {
    return maxPool2d(x, this.kernelSize, this.options);
  }
}

/** torch.nn.AvgPool1d of [n, c, length]. */
export class AvgPool1d extends Pool<AveragePoolOptions> {
  forward(x: Tensor): Tensor {
    return avgPool1d(x, this.kernelSize, this.options);
  }
}

/** torch.nn.AvgPool2d of [n, c, height, width]. */
export class AvgPool2d extends Pool<AveragePoolOptions> {
  forward(x: Tensor): Tensor {
    return avgPool2d(x, this.kernelSize, this.options);
  }
}

/** Means of windows that make an image of a given size, whatever that of x. */
abstract class AdaptivePool extends Module {
  protected readonly outputSize: PerAxis;

  constructor(outputSize: PerAxis) {
    super();
    this.outputSize = outputSize;
  }
}

/** torch.nn.AdaptiveAvgPool1d of [n, c, length]. */
export class AdaptiveAvgPool1d extends AdaptivePool {
  forward(x: Tensor): Tensor {
    return adaptiveAvgPool1d(x, this.outputSize);
  }
}

/** torch.nn.AdaptiveAvgPool2d of [n, c, height, width]. */
export class AdaptiveAvgPool2d extends AdaptivePool {
  forward(x: Tensor): Tensor {
    return adaptiveAvgPool2d(x, this.outputSize);
  }
}
