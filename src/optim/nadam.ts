import type { Parameter } from '../tensor/index.ts';
import { average, biasCorrection, penalised, shrunk, type UpdateRule, zerosLike } from './rule.ts';
import { type OptimizerOptions, RuleOptimizer } from './rule-optimizer.ts';
import { type CommonSettings, checkBetas, checkRange } from './settings.ts';

export interface NAdamSettings extends CommonSettings {
  /** Decay of the two moments (default 0.9, 0.999). */
  readonly betas: readonly [number, number];
  /** Added to the denominator (default 1e-8). */
  readonly eps: number;
  /** How fast the momentum comes up to its full value (default 4e-3). */
  readonly momentumDecay: number;
  /** Shrinks the weight apart from the gradient, instead of an L2 penalty. */
  readonly decoupledWeightDecay: boolean;
}

export const nadamRule: UpdateRule<NAdamSettings> = {
  name: 'NAdam',
  defaults: {
    lr: 2e-3,
    betas: [0.9, 0.999],
    eps: 1e-8,
    weightDecay: 0,
    momentumDecay: 4e-3,
    decoupledWeightDecay: false,
    maximize: false,
  },
  check({ betas, eps, momentumDecay }) {
    checkBetas('NAdam', betas);
    checkRange('NAdam', 'eps', eps, 0);
    checkRange('NAdam', 'momentumDecay', momentumDecay, 0);
  },
  state: (_settings, shape) => zerosLike(shape, 'exp_avg', 'exp_avg_sq'),
  groupState: () => ({ mu_product: 1 }),
  momentum: ({ betas }) => betas[0],
  counts: () => true,
  begin({ betas, eps, momentumDecay, decoupledWeightDecay }, scalars) {
    const { lr, step, momentum: beta1 } = scalars;
    const beta2 = betas[1];
    const mu = (t: typeof step) =>
      beta1.mul(
        t
          .mul(momentumDecay * Math.log(0.96))
          .exp()
          .mul(-0.5)
          .add(1),
      );
    const now = mu(step);
    const next = mu(step.add(1));
    const product = scalars.get('mu_product').mul(now);
    scalars.set('mu_product', product);
    const ofGradient = lr.mul(now.neg().add(1)).div(product.neg().add(1));
    const ofMoment = lr.mul(next).div(product.mul(next).neg().add(1));
    const correction = biasCorrection(beta2, step);
    return (at) => {
      const g = decoupledWeightDecay ? at.g : penalised(at);
      const m = average(at.get('exp_avg'), g, beta1);
      const v = average(at.get('exp_avg_sq'), g.mul(g), beta2);
      at.set('exp_avg', m);
      at.set('exp_avg_sq', v);
      const denominator = v.div(correction).sqrt().add(eps);
      const p = decoupledWeightDecay ? shrunk(at, lr) : at.p;
      return p.sub(ofGradient.mul(g).div(denominator)).sub(ofMoment.mul(m).div(denominator));
    };
  },
};

/** Adam with Nesterov's momentum (Dozat 2016). */
export class NAdam extends RuleOptimizer<NAdamSettings> {
  constructor(
    parameters: ReadonlyMap<string, Parameter>,
    options: OptimizerOptions<NAdamSettings> = {},
  ) {
    super(nadamRule, parameters, options);
  }
}
