import { badArgument } from '../base/errors.ts';
import type { Cell, Parameter, Tensor } from '../tensor/index.ts';
import type { Optimizer } from './optimizer.ts';
import { checkRange } from './settings.ts';

/** An optimiser of a part of the parameters, and its rate. */
export interface Part {
  readonly optimizer: Optimizer;
  readonly lr: number;
}

/** Several optimisers as one, each with parameters of its own; the first one's rate is its rate. */
export class CombinedOptimizer implements Optimizer {
  readonly #parts: readonly Part[];
  readonly #lr: number;

  constructor(parts: readonly Part[]) {
    const [first] = parts;
    if (!first) throw badArgument('CombinedOptimizer', 'parts', parts, 'at least one optimiser');
    const seen = new Set<Parameter>();
    for (const { optimizer, lr } of parts) {
      checkRange('CombinedOptimizer', 'lr', lr, Number.MIN_VALUE);
      for (const [name, parameter] of optimizer.parameters()) {
        if (seen.has(parameter)) {
          throw badArgument('CombinedOptimizer', 'parts', name, 'each parameter in one part only');
        }
        seen.add(parameter);
      }
    }
    this.#parts = parts;
    this.#lr = first.lr;
  }

  setLearningRate(lr: number): void {
    checkRange('CombinedOptimizer', 'lr', lr, 0);
    for (const part of this.#parts) {
      part.optimizer.setLearningRate(part.lr === this.#lr ? lr : (lr * part.lr) / this.#lr);
    }
  }

  setMomentum(momentum: number): void {
    for (const { optimizer } of this.#parts) optimizer.setMomentum(momentum);
  }

  update(grads: ReadonlyMap<string, Tensor>): void {
    for (const { optimizer } of this.#parts) optimizer.update(grads);
  }

  parameters(): Map<string, Parameter> {
    return new Map(this.#parts.flatMap(({ optimizer }) => [...optimizer.parameters()]));
  }

  /** States of the parts; what is not of a parameter has its part's number in front. */
  state(): Map<string, Cell> {
    const cells = new Map<string, Cell>();
    this.#parts.forEach(({ optimizer }, i) => {
      for (const [name, cell] of optimizer.state()) {
        cells.set(cells.has(name) || i > 0 ? `parts.${i}.${name}` : name, cell);
      }
    });
    return cells;
  }

  dispose(): void {
    for (const { optimizer } of this.#parts) optimizer.dispose();
  }
}
