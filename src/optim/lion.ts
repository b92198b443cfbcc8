import type { Parameter } from '../tensor/index.ts';
import { average, shrunk, type UpdateRule, zerosLike } from './rule.ts';
import { type OptimizerOptions, RuleOptimizer } from './rule-optimizer.ts';
import { type CommonSettings, checkBetas } from './settings.ts';

export interface LionSettings extends CommonSettings {
  /** Share of the moment in the direction, and its own decay (default 0.9, 0.99). */
  readonly betas: readonly [number, number];
}

export const lionRule: UpdateRule<LionSettings> = {
  name: 'Lion',
  defaults: { lr: 1e-4, betas: [0.9, 0.99], weightDecay: 0, maximize: false },
  check: ({ betas }) => checkBetas('Lion', betas),
  state: (_settings, shape) => zerosLike(shape, 'exp_avg'),
  momentum: ({ betas }) => betas[0],
  counts: () => false,
  begin({ betas }, { lr, momentum: beta1 }) {
    return (at) => {
      const m = at.get('exp_avg');
      at.set('exp_avg', average(m, at.g, betas[1]));
      return shrunk(at, lr).sub(average(m, at.g, beta1).sign().mul(lr));
    };
  },
};

/** The sign of a moving average (Chen et al. 2023, algorithm 2); weight decay is decoupled. */
export class Lion extends RuleOptimizer<LionSettings> {
  constructor(
    parameters: ReadonlyMap<string, Parameter>,
    options: OptimizerOptions<LionSettings> = {},
  ) {
    super(lionRule, parameters, options);
  }
}
