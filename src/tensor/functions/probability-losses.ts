import { badArgument } from '../../base/errors.ts';
import { wide } from '../autocast.ts';
import { customGradient } from '../custom-gradient.ts';
import type { Tensor } from '../tensor.ts';
import type { LossOptions } from './losses.ts';
import { reduceLoss } from './reduction.ts';

/**
 * -(t log p + (1 - t) log(1 - p)), logarithms at least -100 (torch.nn.functional.binary_cross_entropy).
 * Of what comes out of a sigmoid `bceWithLogits` is more exact. Where p is 0 or 1 the gradient of the
 * infinite logarithm is 0.
 *
 * @param input probabilities p
 * @param target t, of the same shape, in 0 .. 1
 * @param options `weight` multiplies each element's loss, and broadcasts
 */
export function binaryCrossEntropy(
  input: Tensor,
  target: Tensor,
  { reduction = 'mean', weight }: LossOptions & { readonly weight?: Tensor } = {},
): Tensor {
  const [p, t] = [wide(input), wide(target)];
  const positives = t.mul(boundedLog(p));
  const negatives = t
    .neg()
    .add(1)
    .mul(boundedLog(p.neg().add(1)));
  const loss = positives.add(negatives).neg();
  return reduceLoss('binaryCrossEntropy', weight ? loss.mul(weight) : loss, reduction);
}

function boundedLog(p: Tensor): Tensor {
  const positive = p.gt(0);
  // The branch that is not taken must be finite, its gradient too.
  return positive.where(positive.where(p, 1).log().maximum(-100), -100);
}

/**
 * Minus the log-likelihood of normal targets: (log v + (x - t)^2 / v) / 2
 * (torch.nn.functional.gaussian_nll_loss).
 *
 * @param variance v >= 0, of x's shape or broadcasting; counted as at least `eps`, whose gradient is
 *   that of the value itself
 * @param options `full` adds log(2 pi) / 2
 */
export function gaussianNllLoss(
  input: Tensor,
  target: Tensor,
  variance: Tensor,
  {
    reduction = 'mean',
    full = false,
    eps = 1e-6,
  }: LossOptions & { readonly full?: boolean; readonly eps?: number } = {},
): Tensor {
  if (!(eps > 0)) throw badArgument('gaussianNllLoss', 'eps', eps, 'a number > 0');
  const atLeast = customGradient(
    (v: Tensor) => v.maximum(eps),
    (upstream) => upstream,
  )(wide(variance));
  const loss = atLeast.log().add(wide(input).sub(target).square().div(atLeast)).mul(0.5);
  const constant = full ? 0.5 * Math.log(2 * Math.PI) : 0;
  return reduceLoss('gaussianNllLoss', loss.add(constant), reduction);
}

/**
 * Minus the log-likelihood of counts with rate e^x: e^x - t x (torch.nn.functional.poisson_nll_loss).
 *
 * @param options `logInput` false: x is the rate itself, x - t log(x + eps); `full` adds Stirling's
 *   approximation of log(t!) for t > 1
 */
export function poissonNllLoss(
  input: Tensor,
  target: Tensor,
  {
    reduction = 'mean',
    logInput = true,
    full = false,
    eps = 1e-8,
  }: LossOptions & {
    readonly logInput?: boolean;
    readonly full?: boolean;
    readonly eps?: number;
  } = {},
): Tensor {
  const x = wide(input);
  const loss = logInput ? x.exp().sub(target.mul(x)) : x.sub(target.mul(x.add(eps).log()));
  return reduceLoss('poissonNllLoss', full ? loss.add(logFactorial(target)) : loss, reduction);
}

/** Stirling's t log t - t + log(2 pi t) / 2 above 1, 0 else. */
function logFactorial(t: Tensor): Tensor {
  const large = t.gt(1);
  const safe = large.where(wide(t), 1);
  const log = safe.log();
  const sum = safe
    .mul(log)
    .sub(safe)
    .add(log.add(Math.log(2 * Math.PI)).mul(0.5));
  return large.where(sum, 0);
}
