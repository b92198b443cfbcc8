import { badArgument } from '../base/errors.ts';
import { full, random, type Shape, type Tensor, type TensorOptions } from '../tensor/index.ts';

/** The device, and where random numbers come from (default: the global generator). */
export type InitialiserOptions = Pick<random.RandomOptions, 'device' | 'generator'>;

/** Makes the first value of a parameter of a shape. */
export type Initialiser = (shape: readonly number[], options?: InitialiserOptions) => Tensor;

/** Initialisers that need no numbers, by name: `Linear(8, 8, { init: 'orthogonal' })`. */
const NAMED = {
  zeros: () => zeros,
  ones: () => ones,
  normal: () => normal(),
  uniform: () => uniform(),
  truncNormal: () => truncNormal(),
  xavierUniform: () => xavierUniform(),
  xavierNormal: () => xavierNormal(),
  kaimingUniform: () => kaimingUniform(),
  kaimingNormal: () => kaimingNormal(),
  orthogonal: () => orthogonal(),
} as const satisfies Record<string, () => Initialiser>;

export type InitialiserName = keyof typeof NAMED;

/** An initialiser, or the name of one with its defaults. */
export type Init = Initialiser | InitialiserName;

/** @throws TypeError for a name that is not known */
export function initialiser(init: Init): Initialiser {
  if (typeof init === 'function') return init;
  if (Object.hasOwn(NAMED, init)) return NAMED[init]();
  throw badArgument('init', 'the name', init, `a function or one of ${Object.keys(NAMED)}`);
}

export const zeros: Initialiser = constant(0);
export const ones: Initialiser = constant(1);

/** The same number everywhere. */
export function constant(value: number): Initialiser {
  return (shape, options = {}) => full(shape, value, deviceOf(options));
}

/** torch.nn.init.normal_ */
export function normal({ mean = 0, std = 1 } = {}): Initialiser {
  nonNegative('normal', 'std', std);
  return (shape, options = {}) => random.normal(shape, { ...options, mean, std });
}

/** Uniform in [low, high) (torch.nn.init.uniform_). */
export function uniform({ low = 0, high = 1 } = {}): Initialiser {
  if (!(high >= low)) throw badArgument('uniform', 'high', high, `at least low, ${low}`);
  return (shape, options = {}) => random.uniform(shape, { ...options, low, high });
}

/**
 * Normal numbers of which those outside [low, high] are drawn again; the bounds are values, not
 * deviations (torch.nn.init.trunc_normal_).
 */
export function truncNormal({ mean = 0, std = 1, low = -2, high = 2 } = {}): Initialiser {
  if (!(std > 0)) throw badArgument('truncNormal', 'std', std, 'a number > 0');
  if (!(high > low)) throw badArgument('truncNormal', 'high', high, `more than low, ${low}`);
  return (shape, options = {}) => {
    // Uniform between the bounds' places in the distribution, then through its inverse.
    const place = (bound: number) => erf((bound - mean) / (std * Math.SQRT2));
    const u = random.uniform(shape, { ...options, low: place(low), high: place(high) });
    const edge = 1 - 2 ** -24;
    return inverseErf(u.clamp(-edge, edge))
      .mul(std * Math.SQRT2)
      .add(mean)
      .clamp(low, high);
  };
}

/** By how much an activation shrinks what passes it (torch.nn.init.calculate_gain). */
export type Nonlinearity =
  | 'linear'
  | 'conv1d'
  | 'conv2d'
  | 'sigmoid'
  | 'tanh'
  | 'relu'
  | 'leakyRelu'
  | 'selu';

/** @param negativeSlope of leakyRelu alone */
export function gain(nonlinearity: Nonlinearity, negativeSlope = 0.01): number {
  switch (nonlinearity) {
    case 'linear':
    case 'conv1d':
    case 'conv2d':
    case 'sigmoid':
      return 1;
    case 'tanh':
      return 5 / 3;
    case 'relu':
      return Math.SQRT2;
    case 'leakyRelu':
      return Math.sqrt(2 / (1 + negativeSlope ** 2));
    case 'selu':
      return 3 / 4;
    default:
      throw badArgument(
        'gain',
        'nonlinearity',
        nonlinearity satisfies never,
        'linear, conv1d, conv2d, sigmoid, tanh, relu, leakyRelu or selu',
      );
  }
}

/**
 * How many inputs an output of a weight [out, in, ...kernel] sums over, and into how many outputs an
 * input goes.
 */
export function fans(shape: Shape): { readonly fanIn: number; readonly fanOut: number } {
  if (shape.length < 2 || shape.some((d) => typeof d !== 'number')) {
    throw badArgument('fans', 'the shape', shape, 'a weight of [out, in, ...]');
  }
  const [outputs, inputs, ...kernel] = shape as readonly number[];
  const field = kernel.reduce((n, d) => n * d, 1);
  return { fanIn: inputs * field, fanOut: outputs * field };
}

/** Glorot and Bengio 2010 (torch.nn.init.xavier_uniform_). */
export function xavierUniform({ gain: g = 1 } = {}): Initialiser {
  return (shape, options) => {
    const { fanIn, fanOut } = fans(shape);
    return within(g * Math.sqrt(6 / (fanIn + fanOut)))(shape, options);
  };
}

/** Glorot and Bengio 2010 (torch.nn.init.xavier_normal_). */
export function xavierNormal({ gain: g = 1 } = {}): Initialiser {
  return (shape, options) => {
    const { fanIn, fanOut } = fans(shape);
    return normal({ std: g * Math.sqrt(2 / (fanIn + fanOut)) })(shape, options);
  };
}

export interface KaimingOptions {
  /** fanIn keeps the variance of the forward pass (default), fanOut that of gradients. */
  readonly mode?: 'fanIn' | 'fanOut';
  /** What follows the layer (default leakyRelu). */
  readonly nonlinearity?: Nonlinearity;
  /** Of leakyRelu (default 0: relu). */
  readonly negativeSlope?: number;
}

/** He et al. 2015 (torch.nn.init.kaiming_uniform_). */
export function kaimingUniform(options: KaimingOptions = {}): Initialiser {
  return (shape, source) => within(Math.sqrt(3) * kaimingStd(shape, options))(shape, source);
}

/** He et al. 2015 (torch.nn.init.kaiming_normal_). */
export function kaimingNormal(options: KaimingOptions = {}): Initialiser {
  return (shape, source) => normal({ std: kaimingStd(shape, options) })(shape, source);
}

function kaimingStd(shape: Shape, options: KaimingOptions): number {
  const { mode = 'fanIn', nonlinearity = 'leakyRelu', negativeSlope = 0 } = options;
  if (mode !== 'fanIn' && mode !== 'fanOut') {
    throw badArgument('kaiming', 'mode', mode, 'fanIn or fanOut');
  }
  return gain(nonlinearity, negativeSlope) / Math.sqrt(fans(shape)[mode]);
}

/**
 * Uniform within +-1 / sqrt(n): what PyTorch gives the weights and biases of linear and convolution
 * layers, n the inputs of an output, and of recurrent layers, n the size of the state.
 */
export function fanUniform(n: number): Initialiser {
  if (!(n > 0)) throw badArgument('fanUniform', 'n', n, 'a number > 0');
  return within(1 / Math.sqrt(n));
}

function within(bound: number): Initialiser {
  return uniform({ low: -bound, high: bound });
}

/** Steps that bring singular values from 10^-7 near 1 (Jordan et al. 2024), and those to 1. */
const COARSE_STEPS = 14;
const FINE_STEPS = 6;

/**
 * A matrix with orthonormal rows or columns, whichever are fewer, times the gain; axes behind the
 * first count as one (Saxe et al. 2014; torch.nn.init.orthogonal_). It is the polar factor of a matrix
 * of normal numbers, so every rotation is equally likely. That takes 54 products of the matrix: for a
 * side of 1024 some seconds.
 */
export function orthogonal({ gain: g = 1 } = {}): Initialiser {
  return (shape, options) => {
    const [rows, ...rest] = shape;
    const columns = rest.reduce((n, d) => n * d, 1);
    if (shape.length < 2) throw badArgument('orthogonal', 'the shape', shape, 'two axes or more');
    const flat = normal()([Math.min(rows, columns), Math.max(rows, columns)], options);
    let x = flat.div(flat.square().sum().sqrt());
    for (let i = 0; i < COARSE_STEPS + FINE_STEPS; i++) {
      const gram = x.matmul(x.transpose());
      x =
        i < COARSE_STEPS
          ? x.mul(3.4445).add(gram.mul(-4.775).add(gram.matmul(gram).mul(2.0315)).matmul(x))
          : x.mul(1.5).sub(gram.matmul(x).mul(0.5));
    }
    return (rows > columns ? x.transpose() : x).mul(g).reshape(shape);
  };
}

/** The error function by its series (Abramowitz and Stegun 7.1.6). */
function erf(x: number): number {
  const z = Math.abs(x);
  if (z > 6) return Math.sign(x);
  let term = z;
  let sum = z;
  // All terms are positive: nothing cancels.
  for (let n = 1; term > sum * 1e-17; n++) {
    term *= (2 * z * z) / (2 * n + 1);
    sum += term;
  }
  return Math.sign(x) * (2 / Math.sqrt(Math.PI)) * Math.exp(-z * z) * sum;
}

/** Coefficients of Giles 2012 (single precision) for the middle and the tails, highest power first. */
const MIDDLE = [
  2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087, -0.00125372503,
  -0.00417768164, 0.246640727, 1.50140941,
];
const TAILS = [
  -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613,
  0.00943887047, 1.00167406, 2.83297682,
];

function inverseErf(x: Tensor): Tensor {
  const w = x.neg().add(1).mul(x.add(1)).log().neg();
  const polynomial = (coefficients: readonly number[], at: Tensor) =>
    coefficients.slice(1).reduce((p, c) => p.mul(at).add(c), at.mul(0).add(coefficients[0]));
  const middle = polynomial(MIDDLE, w.sub(2.5));
  const tails = polynomial(TAILS, w.sqrt().sub(3));
  return w.lt(5).where(middle, tails).mul(x);
}

function deviceOf({ device }: InitialiserOptions): TensorOptions {
  return device === undefined ? {} : { device };
}

function nonNegative(where: string, name: string, value: number): void {
  if (!(value >= 0)) throw badArgument(where, name, value, 'a number >= 0');
}
