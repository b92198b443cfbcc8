import { badArgument } from '../../base/errors.ts';
import { formatShape, isStatic, shapesEqual, sizeOf } from '../../ir/shape.ts';
import { wide } from '../autocast.ts';
import type { Tensor } from '../tensor.ts';

/** Means and squares are taken in f32 at least; in autocast the result is f32, too. */
function widened(x: Tensor): Tensor {
  return x.dtype === 'f64' ? x : x.cast('f32');
}

/** (x - mean) / sqrt(variance + eps), with the biased variance. */
function standardised(x: Tensor, axes: readonly number[], eps: number): Tensor {
  const centred = x.sub(x.mean(axes, true));
  return centred.mul(centred.square().mean(axes, true).add(eps).rsqrt());
}

function affine(x: Tensor, weight: Tensor | undefined, bias: Tensor | undefined): Tensor {
  const scaled = weight ? x.mul(weight) : x;
  return bias ? scaled.add(bias) : scaled;
}

export interface LayerNormOptions {
  /** Number of last axes over which is normalised (default 1). */
  readonly axes?: number;
  /** Of the shape of these axes. */
  readonly weight?: Tensor | undefined;
  readonly bias?: Tensor | undefined;
  readonly eps?: number;
}

/**
 * Standardises over the last axes, then scales and shifts (Ba et al. 2016).
 *
 * @param x [..., width]
 */
export function layerNorm(
  x: Tensor,
  { axes = 1, weight, bias, eps = 1e-5 }: LayerNormOptions = {},
): Tensor {
  if (!Number.isInteger(axes) || axes < 1 || axes > x.rank) {
    throw badArgument('layerNorm', 'axes', axes, `an integer from 1 to ${x.rank}`);
  }
  const over = Array.from({ length: axes }, (_, i) => x.rank - axes + i);
  requireShape('layerNorm', 'weight', weight, x.shape.slice(-axes));
  requireShape('layerNorm', 'bias', bias, x.shape.slice(-axes));
  return affine(standardised(widened(x), over, eps).cast(wide(x).dtype), weight, bias);
}

export interface RmsNormOptions {
  /** [width] */
  readonly weight?: Tensor | undefined;
  readonly eps?: number;
  /** Scale by 1 + weight (Gemma), before the result takes the type of x. */
  readonly plusOne?: boolean;
}

/**
 * x / sqrt(mean(x^2) + eps) over the last axis, times the weight (Zhang and Sennrich 2019).
 *
 * @param x [..., width]
 */
export function rmsNorm(
  x: Tensor,
  { weight, eps = 1e-6, plusOne = false }: RmsNormOptions = {},
): Tensor {
  requireShape('rmsNorm', 'weight', weight, x.shape.slice(-1));
  const y = widened(x);
  const { dtype } = wide(x);
  const unit = y.mul(y.square().mean(-1, true).add(eps).rsqrt());
  if (!weight) return unit.cast(dtype);
  if (plusOne) return unit.mul(weight.cast(unit.dtype).add(1)).cast(dtype);
  return unit.cast(dtype).mul(weight);
}

export interface GroupNormOptions {
  /** [channels] */
  readonly weight?: Tensor | undefined;
  readonly bias?: Tensor | undefined;
  readonly eps?: number;
}

/**
 * Standardises the channels of each group together (Wu and He 2018); as many groups as channels is
 * instance normalisation.
 *
 * @param x [n, channels, ...]
 * @param groups a divisor of the channels
 */
export function groupNorm(
  x: Tensor,
  groups: number,
  { weight, bias, eps = 1e-5 }: GroupNormOptions = {},
): Tensor {
  const [n, channels] = requireChannels('groupNorm', x);
  if (!Number.isInteger(groups) || groups < 1 || channels % groups !== 0) {
    throw badArgument('groupNorm', 'groups', groups, `a divisor of the ${channels} channels`);
  }
  const grouped = widened(x).reshape([n, groups, -1]);
  const result = standardised(grouped, [2], eps).reshape(x.shape).cast(wide(x).dtype);
  const [w, b] = [weight, bias].map((p) => alongChannels('groupNorm', p, x));
  return affine(result, w, b);
}

export interface BatchNormOptions {
  /** [channels] */
  readonly weight?: Tensor | undefined;
  readonly bias?: Tensor | undefined;
  /** Normalise by the batch (default) or by the running values. */
  readonly training?: boolean;
  /** The batch's share in the new running values. */
  readonly momentum?: number;
  readonly eps?: number;
}

/** Running values of shape [channels]. */
export interface BatchStatistics {
  readonly mean: Tensor;
  readonly variance: Tensor;
}

/**
 * Standardises each channel over the batch (Ioffe and Szegedy 2015).
 *
 * @param x [n, channels, ...]
 * @param running statistics of earlier batches
 * @returns the result and the new running values (in training: (1 - momentum) old + momentum batch,
 *   with the unbiased variance; else the given ones)
 */
export function batchNorm(
  x: Tensor,
  running: BatchStatistics,
  { weight, bias, training = true, momentum = 0.1, eps = 1e-5 }: BatchNormOptions = {},
): { output: Tensor; running: BatchStatistics } {
  requireChannels('batchNorm', x);
  const along = (p: Tensor | undefined) => alongChannels('batchNorm', p, x);
  const finish = (centred: Tensor, variance: Tensor) =>
    affine(centred.mul(variance.add(eps).rsqrt()).cast(wide(x).dtype), along(weight), along(bias));
  const y = widened(x);
  if (!training) {
    const output = finish(y.sub(along(running.mean) as Tensor), along(running.variance) as Tensor);
    return { output, running };
  }
  const axes = x.shape.flatMap((_, i) => (i === 1 ? [] : [i]));
  const count = sizeOf(axes.map((i) => x.shape[i]));
  if (count < 2) {
    const expected = 'at least two values of each channel in training';
    throw new TypeError(`batchNorm: x is ${formatShape(x.shape)}; expected ${expected}`);
  }
  const mean = y.mean(axes, true);
  const centred = y.sub(mean);
  const variance = centred.square().mean(axes, true);
  const blend = (old: Tensor, batch: Tensor) =>
    old.mul(1 - momentum).add(batch.detach().reshape(old.shape).mul(momentum));
  return {
    output: finish(centred, variance),
    running: {
      mean: blend(running.mean, mean),
      variance: blend(running.variance, variance.mul(count / (count - 1))),
    },
  };
}

function requireChannels(where: string, x: Tensor): readonly number[] {
  if (x.rank < 2 || !isStatic(x.shape)) {
    const got = formatShape(x.shape);
    throw new TypeError(`${where}: x is ${got}; expected a static shape [n, channels, ...]`);
  }
  return x.shape;
}

/** A parameter [channels] in the shape that broadcasts over x. */
function alongChannels(where: string, p: Tensor | undefined, x: Tensor): Tensor | undefined {
  requireShape(where, 'a parameter', p, [x.shape[1]]);
  return p?.reshape(x.shape.map((d, i) => (i === 1 ? d : 1)));
}

function requireShape(
  where: string,
  name: string,
  x: Tensor | undefined,
  shape: Tensor['shape'],
): void {
  if (!x || shapesEqual(x.shape, shape)) return;
  throw new TypeError(
    `${where}: ${name} is ${formatShape(x.shape)}; expected ${formatShape(shape)}`,
  );
}
