import { badArgument } from '../../base/errors.ts';
import { type Generator, uniform } from '../random.ts';
import type { Tensor } from '../tensor.ts';

export interface DropoutOptions {
  /** Probability with which an element becomes 0 (default 0.5). */
  readonly p?: number;
  /** False: x itself, as in evaluation (default true). */
  readonly training?: boolean;
  readonly generator?: Generator;
}

/**
 * Sets elements to 0 at random and divides the others by 1 - p, so that sums keep their expectation
 * (Srivastava et al. 2014; torch.nn.functional.dropout). In a jitted step every run draws anew.
 *
 * @throws RangeError when p is not in 0 .. 1
 */
export function dropout(x: Tensor, options: DropoutOptions = {}): Tensor {
  const { p = 0.5, training = true, generator } = options;
  if (!(p >= 0 && p <= 1)) throw badArgument('dropout', 'p', p, 'a number from 0 to 1');
  if (!training || p === 0) return x.mul(1);
  if (p === 1) return x.mul(0);
  const draws = uniform([...x.shape] as number[], {
    device: x.device.name,
    ...(generator ? { generator } : {}),
  });
  return draws.ge(p).where(x.div(1 - p), 0);
}
