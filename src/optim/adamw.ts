import type { Parameter } from '../tensor/index.ts';
import { type AdamSettings, adamRule } from './adam.ts';
import type { UpdateRule } from './rule.ts';
import { type OptimizerOptions, RuleOptimizer } from './rule-optimizer.ts';

export type AdamWOptions = OptimizerOptions<AdamSettings>;

export const adamWRule: UpdateRule<AdamSettings> = adamRule('AdamW', 0.01, true);

/**
 * AdamW (Loshchilov and Hutter 2019), with PyTorch's defaults and order of operations: the decay
 * multiplies the parameter by 1 - lr weightDecay, then the step is subtracted. All parameters decay,
 * as in PyTorch; `decays: 'matrices'` spares biases and the scales of norms.
 */
export class AdamW extends RuleOptimizer<AdamSettings> {
  constructor(parameters: ReadonlyMap<string, Parameter>, options: AdamWOptions = {}) {
    super(adamWRule, parameters, options);
  }
}
