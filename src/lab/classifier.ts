import { SeededRandom } from '../data/index.ts';
import type { Module } from '../nn/index.ts';
import type { Optimizer, Schedule } from '../optim/index.ts';
import { crossEntropy } from '../tensor/functions/index.ts';
import { jit, type Tensor, tensor, valueAndGrad } from '../tensor/index.ts';
import { type Examples, errorsOf, rowsOf, shuffledBatches } from './digits.ts';

/** A network of examples [n, width] to scores of classes [n, classes]. */
export type Classifier = Module & { forward(x: Tensor, training?: boolean): Tensor };

export interface ClassifierRun {
  readonly model: Classifier;
  /** Both are disposed of at the end. */
  readonly optimizer: Optimizer;
  readonly train: Examples;
  readonly test: Examples;
  readonly batch: number;
  readonly epochs: number;
  /** Of the order of the examples. */
  readonly seed: number;
  readonly rate?: Schedule;
  /** Measurements an epoch (default 1; 0.2 is one in five). */
  readonly measures?: number;
  readonly signal: AbortSignal;
}

export interface Measured {
  /** Epochs so far, in parts where it is measured within them. */
  readonly epoch: number;
  /** Mean loss of the batches since the last measurement. */
  readonly loss: number;
  /** % */
  readonly testError: number;
}

/** Trains by cross-entropy, and measures at equal distances up to the end. */
export async function* trainClassifier(run: ClassifierRun): AsyncGenerator<Measured, void, void> {
  const { model, optimizer, train, test, batch, rate, measures = 1 } = run;
  const order = new SeededRandom(run.seed);
  const perEpoch = Math.floor(train.count / batch);
  const every = Math.ceil(perEpoch / measures);
  const steps = run.epochs * perEpoch;
  const step = jit((x: Tensor, y: Tensor) => {
    const { value, grads } = valueAndGrad((m: Classifier) => {
      return crossEntropy(m.forward(x, true), y);
    })(model);
    optimizer.update(grads);
    return value;
  });
  const forward = jit((x: Tensor) => model.forward(x));
  const outputs = async (from: number, to: number) => {
    const rows = test.inputs.subarray(from * test.width, to * test.width);
    using x = tensor(rows, { shape: [to - from, test.width] });
    return await forward(x);
  };
  let done = 0;
  let sum = 0;
  let counted = 0;
  try {
    for (let epoch = 0; epoch < run.epochs; epoch++) {
      for (const places of shuffledBatches(train.count, batch, order)) {
        run.signal.throwIfAborted();
        if (rate) optimizer.setLearningRate(rate(done));
        using x = tensor(rowsOf(train, places), { shape: [batch, train.width] });
        using y = tensor(Int32Array.from(places, (place) => train.labels[place] as number));
        using loss = await step(x, y);
        sum += await loss.item();
        counted++;
        done++;
        if (done % every !== 0 && done !== steps) continue;
        const testError = (100 * (await errorsOf(test, outputs))) / test.count;
        yield { epoch: done / perEpoch, loss: sum / counted, testError };
        sum = 0;
        counted = 0;
      }
    }
  } finally {
    step.dispose();
    forward.dispose();
    optimizer.dispose();
    model.dispose();
  }
}

/** All measurements of a run. */
export async function trained(run: ClassifierRun): Promise<readonly Measured[]> {
  const all: Measured[] = [];
  for await (const measured of trainClassifier(run)) all.push(measured);
  return all;
}
