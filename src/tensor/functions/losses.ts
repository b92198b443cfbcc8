import { badArgument } from '../../base/errors.ts';
import { wide } from '../autocast.ts';
import type { Tensor } from '../tensor.ts';
import { logSigmoid } from './activations.ts';
import { type Reduction, reduceLoss } from './reduction.ts';

export interface LossOptions {
  readonly reduction?: Reduction;
}

/** (input - target)^2; shapes broadcast (torch.nn.functional.mse_loss). */
export function mseLoss(
  input: Tensor,
  target: Tensor,
  { reduction = 'mean' }: LossOptions = {},
): Tensor {
  return reduceLoss('mseLoss', wide(input).sub(target).square(), reduction);
}

/** |input - target| (torch.nn.functional.l1_loss). */
export function l1Loss(
  input: Tensor,
  target: Tensor,
  { reduction = 'mean' }: LossOptions = {},
): Tensor {
  return reduceLoss('l1Loss', wide(input).sub(target).abs(), reduction);
}

/**
 * With d = input - target: d^2 / (2 beta) where |d| < beta, else |d| - beta / 2 (Girshick 2015).
 * A beta of 0 gives l1Loss.
 */
export function smoothL1Loss(
  input: Tensor,
  target: Tensor,
  { reduction = 'mean', beta = 1 }: LossOptions & { readonly beta?: number } = {},
): Tensor {
  if (!(beta >= 0)) throw badArgument('smoothL1Loss', 'beta', beta, 'a number >= 0');
  if (beta === 0) return l1Loss(input, target, { reduction });
  const d = wide(input).sub(target);
  const size = d.abs();
  const loss = size.lt(beta).where(d.square().mul(0.5 / beta), size.sub(0.5 * beta));
  return reduceLoss('smoothL1Loss', loss, reduction);
}

/**
 * With d = input - target: d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2) (Huber 1964).
 */
export function huberLoss(
  input: Tensor,
  target: Tensor,
  { reduction = 'mean', delta = 1 }: LossOptions & { readonly delta?: number } = {},
): Tensor {
  if (!(delta > 0)) throw badArgument('huberLoss', 'delta', delta, 'a number > 0');
  const d = wide(input).sub(target);
  const size = d.abs();
  const loss = size.le(delta).where(d.square().mul(0.5), size.sub(0.5 * delta).mul(delta));
  return reduceLoss('huberLoss', loss, reduction);
}

/**
 * Binary cross entropy of sigmoid(logits), without overflow
 * (torch.nn.functional.binary_cross_entropy_with_logits).
 *
 * @param target probabilities of the shape of the logits
 * @param options `weight` multiplies each element's loss, `posWeight` the part of the positives;
 *   both broadcast
 */
export function bceWithLogits(
  logits: Tensor,
  target: Tensor,
  {
    reduction = 'mean',
    weight,
    posWeight,
  }: LossOptions & { readonly weight?: Tensor; readonly posWeight?: Tensor } = {},
): Tensor {
  const negative = logSigmoid(logits).neg();
  const t = wide(target);
  const positives = posWeight ? negative.mul(t.mul(posWeight.sub(1)).add(1)) : negative;
  // -log(1 - sigmoid(x)) = x - log sigmoid(x)
  const loss = wide(logits).mul(t.neg().add(1)).add(positives);
  return reduceLoss('bceWithLogits', weight ? loss.mul(weight) : loss, reduction);
}

/**
 * The divergence sum p (log p - log q) (torch.nn.functional.kl_div).
 *
 * @param input log q
 * @param target p, or log p with `logTarget`
 * @param options `batchmean` divides the sum by the first dimension, `mean` by the elements
 */
export function klDiv(
  input: Tensor,
  target: Tensor,
  {
    reduction = 'mean',
    logTarget = false,
  }: { readonly reduction?: Reduction | 'batchmean'; readonly logTarget?: boolean } = {},
): Tensor {
  const loss = logTarget
    ? target.exp().mul(wide(target).sub(input))
    : timesLog(target).sub(wide(target).mul(input));
  if (reduction !== 'batchmean') return reduceLoss('klDiv', loss, reduction);
  const [batch] = loss.shape;
  if (typeof batch !== 'number') {
    throw badArgument('klDiv', 'reduction', reduction, 'an input with a static first axis');
  }
  return loss.sum().div(batch);
}

/** p log p, 0 where p is. */
function timesLog(p: Tensor): Tensor {
  // The 1 is for the gradient: the logarithm of 0 would come back as 0 times infinity.
  return wide(p).mul(p.eq(0).where(1, p).log());
}
