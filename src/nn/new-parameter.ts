import { badArgument } from '../base/errors.ts';
import { Cell, Parameter, scope, type Tensor, type TensorOptions } from '../tensor/index.ts';
import { constant, type Init, type Initialiser, initialiser, normal } from './init.ts';

/** How the parameters of a layer begin. */
export interface InitOptions {
  readonly device?: TensorOptions['device'];
  /** Standard deviation of the initial weights (default 0.02, as GPT-2) where `init` is not given. */
  readonly std?: number;
  /** How weights begin, an initialiser or its name; scales of normalisation begin at 1. */
  readonly init?: Init;
  /** How biases begin (default: zeros, or what the layer says). */
  readonly biasInit?: Init;
}

/** The options with a layer's own initialiser for weights, where they name none. */
export function usually<T extends InitOptions>(options: T, init: Initialiser): T {
  return options.init === undefined && options.std === undefined ? { ...options, init } : options;
}

/** A weight as the options say, else as the layer does, else normal with deviation `std`. */
export function newWeight(
  name: string,
  shape: readonly number[],
  options: InitOptions,
  usual: Initialiser = normal({ std: 0.02 }),
): Parameter {
  const { init = usual, std, device } = options;
  const chosen = options.init === undefined && std !== undefined ? normal({ std }) : init;
  return newParameter(name, shape, initialiser(chosen), device);
}

/** A bias as the options say, else as the layer does. */
export function newBias(
  shape: readonly number[],
  { biasInit, device }: InitOptions,
  usual: Initialiser = constant(0),
  name = 'bias',
): Parameter {
  return newParameter(name, shape, biasInit === undefined ? usual : initialiser(biasInit), device);
}

/** A parameter that alone owns its value. */
export function newParameter(
  name: string,
  shape: readonly number[],
  init: Initialiser,
  device: TensorOptions['device'],
): Parameter {
  return owning((value) => new Parameter(value, name), shape, init, device);
}

/** State that is not trained, with the same number everywhere. */
export function newBuffer(
  name: string,
  shape: readonly number[],
  number: number,
  device: TensorOptions['device'],
): Cell {
  return owning((value) => new Cell(value, name), shape, constant(number), device);
}

function owning<T extends Cell>(
  make: (value: Tensor) => T,
  shape: readonly number[],
  init: Initialiser,
  device: TensorOptions['device'],
): T {
  // What random numbers are computed from is freed with the first use, not by the collector.
  const value = scope(() => init(shape, device === undefined ? {} : { device }));
  const made = make(value);
  value.dispose();
  return made;
}

/** @internal */
export function checkSizes(where: string, sizes: Readonly<Record<string, number>>): void {
  for (const [name, size] of Object.entries(sizes)) {
    if (!Number.isInteger(size) || size < 1)
      throw badArgument(where, name, size, 'an integer >= 1');
  }
}
