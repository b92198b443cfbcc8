import { Conv2d, type InitOptions, init, Linear, Module, usually } from '../nn/index.ts';
import { crossEntropy, maxPool2d } from '../tensor/functions/index.ts';
import type { Tensor } from '../tensor/index.ts';

/**
 * LeNet-5 as Caffe has it, which is the one that is pruned (Jia et al. 2014; Han et al. 2015): 20 and
 * 50 maps of 5 x 5 kernels, each pooled by 2, 500 units with relu, ten outputs; 431,080 parameters.
 * Weights begin uniform within sqrt(3 / inputs), biases at 0, as Caffe's "xavier".
 */
export class LeNet5 extends Module {
  readonly conv1: Conv2d;
  readonly conv2: Conv2d;
  readonly fc1: Linear;
  readonly fc2: Linear;

  constructor(options: InitOptions = {}) {
    super();
    const weights = usually(options, init.kaimingUniform({ nonlinearity: 'linear' }));
    const settings = { ...weights, bias: true, biasInit: options.biasInit ?? init.zeros };
    this.conv1 = new Conv2d(1, 20, 5, settings);
    this.conv2 = new Conv2d(20, 50, 5, settings);
    this.fc1 = new Linear(800, 500, settings);
    this.fc2 = new Linear(500, 10, settings);
  }

  /** Images [n, 1, 28, 28] to logits [n, 10]. */
  forward(x: Tensor): Tensor {
    const maps = maxPool2d(this.conv1.forward(x), 2);
    const features = maxPool2d(this.conv2.forward(maps), 2).flatten(1);
    return this.fc2.forward(this.fc1.forward(features).relu());
  }

  /** Mean cross entropy; labels i32 [n]. */
  loss(images: Tensor, labels: Tensor): Tensor {
    return crossEntropy(this.forward(images), labels);
  }
}
