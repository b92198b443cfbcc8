import { badArgument } from '../../base/errors.ts';
import type { Tensor } from '../tensor.ts';

/** What becomes of a loss's elements. */
export type Reduction = 'mean' | 'sum' | 'none';

/** @internal Joins the elements of a loss. */
export function reduceLoss(where: string, x: Tensor, reduction: Reduction): Tensor {
  switch (reduction) {
    case 'mean':
      return x.mean();
    case 'sum':
      return x.sum();
    case 'none':
      return x;
    default:
      throw badReduction(where, reduction satisfies never);
  }
}

/** @internal */
export function badReduction(where: string, reduction: unknown): Error {
  return badArgument(where, 'reduction', reduction, 'mean, sum or none');
}
