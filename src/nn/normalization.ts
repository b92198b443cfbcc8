import { badArgument } from '../base/errors.ts';
import { formatShape } from '../ir/shape.ts';
import { batchNorm, groupNorm, layerNorm } from '../tensor/functions/index.ts';
import type { Cell, Parameter, Tensor } from '../tensor/index.ts';
import { ones, zeros } from './init.ts';
import { Module } from './module.ts';
import { checkSizes, type InitOptions, newBuffer, newParameter } from './new-parameter.ts';

export interface NormOptions extends Pick<InitOptions, 'device'> {
  /** Added to variances (default 1e-5). */
  readonly eps?: number;
  /** Learned scales and shifts (default true). */
  readonly affine?: boolean;
}

interface Affine {
  readonly weight: Parameter | undefined;
  readonly bias: Parameter | undefined;
}

function affineOf(shape: readonly number[], options: NormOptions, bias = true): Affine {
  const { affine = true, device } = options;
  return {
    weight: affine ? newParameter('weight', shape, ones, device) : undefined,
    bias: affine && bias ? newParameter('bias', shape, zeros, device) : undefined,
  };
}

/** Standardises the last axes of each sample (Ba et al. 2016; torch.nn.LayerNorm). */
export class LayerNorm extends Module {
  readonly weight: Parameter | undefined;
  readonly bias: Parameter | undefined;
  readonly #axes: number;
  readonly #eps: number;

  /** @param shape of the axes over which is normalised; one number is the last axis */
  constructor(
    shape: number | readonly number[],
    options: NormOptions & { readonly bias?: boolean } = {},
  ) {
    super();
    const sizes = typeof shape === 'number' ? [shape] : shape;
    if (sizes.length === 0) throw badArgument('LayerNorm', 'shape', shape, 'at least one size');
    for (const size of sizes) checkSizes('LayerNorm', { size });
    const { weight, bias } = affineOf(sizes, options, options.bias);
    this.weight = weight;
    this.bias = bias;
    this.#axes = sizes.length;
    this.#eps = options.eps ?? 1e-5;
  }

  /** x [..., shape] to the same shape. */
  forward(x: Tensor): Tensor {
    return layerNorm(x, {
      axes: this.#axes,
      weight: this.weight?.value,
      bias: this.bias?.value,
      eps: this.#eps,
    });
  }
}

/** Standardises groups of channels of each sample (Wu and He 2018; torch.nn.GroupNorm). */
export class GroupNorm extends Module {
  readonly weight: Parameter | undefined;
  readonly bias: Parameter | undefined;
  readonly #groups: number;
  readonly #eps: number;

  constructor(groups: number, channels: number, options: NormOptions = {}) {
    super();
    checkSizes('GroupNorm', { groups, channels });
    if (channels % groups !== 0) {
      throw badArgument('GroupNorm', 'groups', groups, `a divisor of ${channels} channels`);
    }
    const { weight, bias } = affineOf([channels], options);
    this.weight = weight;
    this.bias = bias;
    this.#groups = groups;
    this.#eps = options.eps ?? 1e-5;
  }

  /** x [n, channels, ...] to the same shape. */
  forward(x: Tensor): Tensor {
    return groupNorm(x, this.#groups, {
      weight: this.weight?.value,
      bias: this.bias?.value,
      eps: this.#eps,
    });
  }
}

export interface BatchNormLayerOptions extends NormOptions {
  /** The batch's share in the new running values (default 0.1). */
  readonly momentum?: number;
  /** False: statistics of the batch in evaluation, too, and none are kept (default true). */
  readonly trackRunningStats?: boolean;
}

/**
 * Standardises each channel: in training by the batch, which also moves the running statistics, in
 * evaluation by these (Ioffe and Szegedy 2015). The running values are buffers; outside of jitted
 * steps they are computed when they are read.
 */
abstract class BatchNorm extends Module {
  readonly weight: Parameter | undefined;
  readonly bias: Parameter | undefined;
  readonly running_mean: Cell | undefined;
  readonly running_var: Cell | undefined;
  readonly #options: { readonly eps: number; readonly momentum: number };
  readonly #channels: number;

  constructor(channels: number, options: BatchNormLayerOptions = {}) {
    super();
    const { momentum = 0.1, eps = 1e-5, trackRunningStats = true, device } = options;
    checkSizes(this.constructor.name, { channels });
    if (!(momentum >= 0 && momentum <= 1)) {
      throw badArgument(this.constructor.name, 'momentum', momentum, 'a number from 0 to 1');
    }
    const { weight, bias } = affineOf([channels], options);
    this.weight = weight;
    this.bias = bias;
    if (trackRunningStats) {
      this.running_mean = newBuffer('running_mean', [channels], 0, device);
      this.running_var = newBuffer('running_var', [channels], 1, device);
    }
    this.#options = { eps, momentum };
    this.#channels = channels;
  }

  /** Ranks that x may have. */
  protected abstract readonly ranks: readonly number[];

  /** x [n, channels, ...] to the same shape. */
  forward(x: Tensor): Tensor {
    if (!this.ranks.includes(x.rank) || x.shape[1] !== this.#channels) {
      const axes = this.ranks.map((rank) => `${rank} axes`).join(' or ');
      const expected = `[n, ${this.#channels}, ...] of ${axes}`;
      throw new TypeError(
        `${this.constructor.name}: x is ${formatShape(x.shape)}; expected ${expected}`,
      );
    }
    const parameters = { weight: this.weight?.value, bias: this.bias?.value };
    const options = { ...this.#options, ...parameters };
    const { running_mean: mean, running_var: variance } = this;
    if (!mean || !variance) {
      const none = zeros([this.#channels], { device: x.device });
      return batchNorm(x, { mean: none, variance: none }, options).output;
    }
    const { training } = this;
    const past = { mean: mean.value, variance: variance.value };
    const { output, running } = batchNorm(x, past, { ...options, training });
    if (training) {
      mean.set(running.mean);
      variance.set(running.variance);
    }
    return output;
  }
}

/** `BatchNorm` of [n, channels] or [n, channels, length] (torch.nn.BatchNorm1d). */
export class BatchNorm1d extends BatchNorm {
  protected readonly ranks = [2, 3];
}

/** `BatchNorm` of images [n, channels, height, width] (torch.nn.BatchNorm2d). */
export class BatchNorm2d extends BatchNorm {
  protected readonly ranks = [4];
}
