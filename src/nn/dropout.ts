import { badArgument } from '../base/errors.ts';
import { dropout } from '../tensor/functions/index.ts';
import type { random, Tensor } from '../tensor/index.ts';
import { Module } from './module.ts';

/**
 * In training sets elements to 0 with probability p and divides the others by 1 - p; in evaluation x
 * itself (Srivastava et al. 2014; torch.nn.Dropout).
 */
export class Dropout extends Module {
  readonly p: number;
  readonly #generator: random.Generator | undefined;

  constructor(p = 0.5, { generator }: { readonly generator?: random.Generator } = {}) {
    super();
    if (!(p >= 0 && p <= 1)) throw badArgument('Dropout', 'p', p, 'a number from 0 to 1');
    this.p = p;
    this.#generator = generator;
  }

  forward(x: Tensor): Tensor {
    // Without a probability the mode does not matter: a step need not be traced for both.
    if (this.p === 0 || !this.training) return x;
    return dropout(x, { p: this.p, ...(this.#generator ? { generator: this.#generator } : {}) });
  }
}
