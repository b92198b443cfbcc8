import { LeNet5 } from '../../src/models/index.ts';
import { jit, random, type Tensor, tensor, valueAndGrad } from '../../src/tensor/index.ts';
import { runTraining } from '../browser/suites.ts';
import { Digest } from './digest.ts';
import { numbers } from './run-graph.ts';

/**
 * Run by itself: trains a small transformer for the steps of its argument on the device of the
 * environment, computes the gradients of a convolutional network, and prints what came out.
 */
export interface ProgramBits {
  readonly losses: readonly number[];
  readonly weights: string;
  readonly convolution: { readonly loss: number; readonly gradients: string };
}

async function convolution(): Promise<ProgramBits['convolution']> {
  random.seed(3);
  const model = new LeNet5();
  const images = tensor(numbers(5, 6 * 784), { shape: [6, 1, 28, 28] });
  const labels = tensor(Int32Array.from([3, 1, 4, 1, 5, 9]));
  const step = jit((x: Tensor, y: Tensor) => {
    const { value, grads } = valueAndGrad((m: LeNet5) => m.loss(x, y))(model);
    return [value, ...grads.values()];
  });
  const [loss, ...gradients] = await step(images, labels);
  const digest = new Digest();
  for (const gradient of gradients) digest.add(await gradient.data());
  return { loss: (await loss.data())[0], gradients: String(digest) };
}

const { losses, weights } = await runTraining(Number(process.argv[2]));
const bits: ProgramBits = { losses, weights, convolution: await convolution() };
console.log(JSON.stringify(bits));
// Threads would keep the process.
process.exit();
