import { badArgument } from '../../base/errors.ts';
import { formatShape, shapesEqual } from '../../ir/shape.ts';
import { wide } from '../autocast.ts';
import type { Tensor } from '../tensor.ts';
import { logSigmoid } from './activations.ts';
import { asLabels, checkedLabels, classesOf, isLabel, pick } from './labels.ts';
import type { LossOptions } from './losses.ts';
import { reduceLoss } from './reduction.ts';

export interface MarginOptions extends LossOptions {
  readonly margin?: number;
}

/** max(0, margin - t x) for targets of 1 and -1: the loss of support vector machines. */
export function hingeLoss(
  input: Tensor,
  target: Tensor,
  { reduction = 'mean', margin = 1 }: MarginOptions = {},
): Tensor {
  return reduceLoss('hingeLoss', target.mul(wide(input)).neg().add(margin).relu(), reduction);
}

/**
 * Of distances x: x where the target is 1, max(0, margin - x) where it is -1
 * (torch.nn.functional.hinge_embedding_loss).
 */
export function hingeEmbeddingLoss(
  input: Tensor,
  target: Tensor,
  { reduction = 'mean', margin = 1 }: MarginOptions = {},
): Tensor {
  const x = wide(input);
  const loss = target.eq(1).where(x, x.neg().add(margin).relu());
  return reduceLoss('hingeEmbeddingLoss', loss, reduction);
}

/**
 * max(0, -t (x1 - x2) + margin): x1 is to be the larger one where t is 1, the smaller one where it is
 * -1 (torch.nn.functional.margin_ranking_loss).
 */
export function marginRankingLoss(
  input1: Tensor,
  input2: Tensor,
  target: Tensor,
  { reduction = 'mean', margin = 0 }: MarginOptions = {},
): Tensor {
  const loss = target.neg().mul(wide(input1).sub(input2)).add(margin).relu();
  return reduceLoss('marginRankingLoss', loss, reduction);
}

/** log(1 + e^(-t x)) for targets of 1 and -1 (torch.nn.functional.soft_margin_loss). */
export function softMarginLoss(
  input: Tensor,
  target: Tensor,
  { reduction = 'mean' }: LossOptions = {},
): Tensor {
  return reduceLoss('softMarginLoss', logSigmoid(target.mul(wide(input))).neg(), reduction);
}

/**
 * The sum over the wrong classes of max(0, margin - x[label] + x)^p / classes
 * (torch.nn.functional.multi_margin_loss).
 *
 * @param input scores [n, classes]
 * @param target labels of i32 [n]
 * @throws RangeError (when it runs) for a label out of range
 */
export function multiMarginLoss(
  input: Tensor,
  target: Tensor,
  { reduction = 'mean', margin = 1, p = 1 }: MarginOptions & { readonly p?: 1 | 2 } = {},
): Tensor {
  if (p !== 1 && p !== 2) throw badArgument('multiMarginLoss', 'p', p, '1 or 2');
  if (input.rank !== 2 || !shapesEqual(target.shape, input.shape.slice(0, 1))) {
    const got = `${formatShape(input.shape)} and ${formatShape(target.shape)}`;
    throw new TypeError(`multiMarginLoss: operands are ${got}; expected [n, classes] and [n]`);
  }
  const classes = classesOf(input, 1);
  const labels = checkedLabels(asLabels('multiMarginLoss', 'target', target), classes);
  const holds = isLabel(labels, 1, classes);
  const right = pick(input, holds, 1).unsqueeze(1);
  const over = wide(input).sub(right).add(margin).relu();
  const loss = holds
    .where(0, p === 1 ? over : over.square())
    .sum(1)
    .div(classes);
  return reduceLoss('multiMarginLoss', loss, reduction);
}

/**
 * The cosine of the angle between vectors along an axis, which goes; norms count as at least `eps`
 * (torch.nn.functional.cosine_similarity). Shapes broadcast.
 */
export function cosineSimilarity(
  x: Tensor,
  y: Tensor,
  { axis = 1, eps = 1e-8 }: { readonly axis?: number; readonly eps?: number } = {},
): Tensor {
  const product = wide(x).mul(y);
  // The root of at least eps^2 is finite in its gradient, too.
  const norm = (v: Tensor) =>
    wide(v)
      .expand(product.shape)
      .square()
      .sum(axis)
      .maximum(eps * eps)
      .sqrt();
  return product.sum(axis).div(norm(x).mul(norm(y)));
}

/**
 * Of pairs of vectors [n, d] or [d]: 1 - cos where the target is 1, max(0, cos - margin) where it is
 * -1 (torch.nn.functional.cosine_embedding_loss).
 *
 * @param target [n] or []
 */
export function cosineEmbeddingLoss(
  input1: Tensor,
  input2: Tensor,
  target: Tensor,
  { reduction = 'mean', margin = 0 }: MarginOptions = {},
): Tensor {
  const cos = cosineSimilarity(input1, input2, { axis: -1, eps: 1e-6 });
  const loss = target.eq(1).where(cos.neg().add(1), cos.sub(margin).relu());
  return reduceLoss('cosineEmbeddingLoss', loss, reduction);
}

/**
 * The p-norm of x - y + eps along the last axis, which goes (torch.nn.functional.pairwise_distance).
 */
export function pairwiseDistance(
  x: Tensor,
  y: Tensor,
  { p = 2, eps = 1e-6 }: { readonly p?: 1 | 2; readonly eps?: number } = {},
): Tensor {
  if (p !== 1 && p !== 2) throw badArgument('pairwiseDistance', 'p', p, '1 or 2');
  return wide(x).sub(y).add(eps).norm(p, -1);
}

/**
 * max(0, d(anchor, positive) - d(anchor, negative) + margin) (Balntas et al. 2016;
 * torch.nn.functional.triplet_margin_loss).
 *
 * @param anchor [..., d], like the others
 * @param options `swap`: the negative's distance to the positive counts where it is smaller
 */
export function tripletMarginLoss(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  {
    reduction = 'mean',
    margin = 1,
    p = 2,
    swap = false,
  }: MarginOptions & { readonly p?: 1 | 2; readonly swap?: boolean } = {},
): Tensor {
  const distance = (x: Tensor, y: Tensor) => pairwiseDistance(x, y, { p });
  const far = distance(anchor, negative);
  const farthest = swap ? far.minimum(distance(positive, negative)) : far;
  const loss = distance(anchor, positive).sub(farthest).add(margin).relu();
  return reduceLoss('tripletMarginLoss', loss, reduction);
}
