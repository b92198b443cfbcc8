import { badArgument } from '../../base/errors.ts';
import { isFloat } from '../../ir/dtype.ts';
import { formatShape, shapesEqual } from '../../ir/shape.ts';
import { wide } from '../autocast.ts';
import type { Tensor } from '../tensor.ts';
import { asLabels, checkedLabels, classesOf, isLabel, pick } from './labels.ts';
import { badReduction, type Reduction, reduceLoss } from './reduction.ts';

export interface ClassLossOptions {
  /** A weight for each class, [classes]; no gradient flows to it. */
  readonly weight?: Tensor;
  /** Targets of this value count nothing (default -100). */
  readonly ignoreIndex?: number;
  readonly reduction?: Reduction;
}

export interface CrossEntropyOptions extends ClassLossOptions {
  /** This much of each target is spread evenly over all classes (Szegedy et al. 2015). */
  readonly labelSmoothing?: number;
}

/**
 * Cross entropy of softmax(logits) (torch.nn.functional.cross_entropy).
 *
 * @param logits [n, classes, ...] or [classes]
 * @param target labels of i32 [n, ...] or [], or probabilities of the shape of the logits
 * @returns a scalar, or the losses [n, ...] with reduction `none`; `mean` divides by the number
 *   (the weight) of targets that are not ignored
 * @throws RangeError (when it runs) for a label out of range that is not `ignoreIndex`
 */
export function crossEntropy(
  logits: Tensor,
  target: Tensor,
  options: CrossEntropyOptions = {},
): Tensor {
  const { labelSmoothing = 0 } = options;
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    throw badArgument('crossEntropy', 'labelSmoothing', labelSmoothing, 'a number from 0 to 1');
  }
  const axis = classAxis('crossEntropy', logits);
  const x = widened(logits);
  if (isFloat(target.dtype)) return softCrossEntropy(x, target, axis, options);
  const labels = labelled('crossEntropy', x, target, axis, options);
  const total = x.logsumexp(axis);
  let losses = labels.weigh(total.sub(pick(x, labels.holds, axis)));
  if (labelSmoothing > 0) {
    const even = spread(x, total, axis, options.weight);
    losses = losses.mul(1 - labelSmoothing).add(even.mul(labelSmoothing));
  }
  return labels.reduce(losses);
}

/** The mean over the classes of -log softmax(x), weighted where there are weights. */
function spread(x: Tensor, total: Tensor, axis: number, weight: Tensor | undefined): Tensor {
  if (!weight) return total.sub(x.mean(axis));
  const losses = total
    .unsqueeze(axis)
    .sub(x)
    .mul(alongClasses(weight, x, axis));
  return losses.mean(axis);
}

function softCrossEntropy(
  x: Tensor,
  target: Tensor,
  axis: number,
  { weight, reduction = 'mean', labelSmoothing = 0 }: CrossEntropyOptions,
): Tensor {
  if (!shapesEqual(target.shape, x.shape)) {
    throw new TypeError(
      `crossEntropy: target is ${formatShape(target.shape)}; expected labels, or ` +
        `probabilities of shape ${formatShape(x.shape)}`,
    );
  }
  const classes = classesOf(x, axis);
  const p = labelSmoothing > 0 ? smoothed(target, labelSmoothing, classes) : target;
  const surprise = x.logsumexp(axis, true).sub(x);
  const weighted = weight ? surprise.mul(alongClasses(weight, x, axis)) : surprise;
  const losses = weighted.mul(p).sum(axis);
  return reduceLoss('crossEntropy', losses, reduction);
}

function smoothed(target: Tensor, amount: number, classes: number): Tensor {
  return target.mul(1 - amount).add(amount / classes);
}

/**
 * Minus the log-probability of each target (torch.nn.functional.nll_loss).
 *
 * @param logProbabilities [n, classes, ...] or [classes]
 * @param target labels of i32 [n, ...] or []
 * @throws RangeError (when it runs) for a label out of range that is not `ignoreIndex`
 */
export function nllLoss(
  logProbabilities: Tensor,
  target: Tensor,
  options: ClassLossOptions = {},
): Tensor {
  const axis = classAxis('nllLoss', logProbabilities);
  const labels = labelled('nllLoss', logProbabilities, target, axis, options);
  return labels.reduce(labels.weigh(pick(wide(logProbabilities), labels.holds, axis).neg()));
}

function classAxis(where: string, x: Tensor): number {
  if (x.rank === 0 || !isFloat(x.dtype)) {
    throw new TypeError(
      `${where}: logits are ${x.dtype}${formatShape(x.shape)}; expected floats [n, classes, ...]`,
    );
  }
  return x.rank === 1 ? 0 : 1;
}

/** Losses are sums over many classes: 16-bit floats are too coarse for them. */
function widened(x: Tensor): Tensor {
  return x.dtype === 'f64' ? x : x.cast('f32');
}

function alongClasses(weight: Tensor, x: Tensor, axis: number): Tensor {
  const classes = x.shape[axis];
  if (!shapesEqual(weight.shape, [classes])) {
    const got = formatShape(weight.shape);
    throw new TypeError(`crossEntropy: weight is ${got}; expected ${formatShape([classes])}`);
  }
  return weight.detach().reshape(x.shape.map((d, i) => (i === axis ? d : 1)));
}

/** What labels say of the classes: which one holds, and how much a sample counts. */
interface Labels {
  readonly holds: Tensor;
  /** Losses [n, ...] times the weight of their class. */
  weigh(losses: Tensor): Tensor;
  /** Leaves out what is ignored, and reduces. */
  reduce(losses: Tensor): Tensor;
}

function labelled(
  where: string,
  x: Tensor,
  target: Tensor,
  axis: number,
  { weight, ignoreIndex = -100, reduction = 'mean' }: ClassLossOptions,
): Labels {
  const expected = x.shape.filter((_, i) => i !== axis);
  if (!shapesEqual(target.shape, expected)) {
    throw new TypeError(
      `${where}: target is ${formatShape(target.shape)}; expected ${formatShape(expected)}`,
    );
  }
  const given = asLabels(where, 'target', target);
  const counts = given.ne(ignoreIndex);
  const classes = classesOf(x, axis);
  const labels = checkedLabels(counts.where(given, 0), classes);
  const holds = isLabel(labels, axis, classes);
  const weights = weight && pick(alongClasses(weight, x, axis), holds, axis);
  return {
    holds,
    weigh: (losses) => (weights ? losses.mul(weights) : losses),
    reduce: (losses) => {
      const kept = counts.where(losses, 0);
      if (reduction === 'none') return kept;
      if (reduction === 'sum') return kept.sum();
      if (reduction !== 'mean') throw badReduction(where, reduction);
      return kept.sum().div(
        counts
          .where(weights ?? 1, 0)
          .cast(kept.dtype)
          .sum(),
      );
    },
  };
}
