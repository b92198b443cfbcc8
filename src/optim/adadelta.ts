import type { Parameter } from '../tensor/index.ts';
import { average, penalised, type UpdateRule, zerosLike } from './rule.ts';
import { type OptimizerOptions, RuleOptimizer } from './rule-optimizer.ts';
import { type CommonSettings, checkDecay, checkRange } from './settings.ts';

export interface AdadeltaSettings extends CommonSettings {
  /** Decay of the mean squares of gradients and of updates (default 0.9). */
  readonly rho: number;
  /** Added under both roots (default 1e-6). */
  readonly eps: number;
}

export const adadeltaRule: UpdateRule<AdadeltaSettings> = {
  name: 'Adadelta',
  defaults: { lr: 1, rho: 0.9, eps: 1e-6, weightDecay: 0, maximize: false },
  check({ rho, eps }) {
    checkDecay('Adadelta', 'rho', rho);
    checkRange('Adadelta', 'eps', eps, 0);
  },
  state: (_settings, shape) => zerosLike(shape, 'square_avg', 'acc_delta'),
  counts: () => false,
  begin({ rho, eps }, { lr }) {
    return (at) => {
      const g = penalised(at);
      const square = average(at.get('square_avg'), g.mul(g), rho);
      const updates = at.get('acc_delta');
      const delta = updates.add(eps).sqrt().div(square.add(eps).sqrt()).mul(g);
      at.set('square_avg', square);
      at.set('acc_delta', average(updates, delta.mul(delta), rho));
      return at.p.sub(delta.mul(lr));
    };
  },
};

/** Steps in the units of the parameter: no rate has to be chosen (Zeiler 2012). */
export class Adadelta extends RuleOptimizer<AdadeltaSettings> {
  constructor(
    parameters: ReadonlyMap<string, Parameter>,
    options: OptimizerOptions<AdadeltaSettings> = {},
  ) {
    super(adadeltaRule, parameters, options);
  }
}
