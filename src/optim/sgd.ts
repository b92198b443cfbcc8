import { badArgument } from '../base/errors.ts';
import type { Parameter } from '../tensor/index.ts';
import { penalised, type UpdateRule, zerosLike } from './rule.ts';
import { type OptimizerOptions, RuleOptimizer } from './rule-optimizer.ts';
import { type CommonSettings, checkDecay, checkRange } from './settings.ts';

export interface SGDSettings extends CommonSettings {
  /** Share of the last direction that is kept (default 0: none is stored). */
  readonly momentum: number;
  /** Takes so much off the gradient's share of the direction (default 0). */
  readonly dampening: number;
  /** Looks one step ahead (Nesterov 1983). */
  readonly nesterov: boolean;
}

export const sgdRule: UpdateRule<SGDSettings> = {
  name: 'SGD',
  defaults: {
    lr: 1e-3,
    momentum: 0,
    dampening: 0,
    weightDecay: 0,
    nesterov: false,
    maximize: false,
  },
  check({ momentum, dampening, nesterov }) {
    checkDecay('SGD', 'momentum', momentum);
    checkRange('SGD', 'dampening', dampening, 0, 1);
    if (nesterov && (momentum === 0 || dampening !== 0)) {
      throw badArgument('SGD', 'nesterov', nesterov, 'a momentum above 0 and no dampening with it');
    }
  },
  state: ({ momentum }, shape) => (momentum === 0 ? {} : zerosLike(shape, 'momentum_buffer')),
  momentum: ({ momentum }) => (momentum === 0 ? undefined : momentum),
  // The first direction is the whole gradient: without dampening a start from 0 says the same.
  counts: ({ momentum, dampening }) => momentum !== 0 && dampening !== 0,
  begin(settings, scalars) {
    const { lr } = scalars;
    const { dampening, nesterov } = settings;
    if (settings.momentum === 0) return (at) => at.p.sub(penalised(at).mul(lr));
    const { momentum } = scalars;
    const share = dampening === 0 ? undefined : scalars.step.eq(1).where(1, 1 - dampening);
    return (at) => {
      const g = penalised(at);
      const buffer = at
        .get('momentum_buffer')
        .mul(momentum)
        .add(share ? g.mul(share) : g);
      at.set('momentum_buffer', buffer);
      return at.p.sub((nesterov ? g.add(buffer.mul(momentum)) : buffer).mul(lr));
    };
  },
};

/** Stochastic gradient descent, with momentum as PyTorch has it: the rate multiplies the buffer. */
export class SGD extends RuleOptimizer<SGDSettings> {
  constructor(
    parameters: ReadonlyMap<string, Parameter>,
    options: OptimizerOptions<SGDSettings> = {},
  ) {
    super(sgdRule, parameters, options);
  }
}
