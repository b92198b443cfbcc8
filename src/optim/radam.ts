import type { Parameter, Tensor } from '../tensor/index.ts';
import { average, biasCorrection, penalised, shrunk, type UpdateRule, zerosLike } from './rule.ts';
import { type OptimizerOptions, RuleOptimizer } from './rule-optimizer.ts';
import { type CommonSettings, checkBetas, checkRange } from './settings.ts';

export interface RAdamSettings extends CommonSettings {
  /** Decay of the two moments (default 0.9, 0.999). */
  readonly betas: readonly [number, number];
  /** Added to the denominator (default 1e-8). */
  readonly eps: number;
  /** Shrinks the weight apart from the gradient, instead of an L2 penalty. */
  readonly decoupledWeightDecay: boolean;
}

export const radamRule: UpdateRule<RAdamSettings> = {
  name: 'RAdam',
  defaults: {
    lr: 1e-3,
    betas: [0.9, 0.999],
    eps: 1e-8,
    weightDecay: 0,
    decoupledWeightDecay: false,
    maximize: false,
  },
  check({ betas, eps }) {
    checkBetas('RAdam', betas);
    checkRange('RAdam', 'betas[1]', betas[1], 2 ** -24, 1);
    checkRange('RAdam', 'eps', eps, 0);
  },
  state: (_settings, shape) => zerosLike(shape, 'exp_avg', 'exp_avg_sq'),
  momentum: ({ betas }) => betas[0],
  counts: () => true,
  begin({ betas, eps, decoupledWeightDecay }, { lr, step, momentum: beta1 }) {
    const beta2 = betas[1];
    const stepSize = lr.div(biasCorrection(beta1, step));
    const root = biasCorrection(beta2, step).sqrt();
    const { length, longest } = averageLength(beta2, step);
    const rectified = length.gt(5);
    // Where it is not rectified the root may be of a negative number, but is not chosen.
    const rectification = length
      .sub(4)
      .mul(length.sub(2))
      .mul(longest)
      .div(length.mul((longest - 4) * (longest - 2)))
      .sqrt();
    return (at) => {
      const g = decoupledWeightDecay ? at.g : penalised(at);
      const m = average(at.get('exp_avg'), g, beta1);
      const v = average(at.get('exp_avg_sq'), g.mul(g), beta2);
      at.set('exp_avg', m);
      at.set('exp_avg_sq', v);
      const adaptive = root.div(v.sqrt().add(eps)).mul(rectification);
      const p = decoupledWeightDecay ? shrunk(at, lr) : at.p;
      return p.sub(stepSize.mul(m).mul(rectified.where(adaptive, 1)));
    };
  },
};

/**
 * Length of the moving average that approximates the exponential one after t steps,
 * longest - 2 t b^t / (1 - b^t) with longest = 2 / (1 - b) - 1. As written this is the small
 * difference of two large numbers. With u = -t log b it equals
 * constant + t (1 - 2 (1 / (e^u - 1) - 1 / u + 1 / 2)), where nothing large is left.
 */
function averageLength(beta: number, step: Tensor): { length: Tensor; longest: number } {
  const longest = 2 / (1 - beta) - 1;
  const constant = longest + 2 / Math.log(beta);
  const u = step.mul(-Math.log(beta));
  const square = u.mul(u);
  const series = square
    .mul(1 / 30240)
    .sub(1 / 720)
    .mul(square)
    .add(1 / 12)
    .mul(u);
  const direct = u.expm1().reciprocal().sub(u.reciprocal()).add(0.5);
  const bend = u.lt(0.5).where(series, direct);
  return { length: step.mul(bend.mul(-2).add(1)).add(constant), longest };
}

/** Adam whose rate is rectified while few gradients have been seen (Liu et al. 2020). */
export class RAdam extends RuleOptimizer<RAdamSettings> {
  constructor(
    parameters: ReadonlyMap<string, Parameter>,
    options: OptimizerOptions<RAdamSettings> = {},
  ) {
    super(radamRule, parameters, options);
  }
}
