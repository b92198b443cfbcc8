import { badArgument } from '../base/errors.ts';
import { type Device, Parameter, random, scope, type Tensor, zeros } from '../tensor/index.ts';
import { Module } from './module.ts';

export interface LoraOptions {
  /** Rank of the update. */
  readonly r: number;
  /** The update counts alpha / r times (default alpha: r). */
  readonly alpha?: number;
  /** Scales by alpha / sqrt(r) instead (Kalajdzievski 2023, "rsLoRA"). */
  readonly rslora?: boolean;
}

/**
 * A low-rank update of a linear layer (Hu et al. 2021): scaling B A, with A [r, in] random and B
 * [out, r] zero at first. PEFT's names.
 */
export class LoraAdapter extends Module {
  readonly lora_A: Parameter;
  readonly lora_B: Parameter;
  readonly r: number;
  readonly alpha: number;
  readonly rslora: boolean;

  /** @param shape of the layer's weight */
  constructor(
    [rows, columns]: readonly [rows: number, columns: number],
    options: LoraOptions & { readonly device: Device },
  ) {
    super();
    const { r, alpha = r, rslora = false, device } = options;
    if (!Number.isInteger(r) || r < 1) throw badArgument('LoRA', 'r', r, 'an integer >= 1');
    if (!(alpha > 0)) throw badArgument('LoRA', 'alpha', alpha, 'a number > 0');
    this.r = r;
    this.alpha = alpha;
    this.rslora = rslora;
    const parameter = (name: string, make: () => Tensor) => {
      const value = scope(make);
      const made = new Parameter(value, name);
      value.dispose();
      return made;
    };
    const bound = 1 / Math.sqrt(columns);
    // Kaiming's uniform numbers with a = sqrt(5), as PEFT has them.
    this.lora_A = parameter('lora_A', () =>
      random.uniform([r, columns], { low: -bound, high: bound, device }),
    );
    this.lora_B = parameter('lora_B', () => zeros([rows, r], { device }));
  }

  get scaling(): number {
    return this.alpha / (this.rslora ? Math.sqrt(this.r) : this.r);
  }

  /** What is added to the layer's result; x [..., in] to [..., out]. */
  forward(x: Tensor): Tensor {
    return x.linear(this.lora_A.value).linear(this.lora_B.value).mul(this.scaling);
  }

  /** What is added to the layer's weight, [out, in]. */
  delta(): Tensor {
    return this.lora_B.value.matmul(this.lora_A.value).mul(this.scaling);
  }
}
