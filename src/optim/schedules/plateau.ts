import { badArgument } from '../../base/errors.ts';
import { checkRange } from '../settings.ts';
import { checkCount } from './schedule.ts';

export interface PlateauOptions {
  /** First rate. */
  readonly lr: number;
  /** Whether less of the metric is better (default min). */
  readonly mode?: 'min' | 'max';
  /** What the rate is multiplied by (default 0.1). */
  readonly factor?: number;
  /** Metrics without improvement that are borne (default 10). */
  readonly patience?: number;
  /** Least improvement (default 1e-4), a share of the best metric (rel) or a number (abs). */
  readonly threshold?: number;
  readonly thresholdMode?: 'rel' | 'abs';
  /** Metrics after a reduction that do not count (default 0). */
  readonly cooldown?: number;
  /** Least rate (default 0). */
  readonly min?: number;
  /** A smaller change of the rate is not made (default 1e-8). */
  readonly eps?: number;
}

/** Where a `ReduceOnPlateau` stands, as plain JSON. */
export interface PlateauState {
  readonly lr: number;
  /** Null before the first metric. */
  readonly best: number | null;
  readonly bad: number;
  readonly cooling: number;
}

/** Lowers the learning rate when a metric stops improving, as PyTorch's ReduceLROnPlateau. */
export class ReduceOnPlateau {
  readonly #options: Required<PlateauOptions>;
  #state: PlateauState;

  constructor(options: PlateauOptions) {
    const where = 'ReduceOnPlateau';
    const all: Required<PlateauOptions> = {
      mode: 'min',
      factor: 0.1,
      patience: 10,
      threshold: 1e-4,
      thresholdMode: 'rel',
      cooldown: 0,
      min: 0,
      eps: 1e-8,
      ...options,
    };
    checkRange(where, 'lr', all.lr, 0);
    checkRange(where, 'factor', all.factor, 0, 1 - Number.EPSILON);
    checkCount(where, 'patience', all.patience, 0);
    checkRange(where, 'threshold', all.threshold, 0);
    checkCount(where, 'cooldown', all.cooldown, 0);
    checkRange(where, 'min', all.min, 0);
    checkRange(where, 'eps', all.eps, 0);
    if (!['min', 'max'].includes(all.mode))
      throw badArgument(where, 'mode', all.mode, 'min or max');
    if (!['rel', 'abs'].includes(all.thresholdMode)) {
      throw badArgument(where, 'thresholdMode', all.thresholdMode, 'rel or abs');
    }
    this.#options = all;
    this.#state = { lr: all.lr, best: null, bad: 0, cooling: 0 };
  }

  /** The present rate. */
  get lr(): number {
    return this.#state.lr;
  }

  /** Takes the next metric; gives the rate from here on. */
  step(metric: number): number {
    const { factor, patience, cooldown, min, eps } = this.#options;
    let { lr, best, bad, cooling } = this.#state;
    if (this.#isBetter(metric, best)) {
      best = metric;
      bad = 0;
    } else bad++;
    if (cooling > 0) {
      cooling--;
      bad = 0;
    }
    if (bad > patience) {
      const lower = Math.max(lr * factor, min);
      if (lr - lower > eps) lr = lower;
      cooling = cooldown;
      bad = 0;
    }
    this.#state = { lr, best, bad, cooling };
    return lr;
  }

  #isBetter(metric: number, best: number | null): boolean {
    if (best === null) return !Number.isNaN(metric);
    const { mode, threshold, thresholdMode } = this.#options;
    const sign = mode === 'min' ? -1 : 1;
    const bound = thresholdMode === 'rel' ? best * (1 + sign * threshold) : best + sign * threshold;
    return mode === 'min' ? metric < bound : metric > bound;
  }

  state(): PlateauState {
    return this.#state;
  }

  restore(state: PlateauState): void {
    const { lr, best, bad, cooling } = state;
    checkRange('ReduceOnPlateau', 'lr', lr, 0);
    if (best !== null && typeof best !== 'number') {
      throw badArgument('ReduceOnPlateau', 'best', best, 'a number or null');
    }
    checkCount('ReduceOnPlateau', 'bad', bad, 0);
    checkCount('ReduceOnPlateau', 'cooling', cooling, 0);
    this.#state = { lr, best, bad, cooling };
  }
}
