import type { Parameter, Tensor } from '../tensor/index.ts';
import { type ParameterStep, type StateSpec, shrunk, type UpdateRule, zerosLike } from './rule.ts';
import { type OptimizerOptions, RuleOptimizer } from './rule-optimizer.ts';
import { type CommonSettings, checkRange } from './settings.ts';

export interface AdafactorSettings extends CommonSettings {
  /** The second moments of step t forget t^beta2Decay (default -0.8). */
  readonly beta2Decay: number;
  /** Least root of a second moment, and least size of a parameter (default 2^-23, 1e-3). */
  readonly eps: readonly [number, number];
  /** Largest root mean square of an update before the rate (default 1). */
  readonly d: number;
}

export const adafactorRule: UpdateRule<AdafactorSettings> = {
  name: 'Adafactor',
  defaults: {
    lr: 1e-2,
    beta2Decay: -0.8,
    eps: [2 ** -23, 1e-3],
    d: 1,
    weightDecay: 0,
    maximize: false,
  },
  check({ beta2Decay, eps, d }) {
    checkRange('Adafactor', 'beta2Decay', beta2Decay, Number.NEGATIVE_INFINITY, 0);
    eps.forEach((value, i) => {
      checkRange('Adafactor', `eps[${i}]`, value, 0);
    });
    checkRange('Adafactor', 'd', d, 1);
  },
  state(_settings, shape): Record<string, StateSpec> {
    if (shape.length < 2) return zerosLike(shape, 'variance');
    return {
      row_var: { shape: [...shape.slice(0, -1), 1], value: 0 },
      col_var: { shape: [...shape.slice(0, -2), 1, ...shape.slice(-1)], value: 0 },
    };
  },
  counts: () => true,
  begin({ beta2Decay, eps, d }, { lr, step }) {
    const fresh = step.log().mul(beta2Decay).exp();
    const rate = lr.minimum(step.rsqrt());
    return (at) => {
      const alpha = rootMeanSquare(at.p).maximum(eps[1]).mul(rate);
      const variance = (at.g.rank < 2 ? ownVariance : factoredVariance)(at, fresh, eps[0]);
      const update = variance
        .maximum(eps[0] * eps[0])
        .rsqrt()
        .mul(at.g);
      const denominator = rootMeanSquare(update).div(d).maximum(1);
      return shrunk(at, lr).sub(update.mul(alpha.div(denominator)));
    };
  },
};

function rootMeanSquare(x: Tensor): Tensor {
  return x.mul(x).mean().sqrt();
}

/** The second moments of a vector. */
function ownVariance(at: ParameterStep, fresh: Tensor): Tensor {
  const old = at.get('variance');
  const variance = old.add(at.g.mul(at.g).sub(old).mul(fresh));
  at.set('variance', variance);
  return variance;
}

/** The second moments of a matrix as the product of those of its rows and columns. */
function factoredVariance(at: ParameterStep, fresh: Tensor, least: number): Tensor {
  const square = at.g.mul(at.g);
  const blend = (key: string, axis: number): Tensor => {
    const old = at.get(key);
    const made = old.add(square.mean(axis, true).sub(old).mul(fresh));
    at.set(key, made);
    return made;
  };
  const rows = blend('row_var', -1);
  const columns = blend('col_var', -2);
  return rows.mul(columns).div(rows.mean(-2, true).maximum(least));
}

/**
 * Adafactor (Shazeer and Stern 2018) as PyTorch has it: second moments of matrices are kept as rows
 * and columns, the rate is relative to the parameter's size.
 */
export class Adafactor extends RuleOptimizer<AdafactorSettings> {
  constructor(
    parameters: ReadonlyMap<string, Parameter>,
    options: OptimizerOptions<AdafactorSettings> = {},
  ) {
    super(adafactorRule, parameters, options);
  }
}
