import type { Parameter } from '../tensor/index.ts';
import { average, biasCorrection, penalised, shrunk, type UpdateRule, zerosLike } from './rule.ts';
import { type OptimizerOptions, RuleOptimizer } from './rule-optimizer.ts';
import { type CommonSettings, checkBetas, checkRange } from './settings.ts';

export interface AdamSettings extends CommonSettings {
  /** Decay of the two moments (default 0.9, 0.999). */
  readonly betas: readonly [number, number];
  /** Added to the denominator (default 1e-8). */
  readonly eps: number;
  /** Divides by the largest second moment so far (Reddi et al. 2018). */
  readonly amsgrad: boolean;
  /** Shrinks the weight apart from the gradient, instead of an L2 penalty. */
  readonly decoupledWeightDecay: boolean;
}

/** Adam and AdamW are one rule with different defaults. */
export function adamRule(
  name: string,
  weightDecay: number,
  decoupledWeightDecay: boolean,
): UpdateRule<AdamSettings> {
  return {
    name,
    defaults: {
      lr: 1e-3,
      betas: [0.9, 0.999],
      eps: 1e-8,
      weightDecay,
      amsgrad: false,
      decoupledWeightDecay,
      maximize: false,
    },
    check({ betas, eps }) {
      checkBetas(name, betas);
      checkRange(name, 'eps', eps, 0);
    },
    state: ({ amsgrad }, shape) => ({
      ...zerosLike(shape, 'exp_avg', 'exp_avg_sq'),
      ...(amsgrad && zerosLike(shape, 'max_exp_avg_sq')),
    }),
    momentum: ({ betas }) => betas[0],
    counts: () => true,
    begin({ betas, eps, amsgrad, decoupledWeightDecay }, { lr, step, momentum: beta1 }) {
      const beta2 = betas[1];
      const stepSize = lr.div(biasCorrection(beta1, step));
      const root = biasCorrection(beta2, step).sqrt();
      return (at) => {
        const g = decoupledWeightDecay ? at.g : penalised(at);
        const m = average(at.get('exp_avg'), g, beta1);
        const v = average(at.get('exp_avg_sq'), g.mul(g), beta2);
        at.set('exp_avg', m);
        at.set('exp_avg_sq', v);
        let second = v;
        if (amsgrad) {
          second = at.get('max_exp_avg_sq').maximum(v);
          at.set('max_exp_avg_sq', second);
        }
        const p = decoupledWeightDecay ? shrunk(at, lr) : at.p;
        return p.sub(stepSize.mul(m).div(second.sqrt().div(root).add(eps)));
      };
    },
  };
}

export const plainAdamRule = adamRule('Adam', 0, false);

/** Adam (Kingma and Ba 2015); weight decay is an L2 penalty. */
export class Adam extends RuleOptimizer<AdamSettings> {
  constructor(
    parameters: ReadonlyMap<string, Parameter>,
    options: OptimizerOptions<AdamSettings> = {},
  ) {
    super(plainAdamRule, parameters, options);
  }
}
