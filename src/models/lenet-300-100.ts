import { type InitOptions, init, Linear, Module, usually } from '../nn/index.ts';
import { crossEntropy } from '../tensor/functions/index.ts';
import type { Tensor } from '../tensor/index.ts';

/**
 * LeNet-300-100 (LeCun et al. 1998): two hidden layers of 300 and 100 units, with relu as in the
 * pruning literature (Han et al. 2015; Frankle and Carbin 2019); 266,610 parameters. Weights begin
 * Glorot-normal.
 */
export class LeNet300100 extends Module {
  readonly fc1: Linear;
  readonly fc2: Linear;
  readonly fc3: Linear;

  constructor(options: InitOptions = {}) {
    super();
    const settings = { ...usually(options, init.xavierNormal()), bias: true };
    this.fc1 = new Linear(784, 300, settings);
    this.fc2 = new Linear(300, 100, settings);
    this.fc3 = new Linear(100, 10, settings);
  }

  /** Images [n, 784], or of any shape [n, ...] with 784 places, to logits [n, 10]. */
  forward(x: Tensor): Tensor {
    const first = this.fc1.forward(x.flatten(1)).relu();
    return this.fc3.forward(this.fc2.forward(first).relu());
  }

  /** Mean cross entropy; labels i32 [n]. */
  loss(images: Tensor, labels: Tensor): Tensor {
    return crossEntropy(this.forward(images), labels);
  }
}
