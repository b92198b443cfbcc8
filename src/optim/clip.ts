import { badArgument } from '../base/errors.ts';
import type { Tensor } from '../tensor/index.ts';

type Gradients = ReadonlyMap<string, Tensor>;

/** The p-norm (default 2; infinity: the largest size) over all gradients together, a scalar tensor. */
export function globalNorm(grads: Gradients, p = 2): Tensor {
  if (!(p > 0)) throw badArgument('globalNorm', 'p', p, 'a number > 0');
  const [first, ...rest] = [...grads.values()].map((g) => powers(g, p));
  if (!first) throw badArgument('globalNorm', 'grads', grads, 'at least one gradient');
  if (p === Number.POSITIVE_INFINITY) return rest.reduce((max, x) => max.maximum(x), first);
  const total = rest.reduce((sum, x) => sum.add(x), first);
  if (p === 1) return total;
  return p === 2 ? total.sqrt() : total.pow(1 / p);
}

/** What the norm of one gradient is joined from: the sum of powers, or the largest size. */
function powers(g: Tensor, p: number): Tensor {
  if (p === Number.POSITIVE_INFINITY) return g.abs().max();
  if (p === 2) return g.mul(g).sum();
  return g.abs().pow(p).sum();
}

/** min(1, max / (norm + 1e-6)); NaN of NaN, 0 of infinity, as in PyTorch. */
function shrinking(norm: Tensor, max: number): Tensor {
  return norm.add(1e-6).reciprocal().mul(max).minimum(1);
}

/**
 * Scales all gradients so that their common norm is at most `maxNorm`, as PyTorch's
 * clip_grad_norm_: the factor is min(1, maxNorm / (norm + 1e-6)).
 *
 * @param p the norm (default 2; infinity: the largest size)
 */
export function clipByGlobalNorm(
  grads: Gradients,
  maxNorm: number,
  p = 2,
): { readonly grads: Map<string, Tensor>; readonly norm: Tensor } {
  if (!(maxNorm > 0)) throw badArgument('clipByGlobalNorm', 'maxNorm', maxNorm, 'a number > 0');
  const norm = globalNorm(grads, p);
  const factor = shrinking(norm, maxNorm);
  return { grads: new Map([...grads].map(([name, g]) => [name, g.mul(factor)])), norm };
}

/** Scales each gradient by itself so that its own p-norm is at most `maxNorm`. */
export function clipByParameterNorm(grads: Gradients, maxNorm: number, p = 2): Map<string, Tensor> {
  if (!(maxNorm > 0)) throw badArgument('clipByParameterNorm', 'maxNorm', maxNorm, 'a number > 0');
  return new Map(
    [...grads].map(([name, g]) => {
      return [name, g.mul(shrinking(globalNorm(new Map([[name, g]]), p), maxNorm))];
    }),
  );
}

/** Limits each element to -limit..limit, as PyTorch's clip_grad_value_; NaN stays NaN. */
export function clipByValue(grads: Gradients, limit: number): Map<string, Tensor> {
  if (!(limit > 0)) throw badArgument('clipByValue', 'limit', limit, 'a number > 0');
  return new Map([...grads].map(([name, g]) => [name, g.clamp(-limit, limit)]));
}
