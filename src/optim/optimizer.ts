import { badArgument } from '../base/errors.ts';
import type { Cell, Parameter, Tensor } from '../tensor/index.ts';

/**
 * Changes parameters by their gradients. State is in cells, so that `update` may be part of a jitted
 * step; what changes from step to step (learning rate, momentum, the count of steps) is in cells,
 * too, and never makes a new trace.
 */
export interface Optimizer {
  /** The rate of the next steps. Groups with a rate of their own keep its ratio to this one. */
  setLearningRate(lr: number): void;
  /**
   * The momentum (or first beta) of the next steps, for schedules that cycle it.
   *
   * @throws TypeError where the rule has none
   */
  setMomentum(momentum: number): void;
  /**
   * One step by gradients of the parameters' names and shapes.
   *
   * @throws TypeError when a parameter's gradient is missing
   */
  update(grads: ReadonlyMap<string, Tensor>): void;
  /** The parameters that it changes, by name. */
  parameters(): Map<string, Parameter>;
  /** State by name, for checkpoints: `PARAMETER.KEY` with PyTorch's keys, and the count of steps. */
  state(): Map<string, Cell>;
  dispose(): void;
}

/** Which parameters: names, in which * stands for any text, or a test. */
export type Selection = readonly string[] | ((name: string, parameter: Parameter) => boolean);

/** Whether a selection takes a parameter, as a function. */
export function selector(
  where: string,
  selection: Selection,
): (name: string, parameter: Parameter) => boolean {
  if (typeof selection === 'function') return selection;
  const valid = Array.isArray(selection) && selection.every((name) => typeof name === 'string');
  if (!valid) throw badArgument(where, 'parameters', selection, 'a list of names or a function');
  const patterns = selection.map((name) => {
    const literal = name.split('*').map((part) => part.replaceAll(/[\\^$.|?+()[\]{}]/g, '\\$&'));
    return new RegExp(`^${literal.join('.*')}$`);
  });
  return (name) => patterns.some((pattern) => pattern.test(name));
}
