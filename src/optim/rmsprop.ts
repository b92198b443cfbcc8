import type { Parameter } from '../tensor/index.ts';
import { average, penalised, type UpdateRule, zerosLike } from './rule.ts';
import { type OptimizerOptions, RuleOptimizer } from './rule-optimizer.ts';
import { type CommonSettings, checkDecay, checkRange } from './settings.ts';

export interface RMSpropSettings extends CommonSettings {
  /** Decay of the mean square (default 0.99). */
  readonly alpha: number;
  /** Added to the denominator (default 1e-8). */
  readonly eps: number;
  /** Share of the last direction that is kept (default 0: none is stored). */
  readonly momentum: number;
  /** Divides by the deviation from the mean instead of the root mean square (Graves 2013). */
  readonly centered: boolean;
}

export const rmspropRule: UpdateRule<RMSpropSettings> = {
  name: 'RMSprop',
  defaults: {
    lr: 1e-2,
    alpha: 0.99,
    eps: 1e-8,
    weightDecay: 0,
    momentum: 0,
    centered: false,
    maximize: false,
  },
  check({ alpha, eps, momentum }) {
    checkDecay('RMSprop', 'alpha', alpha);
    checkRange('RMSprop', 'eps', eps, 0);
    checkDecay('RMSprop', 'momentum', momentum);
  },
  state: ({ momentum, centered }, shape) => ({
    ...zerosLike(shape, 'square_avg'),
    ...(centered && zerosLike(shape, 'grad_avg')),
    ...(momentum !== 0 && zerosLike(shape, 'momentum_buffer')),
  }),
  momentum: ({ momentum }) => (momentum === 0 ? undefined : momentum),
  counts: () => false,
  begin(settings, scalars) {
    const { alpha, eps, centered } = settings;
    const { lr } = scalars;
    const momentum = settings.momentum === 0 ? undefined : scalars.momentum;
    return (at) => {
      const g = penalised(at);
      const square = average(at.get('square_avg'), g.mul(g), alpha);
      at.set('square_avg', square);
      let variance = square;
      if (centered) {
        const mean = average(at.get('grad_avg'), g, alpha);
        at.set('grad_avg', mean);
        variance = square.sub(mean.mul(mean));
      }
      const direction = g.div(variance.sqrt().add(eps));
      if (!momentum) return at.p.sub(direction.mul(lr));
      const buffer = at.get('momentum_buffer').mul(momentum).add(direction);
      at.set('momentum_buffer', buffer);
      return at.p.sub(buffer.mul(lr));
    };
  },
};

/** The gradient over its root mean square (Hinton 2012, lecture 6e), as PyTorch has it. */
export class RMSprop extends RuleOptimizer<RMSpropSettings> {
  constructor(
    parameters: ReadonlyMap<string, Parameter>,
    options: OptimizerOptions<RMSpropSettings> = {},
  ) {
    super(rmspropRule, parameters, options);
  }
}
