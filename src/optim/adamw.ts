import { badArgument } from '../base/errors.ts';
import { Cell, type Parameter, type Tensor, tensor, zeros } from '../tensor/index.ts';

export interface AdamWOptions {
  /** Learning rate (default 1e-3); change it later with `setLearningRate`. */
  readonly lr?: number;
  /** Decay of the two moments (default 0.9, 0.999). */
  readonly betas?: readonly [number, number];
  /** Added to the denominator (default 1e-8). */
  readonly eps?: number;
  /** Decoupled weight decay (default 0.01). */
  readonly weightDecay?: number;
  /** Parameters that decay (default: those of two or more axes). */
  readonly decays?: (name: string, parameter: Parameter) => boolean;
}

interface Slot {
  readonly parameter: Parameter;
  readonly decay: number;
  readonly m: Cell;
  readonly v: Cell;
}

/**
 * AdamW (Loshchilov and Hutter 2019), with PyTorch's defaults and order of operations: the decay
 * multiplies the parameter by 1 - lr weightDecay, then the step is subtracted. `update` is meant to
 * be called inside a jitted step, where each parameter's whole update is one kernel.
 */
export class AdamW {
  readonly #slots = new Map<string, Slot>();
  readonly #betas: readonly [number, number];
  readonly #eps: number;
  /** Scalars that change from step to step without a new trace. */
  readonly #lr: Cell;
  readonly #step: Cell;

  /** @param parameters by name; those that are not trainable are left alone */
  constructor(parameters: ReadonlyMap<string, Parameter>, options: AdamWOptions = {}) {
    const { lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0.01 } = options;
    const { decays = (_name, p) => p.shape.length >= 2 } = options;
    checkNumber('lr', lr, 0, Number.POSITIVE_INFINITY);
    betas.forEach((beta, i) => {
      checkNumber(`betas[${i}]`, beta, 0, 1 - 2 ** -24);
    });
    checkNumber('eps', eps, 0, Number.POSITIVE_INFINITY);
    checkNumber('weightDecay', weightDecay, 0, Number.POSITIVE_INFINITY);
    const [first] = parameters.values();
    if (!first) throw badArgument('AdamW', 'parameters', parameters, 'at least one parameter');
    const { device } = first.held;
    this.#betas = betas;
    this.#eps = eps;
    this.#lr = cellOf(tensor(lr, { device }), 'lr');
    this.#step = cellOf(zeros([], { device }), 'step');
    for (const [name, parameter] of parameters) {
      if (!parameter.trainable) continue;
      const decay = decays(name, parameter) ? weightDecay : 0;
      const moment = (which: string) =>
        cellOf(zeros(parameter.shape, { device }), `${name}.${which}`);
      this.#slots.set(name, { parameter, decay, m: moment('m'), v: moment('v') });
    }
  }

  /** The rate of the next step. */
  setLearningRate(lr: number): void {
    checkNumber('lr', lr, 0, Number.POSITIVE_INFINITY);
    // An array, not a constant: of a constant every value would be a program of its own.
    const value = tensor(lr, { device: this.#lr.held.device });
    this.#lr.set(value);
    value.dispose();
  }

  /**
   * One step by gradients of the parameters' names and shapes.
   *
   * @throws TypeError when a parameter's gradient is missing
   */
  update(grads: ReadonlyMap<string, Tensor>): void {
    const [beta1, beta2] = this.#betas;
    const lr = this.#lr.value;
    const step = this.#step.value.add(1);
    this.#step.set(step);
    // 1 - beta^t, exact for small t where the power is close to 1.
    const correction = (beta: number) => step.mul(Math.log(beta)).expm1().neg();
    const stepSize = lr.div(correction(beta1));
    const rootCorrection = correction(beta2).sqrt();
    for (const [name, { parameter, decay, m, v }] of this.#slots) {
      const g = grads.get(name);
      if (!g) throw new TypeError(`AdamW: the gradient of ${name} is missing`);
      const p = decay === 0 ? parameter.value : parameter.value.mul(lr.mul(-decay).add(1));
      const m1 = m.value.mul(beta1).add(g.mul(1 - beta1));
      const v1 = v.value.mul(beta2).add(g.mul(g).mul(1 - beta2));
      const denominator = v1.sqrt().div(rootCorrection).add(this.#eps);
      m.set(m1);
      v.set(v1);
      parameter.set(p.sub(stepSize.mul(m1).div(denominator)));
    }
  }

  /** Moments and step count by name, for checkpoints. */
  state(): Map<string, Cell> {
    const cells = new Map([['step', this.#step]]);
    for (const [name, { m, v }] of this.#slots) {
      cells.set(`${name}.m`, m);
      cells.set(`${name}.v`, v);
    }
    return cells;
  }

  dispose(): void {
    for (const cell of [...this.state().values(), this.#lr]) cell.dispose();
  }
}

/** A cell that alone owns its value. */
function cellOf(value: Tensor, name: string): Cell {
  const cell = new Cell(value, name);
  value.dispose();
  return cell;
}

function checkNumber(name: string, value: number, low: number, high: number): void {
  if (typeof value === 'number' && value >= low && value <= high) return;
  throw badArgument('AdamW', name, value, `a number from ${low} to ${high}`);
}
