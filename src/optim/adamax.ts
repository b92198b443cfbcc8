import type { Parameter } from '../tensor/index.ts';
import { average, biasCorrection, penalised, type UpdateRule, zerosLike } from './rule.ts';
import { type OptimizerOptions, RuleOptimizer } from './rule-optimizer.ts';
import { type CommonSettings, checkBetas, checkRange } from './settings.ts';

export interface AdamaxSettings extends CommonSettings {
  /** Decay of the first moment and of the largest gradient (default 0.9, 0.999). */
  readonly betas: readonly [number, number];
  /** Added to each gradient's size (default 1e-8). */
  readonly eps: number;
}

export const adamaxRule: UpdateRule<AdamaxSettings> = {
  name: 'Adamax',
  defaults: { lr: 2e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, maximize: false },
  check({ betas, eps }) {
    checkBetas('Adamax', betas);
    checkRange('Adamax', 'eps', eps, 0);
  },
  state: (_settings, shape) => zerosLike(shape, 'exp_avg', 'exp_inf'),
  momentum: ({ betas }) => betas[0],
  counts: () => true,
  begin({ betas, eps }, { lr, step, momentum: beta1 }) {
    const stepSize = lr.div(biasCorrection(beta1, step));
    return (at) => {
      const g = penalised(at);
      const m = average(at.get('exp_avg'), g, beta1);
      const largest = at.get('exp_inf').mul(betas[1]).maximum(g.abs().add(eps));
      at.set('exp_avg', m);
      at.set('exp_inf', largest);
      return at.p.sub(stepSize.mul(m).div(largest));
    };
  },
};

/** Adam by the infinity norm (Kingma and Ba 2015, section 7). */
export class Adamax extends RuleOptimizer<AdamaxSettings> {
  constructor(
    parameters: ReadonlyMap<string, Parameter>,
    options: OptimizerOptions<AdamaxSettings> = {},
  ) {
    super(adamaxRule, parameters, options);
  }
}
