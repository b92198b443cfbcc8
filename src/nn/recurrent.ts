import { badArgument } from '../base/errors.ts';
import { formatShape } from '../ir/shape.ts';
import {
  concat,
  customGradient,
  type Parameter,
  stack,
  type Tensor,
  vjp,
  zeros,
} from '../tensor/index.ts';
import { Dropout } from './dropout.ts';
import { fanUniform } from './init.ts';
import { Module } from './module.ts';
import { checkSizes, type InitOptions, newBias, newWeight } from './new-parameter.ts';

export interface RecurrentOptions extends InitOptions {
  /** Layers, each reading the one below (default 1). */
  readonly layers?: number;
  /** A second set of weights reads from the end; outputs are joined (default false). */
  readonly bidirectional?: boolean;
  /** Default true. */
  readonly bias?: boolean;
  /** x is [batch, time, in] instead of [time, batch, in] (default false). */
  readonly batchFirst?: boolean;
  /** Probability of dropout behind each layer but the last (default 0). */
  readonly dropout?: number;
}

/** The parameters of one layer in one direction. */
interface Weights {
  readonly ih: Parameter;
  readonly hh: Parameter;
  readonly bih: Parameter | undefined;
  readonly bhh: Parameter | undefined;
}

/** What a network knows of the past, part by part: each [layers * directions, batch, hidden]. */
type Parts = readonly Tensor[];

/**
 * Layers that read a sequence step by step. Parameters have PyTorch's names and orders of gates:
 * weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, for the other direction with _reverse; they
 * begin uniform within 1 / sqrt(hidden).
 *
 * The steps are unrolled into the graph, so every length is a program of its own, and compiling takes
 * some tens of milliseconds for each step and layer: cut long texts into pieces of some hundred steps
 * and hand the state from piece to piece (truncated back-propagation through time). Products by
 * inputs, and all gradients of weights, are one product for all steps.
 */
abstract class Recurrent extends Module {
  readonly [name: `weight_${string}`]: Parameter;
  readonly [name: `bias_${string}`]: Parameter | undefined;
  readonly inputSize: number;
  readonly hiddenSize: number;
  readonly layers: number;
  readonly bidirectional: boolean;
  readonly batchFirst: boolean;
  readonly dropout: Dropout;

  /** @param gates blocks of rows in each weight */
  constructor(inputSize: number, hiddenSize: number, gates: number, options: RecurrentOptions) {
    super();
    const { layers = 1, bidirectional = false, bias = true, batchFirst = false } = options;
    checkSizes(new.target.name, { inputSize, hiddenSize, layers });
    this.inputSize = inputSize;
    this.hiddenSize = hiddenSize;
    this.layers = layers;
    this.bidirectional = bidirectional;
    this.batchFirst = batchFirst;
    const usual = fanUniform(hiddenSize);
    const rows = gates * hiddenSize;
    const named: Record<string, Parameter> = {};
    for (const { suffix, layer } of this.#runs()) {
      const columns = layer === 0 ? inputSize : hiddenSize * (bidirectional ? 2 : 1);
      const weight = (name: string, size: number) => {
        named[name] = newWeight(name, [rows, size], options, usual);
      };
      weight(`weight_ih_${suffix}`, columns);
      weight(`weight_hh_${suffix}`, hiddenSize);
      if (!bias) continue;
      for (const name of [`bias_ih_${suffix}`, `bias_hh_${suffix}`]) {
        named[name] = newBias([rows], options, usual, name);
      }
    }
    Object.assign(this, named);
    this.dropout = new Dropout(options.dropout ?? 0);
  }

  /** Layers and directions in the order of the state. */
  #runs(): readonly { suffix: string; layer: number; reverse: boolean }[] {
    const directions = this.bidirectional ? [false, true] : [false];
    return Array.from({ length: this.layers }, (_, layer) =>
      directions.map((reverse) => ({
        suffix: `l${layer}${reverse ? '_reverse' : ''}`,
        layer,
        reverse,
      })),
    ).flat();
  }

  /**
   * One step from the products W_ih x + b_ih and W_hh h + b_hh, each [batch, gates * hidden].
   *
   * @param state parts [batch, hidden]
   * @returns the new parts, the output first
   */
  protected abstract step(input: Tensor, past: Tensor, state: Parts): Parts;

  /** @param given the parts of the state; those missing are zeros */
  protected run(x: Tensor, given: readonly (Tensor | undefined)[]) {
    const name = this.constructor.name;
    if (
      x.rank !== 3 ||
      x.shape[2] !== this.inputSize ||
      x.shape.some((d) => typeof d !== 'number')
    ) {
      const axes = this.batchFirst ? 'batch, time' : 'time, batch';
      const expected = `a static shape [${axes}, ${this.inputSize}]`;
      throw new TypeError(`${name}: x is ${formatShape(x.shape)}; expected ${expected}`);
    }
    const runs = this.#runs();
    const timeAxis = this.batchFirst ? 1 : 0;
    const shape = [runs.length, x.shape[1 - timeAxis] as number, this.hiddenSize];
    const starts = given.map((part) => {
      if (part && formatShape(part.shape) !== formatShape(shape)) {
        throw badArgument(name, 'a state of shape', part.shape, formatShape(shape));
      }
      return part ?? zeros(shape, { device: x.device });
    });
    if (x.shape[timeAxis] === 0) throw badArgument(name, 'time', 0, 'at least one step');
    let sequence = this.batchFirst ? x.transpose(0, 1) : x;
    let outputs: Tensor[] = [];
    const ends: Parts[] = [];
    runs.forEach(({ suffix, layer, reverse }, i) => {
      const start = starts.map((part) => part.select(0, i));
      const scanned = this.#scan(sequence, start, this.#weights(suffix), reverse);
      ends.push(scanned.end);
      outputs.push(scanned.output);
      const next = runs[i + 1];
      if (next?.layer === layer) return;
      const joined = outputs.length === 1 ? outputs[0] : concat(outputs, 2);
      sequence = next ? this.dropout.forward(joined) : joined;
      outputs = [];
    });
    return {
      output: this.batchFirst ? sequence.transpose(0, 1) : sequence,
      ends: starts.map((_, part) => stack(ends.map((end) => end[part]))),
    };
  }

  #weights(suffix: string): Weights {
    return {
      ih: this[`weight_ih_${suffix}`],
      hh: this[`weight_hh_${suffix}`],
      bih: this[`bias_ih_${suffix}`],
      bhh: this[`bias_hh_${suffix}`],
    };
  }

  /** One layer in one direction over a sequence [time, batch, in]. */
  #scan(sequence: Tensor, start: Parts, { ih, hh, bih, bhh }: Weights, reverse: boolean) {
    const time = sequence.shape[0] as number;
    const at = (k: number) => (reverse ? time - 1 - k : k);
    const run = (inputs: Tensor, weight: Tensor, rest: Parts): Unrolled => {
      const bias = bhh ? rest[0] : undefined;
      const states: Parts[] = [bhh ? rest.slice(1) : rest];
      const parts = inputs.unbind(0);
      const products: Tensor[] = [];
      for (let k = 0; k < time; k++) {
        const state = states[k];
        products.push(state[0].linear(weight, bias));
        states.push(this.step(parts[at(k)], products[k], state));
      }
      return { parts, products, states };
    };
    /** Outputs in the order of time, then what else the last state holds: [time + rest, batch, hidden] */
    const pack = ({ states }: Unrolled) => {
      const outputs = states.slice(1).map(([h]) => h);
      return stack([...(reverse ? outputs.reverse() : outputs), ...states[time].slice(1)]);
    };
    // Derived step by step, each weight would get a sum of as many products as there are steps, and
    // the inputs a sum of as many padded parts.
    const backward = (upstream: Tensor, [inputs, weight, ...rest]: Tensor[]) => {
      const { parts, products, states } = run(inputs, weight, rest);
      const ups = upstream.unbind(0);
      const [begin] = states;
      const grads = vjp(
        [...states.slice(1).map(([h]) => h), ...states[time].slice(1)],
        [...states.slice(1).map((_, k) => ups[at(k)]), ...ups.slice(time)],
        [...parts, ...products, ...begin],
      );
      const byProduct = stack(grads.slice(time, 2 * time)); // [time, batch, rows], in order of steps
      const before = stack(states.slice(0, time).map(([h]) => h));
      const flat = (x: Tensor) => x.reshape([-1, x.shape[2]]);
      return [
        stack(grads.slice(0, time)),
        flat(byProduct).transpose().matmul(flat(before)),
        ...(bhh ? [byProduct.sum([0, 1])] : []),
        ...grads.slice(2 * time),
      ];
    };
    const packed = customGradient(
      (inputs: Tensor, weight: Tensor, ...rest: Tensor[]) => pack(run(inputs, weight, rest)),
      (upstream, inputs) => backward(upstream, inputs),
    )(sequence.linear(ih.value, bih?.value), hh.value, ...(bhh ? [bhh.value] : []), ...start);
    const last = packed.select(0, at(time - 1));
    const others = start.slice(1).map((_, i) => packed.select(0, time + i));
    return { output: packed.narrow(0, 0, time), end: [last, ...others] };
  }
}

/** The steps of a layer in one direction. */
interface Unrolled {
  /** Of the inputs, by time. */
  readonly parts: Parts;
  /** Of the state, by step. */
  readonly products: Parts;
  /** Before the first step, and after each. */
  readonly states: readonly Parts[];
}

/** What a recurrent layer gives back. */
export interface RecurrentResult {
  /** [time, batch, directions * hidden], or with batchFirst [batch, time, ...] */
  readonly output: Tensor;
  /** The last states, [layers * directions, batch, hidden]. */
  readonly h: Tensor;
}

/** h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or with relu (Elman 1990; torch.nn.RNN). */
export class RNN extends Recurrent {
  readonly #nonlinearity: 'tanh' | 'relu';

  constructor(
    inputSize: number,
    hiddenSize: number,
    options: RecurrentOptions & { readonly nonlinearity?: 'tanh' | 'relu' } = {},
  ) {
    super(inputSize, hiddenSize, 1, options);
    const { nonlinearity = 'tanh' } = options;
    if (nonlinearity !== 'tanh' && nonlinearity !== 'relu') {
      throw badArgument('RNN', 'nonlinearity', nonlinearity, 'tanh or relu');
    }
    this.#nonlinearity = nonlinearity;
  }

  /** @param h the start, [layers * directions, batch, hidden] (default: zeros) */
  forward(x: Tensor, h?: Tensor): RecurrentResult {
    const { output, ends } = this.run(x, [h]);
    return { output, h: ends[0] };
  }

  protected override step(input: Tensor, past: Tensor): Parts {
    const sum = input.add(past);
    return [this.#nonlinearity === 'tanh' ? sum.tanh() : sum.relu()];
  }
}

/**
 * Gated recurrent units (Cho et al. 2014; torch.nn.GRU). Rows of the weights: reset, update, new; the
 * reset gate multiplies W_hn h + b_hn.
 */
export class GRU extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super(inputSize, hiddenSize, 3, options);
  }

  /** @param h the start, [layers * directions, batch, hidden] (default: zeros) */
  forward(x: Tensor, h?: Tensor): RecurrentResult {
    const { output, ends } = this.run(x, [h]);
    return { output, h: ends[0] };
  }

  protected override step(input: Tensor, past: Tensor, [h]: Parts): Parts {
    const [x, y] = [input.chunk(3, 1), past.chunk(3, 1)];
    const reset = x[0].add(y[0]).sigmoid();
    const update = x[1].add(y[1]).sigmoid();
    const fresh = x[2].add(reset.mul(y[2])).tanh();
    return [fresh.add(update.mul(h.sub(fresh)))];
  }
}

/**
 * Long short-term memory (Hochreiter and Schmidhuber 1997, with forget gates; torch.nn.LSTM). Rows of
 * the weights: input, forget, cell, output.
 */
export class LSTM extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super(inputSize, hiddenSize, 4, options);
  }

  /** @param state the start, each [layers * directions, batch, hidden] (default: zeros) */
  forward(
    x: Tensor,
    state?: { readonly h: Tensor; readonly c: Tensor },
  ): RecurrentResult & { readonly c: Tensor } {
    const { output, ends } = this.run(x, [state?.h, state?.c]);
    return { output, h: ends[0], c: ends[1] };
  }

  protected override step(input: Tensor, past: Tensor, [, c]: Parts): Parts {
    const [i, f, g, o] = input.add(past).chunk(4, 1);
    const cell = f.sigmoid().mul(c).add(i.sigmoid().mul(g.tanh()));
    return [o.sigmoid().mul(cell.tanh()), cell];
  }
}
