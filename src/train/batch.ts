import type { TokenBatch } from '../data/index.ts';
import { type Parameterised, type Tensor, tensor } from '../tensor/index.ts';

/** Text to train on or to measure by, as tokens. */
export interface Corpus {
  readonly tokens: ArrayLike<number>;
  /** Where sequences may start (default: anywhere). */
  readonly starts?: ArrayLike<number> | undefined;
  /** How much each token counts as a target (default: all the same). */
  readonly weights?: ArrayLike<number> | undefined;
}

/** What can be trained on tokens. */
export interface TrainableModel extends Parameterised {
  /**
   * Mean cross-entropy of the next tokens, a scalar; inputs and targets [batch, time] i32, weights
   * the same in f32 where the corpus has them.
   */
  loss(inputs: Tensor, targets: Tensor, weights?: Tensor): Tensor;
}

/** A batch on a device; weights where the corpus has them. All [batch, sequence]. */
export interface BatchTensors {
  readonly inputs: Tensor;
  readonly targets: Tensor;
  readonly weights?: Tensor;
}

/** A batch on the device of a model's parameters. */
export function tensorsOf(
  model: TrainableModel,
  { inputs, targets, weights }: TokenBatch,
  shape: readonly [batch: number, sequence: number],
): BatchTensors {
  const [parameter] = model.parameters().values();
  const options = { shape, ...(parameter && { device: parameter.held.device }) };
  return {
    inputs: tensor(inputs, options),
    targets: tensor(targets, options),
    ...(weights && { weights: tensor(weights, options) }),
  };
}

/** The loss of a batch. */
export function lossOf(model: TrainableModel, batch: BatchTensors): Tensor {
  return model.loss(batch.inputs, batch.targets, batch.weights);
}

/** By how much a batch counts: the sum of its weights, or the number of its targets. */
export function weightOf({ targets, weights }: TokenBatch): number {
  return weights ? weights.reduce((sum, w) => sum + w, 0) : targets.length;
}
