import { badArgument } from '../base/errors.ts';
import type { DeviceName } from '../device/index.ts';
import type { DType } from '../ir/dtype.ts';
import { maxDim, type Shape, sizeOf } from '../ir/shape.ts';
import { openBatches, splitAmongMembers } from './batch-trace.ts';
import { Cell, isTracing } from './cell.ts';
import { searchsorted } from './functions/searching.ts';
import { arange, type Tensor, type TensorOptions, tensor } from './tensor.ts';

/** Rotations of Threefry-2x32 (Salmon et al. 2011, table 4). */
const ROTATIONS = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const;
const PARITY = 0x1bd11bda;

/**
 * Threefry-2x32 with 20 rounds: a counter-based generator, so that every number depends on key and
 * place alone. All operands u32 of one shape.
 */
export function threefry(
  key: readonly [Tensor, Tensor],
  counter: readonly [Tensor, Tensor],
): [Tensor, Tensor] {
  const [k0, k1] = key;
  const keys = [k0, k1, k0.bitwiseXor(k1).bitwiseXor(PARITY)];
  let x = counter[0].add(k0);
  let y = counter[1].add(k1);
  for (let round = 0; round < 20; round++) {
    const rotation = ROTATIONS[Math.floor(round / 4) % 2][round % 4];
    x = x.add(y);
    y = y
      .shiftLeft(rotation)
      .bitwiseOr(y.shiftRight(32 - rotation))
      .bitwiseXor(x);
    if (round % 4 !== 3) continue;
    const injection = Math.floor(round / 4) + 1;
    x = x.add(keys[injection % 3]);
    y = y.add(keys[(injection + 1) % 3]).add(injection);
  }
  return [x, y];
}

export interface RandomOptions extends TensorOptions {
  /** The generator to draw from (default: the global one; see `seed`). */
  readonly generator?: Generator;
}

/** Where a generator stands, as plain JSON, for checkpoints. */
export interface GeneratorState {
  readonly seed: number;
  /** Draws outside of jitted steps. */
  readonly draws: number;
  /** By device: the two words of the stream inside jitted steps. */
  readonly steps: Readonly<Record<string, readonly [number, number]>>;
}

/**
 * A stream of random numbers. Draw n of seed s is the same on every device. Inside a jitted step
 * the position is a cell, so every run of the step draws anew.
 */
export class Generator {
  #seed: number;
  #draws = 0;
  readonly #traced = new Map<string, Cell>();

  /** @param seed an integer, 0 to 2^32 - 1 */
  constructor(seed = 0) {
    this.#seed = checkSeed(seed);
  }

  /** Starts again. */
  seed(seed: number): void {
    this.#seed = checkSeed(seed);
    this.#draws = 0;
    for (const cell of this.#traced.values()) cell.set(this.#state(0x80000000, cell.held.device));
  }

  /** Where it stands; waits for the steps that are queued. */
  async state(): Promise<GeneratorState> {
    const steps: Record<string, readonly [number, number]> = {};
    for (const [name, cell] of this.#traced) {
      const [seed = 0, position = 0] = await cell.held.data();
      steps[name] = [Number(seed), Number(position)];
    }
    return { seed: this.#seed, draws: this.#draws, steps };
  }

  /**
   * Continues from what `state` gave.
   *
   * @throws TypeError for anything else
   */
  restore(state: GeneratorState): void {
    const { seed: value, draws, steps } = state;
    this.#seed = checkSeed(value);
    if (!Number.isInteger(draws) || draws < 0) {
      throw badArgument('Generator', 'state.draws', draws, 'an integer >= 0');
    }
    this.#draws = draws;
    for (const [name, words] of Object.entries(steps)) {
      const device = name === 'default' ? undefined : (name as DeviceName);
      const position = tensor(Uint32Array.from(words), device === undefined ? {} : { device });
      this.#stepState(name, position);
    }
  }

  /** Puts a state for jitted steps into its cell, or into a new one. */
  #stepState(name: string, state: Tensor): Cell {
    let cell = this.#traced.get(name);
    if (cell) cell.set(state);
    else {
      cell = new Cell(state, 'random state');
      this.#traced.set(name, cell);
    }
    return cell;
  }

  #state(position: number, device: TensorOptions['device']): Tensor {
    return tensor(Uint32Array.of(this.#seed, position), device === undefined ? {} : { device });
  }

  /** A key [2] that no other draw gets; inside `vmap` each member gets its own. */
  next(device?: TensorOptions['device']): Tensor {
    const batches = openBatches();
    if (batches.length === 0) return this.#advance(1, device);
    const sizes = batches.map((batch) => batch.size);
    const total = sizeOf(sizes);
    const state = this.#advance(total, device);
    const u32 = { dtype: 'u32', device: state.device } as const;
    const offsets = arange(total, u32)
      .reshape([...sizes, 1])
      .mul(arange(2, u32));
    return splitAmongMembers(state.add(offsets));
  }

  /** The present state; the position moves on by a number of draws. */
  #advance(draws: number, device: TensorOptions['device']): Tensor {
    if (!isTracing()) {
      const state = this.#state(this.#draws, device);
      this.#draws += draws;
      return state;
    }
    // Steps have a range of positions of their own, so both kinds of draws never meet.
    const name = typeof device === 'object' ? device.name : (device ?? 'default');
    const cell = this.#traced.get(name) ?? this.#stepState(name, this.#state(0x80000000, device));
    const state = cell.value;
    cell.replace(state.add(arange(2, { dtype: 'u32', device: state.device }).mul(draws)));
    return state;
  }
}

function checkSeed(seed: number): number {
  if (Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32) return seed;
  throw badArgument('seed', 'seed', seed, 'an integer from 0 to 4294967295');
}

const global = new Generator(0);

/** Where the global generator stands; see `Generator.state`. */
export function state(): Promise<GeneratorState> {
  return global.state();
}

/** Lets the global generator continue from a state. */
export function restore(value: GeneratorState): void {
  global.restore(value);
}

/** Seeds the global generator. */
export function seed(value: number): void {
  global.seed(value);
}

/** Two random words for each element. */
function words(shape: Shape, options: RandomOptions): [Tensor, Tensor] {
  const key = (options.generator ?? global).next(options.device);
  const size = sizeOf(shape);
  const part = (i: number) => key.narrow(0, i, 1).expand([size]);
  const counter = arange(size, { dtype: 'u32', device: key.device });
  const zero = counter.mul(0);
  const [x, y] = threefry([part(0), part(1)], [counter, zero]);
  return [x.reshape(shape), y.reshape(shape)];
}

/** 24 bits as a float in [0, 1). */
function unit(bits: Tensor): Tensor {
  return bits
    .shiftRight(8)
    .cast('f32')
    .mul(2 ** -24);
}

function finish(x: Tensor, dtype: DType | undefined): Tensor {
  return x.cast(dtype ?? 'f32');
}

/** Uniform in [low, high). */
export function uniform(
  shape: Shape,
  options: RandomOptions & { readonly low?: number; readonly high?: number } = {},
): Tensor {
  const { low = 0, high = 1 } = options;
  const [x] = words(shape, options);
  return finish(
    unit(x)
      .mul(high - low)
      .add(low),
    options.dtype,
  );
}

/** Normal (Box and Muller 1958). */
export function normal(
  shape: Shape,
  options: RandomOptions & { readonly mean?: number; readonly std?: number } = {},
): Tensor {
  const { mean = 0, std = 1 } = options;
  const [x, y] = words(shape, options);
  // 1 - u is in (0, 1]: the logarithm is finite.
  const radius = unit(x).neg().add(1).log().mul(-2).sqrt();
  const angle = unit(y).mul(2 * Math.PI);
  return finish(radius.mul(angle.cos()).mul(std).add(mean), options.dtype);
}

/** Integers in [low, high) as i32. */
export function randint(
  shape: Shape,
  low: number,
  high: number,
  options: RandomOptions = {},
): Tensor {
  if (!(Number.isInteger(low) && Number.isInteger(high) && high > low)) {
    throw badArgument('randint', 'bounds', [low, high], 'two integers, low < high');
  }
  const [x] = words(shape, options);
  return x
    .fmod(high - low)
    .cast('i32')
    .add(low);
}

/** True with the given probability. */
export function bernoulli(shape: Shape, probability: number, options: RandomOptions = {}): Tensor {
  if (!(probability >= 0 && probability <= 1)) {
    throw badArgument('bernoulli', 'probability', probability, 'a number from 0 to 1');
  }
  const [x] = words(shape, options);
  return unit(x).lt(probability);
}

/** The numbers 0 to n - 1 in random order, as i32 [n]. */
export function permutation(n: number, options: RandomOptions = {}): Tensor {
  if (!Number.isInteger(n) || n < 0) throw badArgument('permutation', 'n', n, 'an integer >= 0');
  const [x] = words([n], options);
  const order = x.argsort(0);
  return options.dtype === undefined ? order : order.cast(options.dtype);
}

/**
 * Draws places of the last axis by their weights, which need not add up to 1.
 *
 * @param weights floats >= 0 [..., n], at least one of each row > 0
 * @param options `replacement`: a place may be drawn again. Otherwise the draws of a row are
 *   distinct (Efraimidis and Spirakis 2006); places of weight 0 come only when no others are left.
 * @returns i32 [..., count]
 */
export function multinomial(
  weights: Tensor,
  count: number,
  options: Pick<RandomOptions, 'generator'> & { readonly replacement?: boolean } = {},
): Tensor {
  const { shape, device } = weights;
  const n = maxDim(shape[shape.length - 1] ?? 0);
  const { replacement = false, ...source } = options;
  const most = replacement ? Number.POSITIVE_INFINITY : n;
  if (!Number.isInteger(count) || count < 1 || count > most || n === 0) {
    const expected = replacement ? 'an integer > 0' : `an integer from 1 to ${n}`;
    throw badArgument('multinomial', 'count', count, expected);
  }
  const draw = (size: number) =>
    unit(words([...shape.slice(0, -1), size], { ...source, device })[0]);
  if (!replacement) {
    // The waiting times of races at these speeds; the smallest one that a draw gives is 2^-25.
    const times = draw(n)
      .neg()
      .add(1)
      .log()
      .neg()
      .maximum(2 ** -25);
    return weights.cast('f32').div(times).topk(count).indices;
  }
  const sums = weights.cast('f32').cumsum(-1);
  // Divided by itself the last sum is 1, above every draw.
  const shares = sums.div(sums.narrow(-1, n - 1, 1));
  return searchsorted(shares, draw(count), { right: true });
}
