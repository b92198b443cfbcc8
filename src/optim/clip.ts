import { badArgument } from '../base/errors.ts';
import type { Tensor } from '../tensor/index.ts';

/** The 2-norm over all gradients together, a scalar tensor. */
export function globalNorm(grads: ReadonlyMap<string, Tensor>): Tensor {
  let total: Tensor | undefined;
  for (const g of grads.values()) {
    const square = g.mul(g).sum();
    total = total ? total.add(square) : square;
  }
  if (!total) throw badArgument('globalNorm', 'grads', grads, 'at least one gradient');
  return total.sqrt();
}

/**
 * Scales all gradients so that their common norm is at most `maxNorm`, as PyTorch's
 * clip_grad_norm_: the factor is min(1, maxNorm / (norm + 1e-6)).
 */
export function clipByGlobalNorm(
  grads: ReadonlyMap<string, Tensor>,
  maxNorm: number,
): { readonly grads: Map<string, Tensor>; readonly norm: Tensor } {
  if (!(maxNorm > 0)) throw badArgument('clipByGlobalNorm', 'maxNorm', maxNorm, 'a number > 0');
  const norm = globalNorm(grads);
  const factor = norm.add(1e-6).reciprocal().mul(maxNorm).minimum(1);
  return { grads: new Map([...grads].map(([name, g]) => [name, g.mul(factor)])), norm };
}
