import type { TokenBatch } from '../data/index.ts';
import { type Parameterised, type Tensor, tensor } from '../tensor/index.ts';

/** A batch on the device of a model's parameters: inputs and targets [batch, sequence] i32. */
export function tensorsOf(
  model: Parameterised,
  batch: TokenBatch,
  shape: readonly [batch: number, sequence: number],
): [inputs: Tensor, targets: Tensor] {
  const [parameter] = model.parameters().values();
  const options = { shape, ...(parameter && { device: parameter.held.device }) };
  return [tensor(batch.inputs, options), tensor(batch.targets, options)];
}
