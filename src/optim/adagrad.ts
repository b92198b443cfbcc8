import type { Parameter } from '../tensor/index.ts';
import { penalised, type UpdateRule } from './rule.ts';
import { type OptimizerOptions, RuleOptimizer } from './rule-optimizer.ts';
import { type CommonSettings, checkRange } from './settings.ts';

export interface AdagradSettings extends CommonSettings {
  /** The rate of step t is lr / (1 + (t - 1) lrDecay) (default 0). */
  readonly lrDecay: number;
  /** Where the sums of squares start (default 0). */
  readonly initialAccumulatorValue: number;
  /** Added to the denominator (default 1e-10). */
  readonly eps: number;
}

export const adagradRule: UpdateRule<AdagradSettings> = {
  name: 'Adagrad',
  defaults: {
    lr: 1e-2,
    lrDecay: 0,
    weightDecay: 0,
    initialAccumulatorValue: 0,
    eps: 1e-10,
    maximize: false,
  },
  check({ lrDecay, initialAccumulatorValue, eps }) {
    for (const [name, value] of Object.entries({ lrDecay, initialAccumulatorValue, eps })) {
      checkRange('Adagrad', name, value, 0);
    }
  },
  state: ({ initialAccumulatorValue: value }, shape) => ({ sum: { shape, value } }),
  counts: ({ lrDecay }) => lrDecay !== 0,
  begin({ lrDecay, eps }, scalars) {
    const { lr } = scalars;
    const rate = lrDecay === 0 ? lr : lr.div(scalars.step.sub(1).mul(lrDecay).add(1));
    return (at) => {
      const g = penalised(at);
      const sum = at.get('sum').add(g.mul(g));
      at.set('sum', sum);
      return at.p.sub(rate.mul(g).div(sum.sqrt().add(eps)));
    };
  },
};

/** The gradient over the root of the sum of its squares so far (Duchi et al. 2011). */
export class Adagrad extends RuleOptimizer<AdagradSettings> {
  constructor(
    parameters: ReadonlyMap<string, Parameter>,
    options: OptimizerOptions<AdagradSettings> = {},
  ) {
    super(adagradRule, parameters, options);
  }
}
