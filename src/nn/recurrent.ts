import { badArgument } from '../base/errors.ts';
import { formatShape } from '../ir/shape.ts';
import { customGradient, type Parameter, stack, type Tensor, zeros } from '../tensor/index.ts';
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
 * some milliseconds for each step and layer (several seconds for a thousand): cut long texts into
 * pieces of some hundred steps and hand the state from piece to piece (truncated back-propagation
 * through time). Joining the outputs, and the gradient by x, takes time by the square of the length.
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

  /** One step: x [batch, in], parts of the state [batch, hidden] to the new ones, the output first. */
  protected abstract step(x: Tensor, state: Parts, weights: Weights): Parts;

  /** x W_ih' + b_ih and h W_hh' + b_hh, each [batch, gates * hidden]. */
  protected products(
    x: Tensor,
    h: Tensor,
    { ih, hh, bih, bhh }: Weights,
  ): readonly [Tensor, Tensor] {
    return [x.linear(ih.value, bih?.value), h.linear(hh.value, bhh?.value)];
  }

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
    let sequence: readonly Tensor[] = x.unbind(timeAxis);
    if (sequence.length === 0) throw badArgument(name, 'time', 0, 'at least one step');
    const ends: Parts[] = [];
    let outputs: (readonly Tensor[])[] = [];
    runs.forEach(({ suffix, layer, reverse }, i) => {
      const start = starts.map((part) => part.select(0, i));
      const scanned = this.#scan(sequence, start, this.#weights(suffix), reverse);
      ends.push(scanned.end);
      outputs.push(scanned.outputs);
      if (i + 1 < runs.length && runs[i + 1].layer === layer) return;
      sequence = joined(outputs);
      if (i + 1 < runs.length) sequence = sequence.map((y) => this.dropout.forward(y));
      outputs = [];
    });
    return {
      output: stackSteps(sequence, timeAxis),
      ends: starts.map((_, part) =>
        stackSteps(
          ends.map((end) => end[part]),
          0,
        ),
      ),
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

  #scan(sequence: readonly Tensor[], start: Parts, weights: Weights, reverse: boolean) {
    const outputs: Tensor[] = [];
    let state = start;
    for (const x of reverse ? sequence.toReversed() : sequence) {
      state = this.step(x, state, weights);
      outputs.push(state[0]);
    }
    return { end: state, outputs: reverse ? outputs.reverse() : outputs };
  }
}

/** The outputs of both directions side by side, at each step. */
function joined(directions: readonly (readonly Tensor[])[]): readonly Tensor[] {
  const [forwards, backwards] = directions;
  if (!backwards) return forwards;
  return forwards.map((y, t) => {
    const [batch, size] = y.shape as readonly number[];
    // Stacked, not concatenated: an element then asks for its direction once.
    return stackSteps([y, backwards[t]], 1).reshape([batch, 2 * size]);
  });
}

/**
 * Tensors along a new axis. Its gradient takes the parts straight out; derived, each part's would pass
 * the choices between all that come after it.
 */
function stackSteps(parts: readonly Tensor[], axis: number): Tensor {
  if (parts.length === 1) return parts[0].unsqueeze(axis);
  return customGradient(
    (...list: Tensor[]) => stack(list, axis),
    (upstream) => upstream.unbind(axis),
  )(...parts);
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

  protected override step(x: Tensor, [h]: Parts, weights: Weights): Parts {
    const [input, past] = this.products(x, h, weights);
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

  protected override step(x: Tensor, [h]: Parts, weights: Weights): Parts {
    const [input, past] = this.products(x, h, weights).map((y) => y.chunk(3, 1));
    const reset = input[0].add(past[0]).sigmoid();
    const update = input[1].add(past[1]).sigmoid();
    const fresh = input[2].add(reset.mul(past[2])).tanh();
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

  protected override step(x: Tensor, [h, c]: Parts, weights: Weights): Parts {
    const [input, past] = this.products(x, h, weights);
    const [i, f, g, o] = input.add(past).chunk(4, 1);
    const cell = f.sigmoid().mul(c).add(i.sigmoid().mul(g.tanh()));
    return [o.sigmoid().mul(cell.tanh()), cell];
  }
}
