import { badArgument } from '../base/errors.ts';
import { Cell, type Tensor, type TensorOptions, tensor } from '../tensor/index.ts';
import type { Optimizer } from './optimizer.ts';
import { checkRange } from './settings.ts';

export interface GradScalerOptions {
  /** First scale (default 2^16). */
  readonly initScale?: number;
  /** What the scale is multiplied by after enough good steps (default 2). */
  readonly growthFactor?: number;
  /** What it is multiplied by after a bad one (default 0.5). */
  readonly backoffFactor?: number;
  /** How many good steps are enough (default 2000). */
  readonly growthInterval?: number;
  readonly device?: TensorOptions['device'];
}

/** What the scaler asks of an optimiser. */
export type ScaledOptimizer = Pick<Optimizer, 'parameters' | 'state' | 'update'>;

/**
 * Scales the loss so that gradients of 16 bits do not vanish, skips steps whose gradients are not
 * finite, and finds the scale by itself (Micikevicius et al. 2018; PyTorch's torch.amp.GradScaler).
 * All of it is tensors and cells, inside a jitted step as outside.
 *
 * @example
 * const { value, grads } = valueAndGrad((m: Model) => scaler.scale(m.loss(x, y)))(model);
 * const { grads: unscaled, finite } = scaler.unscale(grads);
 * scaler.step(optimizer, clipByGlobalNorm(unscaled, 1).grads, finite);
 */
export class GradScaler {
  readonly #scale: Cell;
  /** Good steps since the scale last changed. */
  readonly #tracker: Cell;
  /** Bad steps since the beginning. */
  readonly #skipped: Cell;
  readonly #growth: number;
  readonly #backoff: number;
  readonly #interval: number;

  constructor(options: GradScalerOptions = {}) {
    const { initScale = 2 ** 16, growthFactor = 2, backoffFactor = 0.5 } = options;
    const { growthInterval = 2000, device } = options;
    checkRange('GradScaler', 'initScale', initScale, 2 ** -126, 2 ** 127);
    checkRange('GradScaler', 'growthFactor', growthFactor, 1);
    checkRange('GradScaler', 'backoffFactor', backoffFactor, 0, 1);
    if (!Number.isInteger(growthInterval) || growthInterval < 1) {
      throw badArgument('GradScaler', 'growthInterval', growthInterval, 'an integer >= 1');
    }
    const on = device === undefined ? {} : { device };
    const cell = (value: Tensor, name: string) => {
      const made = new Cell(value, name);
      value.dispose();
      return made;
    };
    this.#scale = cell(tensor(initScale, on), 'scale');
    this.#tracker = cell(tensor(0, { ...on, dtype: 'i32' }), 'growth_tracker');
    this.#skipped = cell(tensor(0, { ...on, dtype: 'i32' }), 'skipped_steps');
    this.#growth = growthFactor;
    this.#backoff = backoffFactor;
    this.#interval = growthInterval;
  }

  /** What the next loss is multiplied by; a scalar. */
  get present(): Tensor {
    return this.#scale.value;
  }

  /** How many steps were skipped; a scalar of i32. */
  get skipped(): Tensor {
    return this.#skipped.value;
  }

  /** The loss times the scale. */
  scale(loss: Tensor): Tensor {
    return loss.mul(this.#scale.value);
  }

  /** The true gradients, in f32, and whether all of them are finite (a bool scalar). */
  unscale(grads: ReadonlyMap<string, Tensor>): {
    readonly grads: Map<string, Tensor>;
    readonly finite: Tensor;
  } {
    const inverse = this.#scale.value.reciprocal();
    let finite: Tensor | undefined;
    const unscaled = new Map<string, Tensor>();
    for (const [name, g] of grads) {
      const wide = g.cast('f32');
      const good = wide.isFinite().all();
      finite = finite ? finite.logicalAnd(good) : good;
      unscaled.set(name, wide.mul(inverse));
    }
    if (!finite) throw badArgument('GradScaler', 'grads', grads, 'at least one gradient');
    return { grads: unscaled, finite };
  }

  /**
   * Lets the optimiser step where `finite` holds and leaves parameters and state as they were where
   * not; then the scale grows or backs off.
   */
  step(optimizer: ScaledOptimizer, grads: ReadonlyMap<string, Tensor>, finite: Tensor): void {
    const cells = [...optimizer.parameters().values(), ...optimizer.state().values()];
    const before = cells.map((cell) => cell.value);
    optimizer.update(grads);
    cells.forEach((cell, i) => {
      cell.set(finite.where(cell.value, before[i] as Tensor));
    });
    this.update(finite);
  }

  /** Only the scale's part of a step. */
  update(finite: Tensor): void {
    const scale = this.#scale.value;
    const good = this.#tracker.value.add(1);
    const enough = good.ge(this.#interval);
    const larger = scale.mul(this.#growth);
    // A scale that would be infinite stays.
    const grown = enough.logicalAnd(larger.isFinite()).where(larger, scale);
    this.#scale.set(finite.where(grown, scale.mul(this.#backoff)));
    this.#tracker.set(finite.logicalAnd(enough.logicalNot()).where(good, 0));
    this.#skipped.set(this.#skipped.value.add(finite.logicalNot().cast('i32')));
  }

  /** Scale and counts of good and of skipped steps, for checkpoints. */
  state(): Map<string, Cell> {
    return new Map([this.#scale, this.#tracker, this.#skipped].map((cell) => [cell.name, cell]));
  }

  dispose(): void {
    for (const cell of this.state().values()) cell.dispose();
  }
}
