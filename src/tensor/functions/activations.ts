import { wide } from '../autocast.ts';
import type { Tensor } from '../tensor.ts';

/**
 * log(1 + e^(beta x)) / beta, a smooth relu (torch.nn.functional.softplus).
 *
 * @param options `threshold`: beyond it beta x is taken for its own result
 */
export function softplus(
  x: Tensor,
  { beta = 1, threshold = 20 }: { beta?: number; threshold?: number } = {},
): Tensor {
  const scaled = wide(x).mul(beta);
  return scaled.gt(threshold).where(x, softplusOf(scaled).div(beta));
}

/**
 * log(1 + e^z) in the form whose exponential never overflows, so that the gradient is finite
 * everywhere; at 0 the halves of maximum's tie make it 1/2.
 */
function softplusOf(z: Tensor): Tensor {
  const x = wide(z);
  return x.maximum(0).add(x.abs().neg().exp().log1p());
}

/** log(sigmoid(x)), without underflow (torch.nn.functional.logsigmoid). */
export function logSigmoid(x: Tensor): Tensor {
  return softplusOf(x.neg()).neg();
}

/** x tanh(softplus(x)) (Misra 2019). */
export function mish(x: Tensor): Tensor {
  const y = wide(x);
  return y.mul(softplusOf(y).tanh()).cast(x.dtype);
}

/** relu6(x + 3) / 6, a piecewise linear sigmoid (Howard et al. 2019). */
export function hardsigmoid(x: Tensor): Tensor {
  return x
    .add(3)
    .clamp(0, 6)
    .mul(1 / 6);
}

/** x hardsigmoid(x) (Howard et al. 2019). */
export function hardswish(x: Tensor): Tensor {
  return x.mul(hardsigmoid(x));
}

/** x limited to [-1, 1] or to given bounds. */
export function hardtanh(x: Tensor, { min = -1, max = 1 }: { min?: number; max?: number } = {}) {
  return x.clamp(min, max);
}

/** relu limited to 6 (Howard et al. 2017). */
export function relu6(x: Tensor): Tensor {
  return x.clamp(0, 6);
}

/** x above 0, alpha (e^x - 1) below (Clevert et al. 2015). */
export function elu(x: Tensor, { alpha = 1 }: { alpha?: number } = {}): Tensor {
  // The branch that is not taken must not overflow: its gradient would be 0 times infinity.
  return x.gt(0).where(x, x.clamp(null, 0).expm1().mul(alpha).cast(x.dtype));
}

/** elu with the slope of 1 at 0 for every alpha (Barron 2017). */
export function celu(x: Tensor, { alpha = 1 }: { alpha?: number } = {}): Tensor {
  return x.gt(0).where(x, x.clamp(null, 0).div(alpha).expm1().mul(alpha).cast(x.dtype));
}

/** The scaled elu that keeps mean 0 and variance 1 (Klambauer et al. 2017). */
export function selu(x: Tensor): Tensor {
  return elu(x, { alpha: 1.6732632423543772 }).mul(1.0507009873554805);
}

/** x above 0, `negativeSlope` x below (Maas et al. 2013). */
export function leakyRelu(
  x: Tensor,
  { negativeSlope = 0.01 }: { negativeSlope?: number } = {},
): Tensor {
  return x.gt(0).where(x, x.mul(negativeSlope));
}

/** relu(x)^2 (So et al. 2021). */
export function reluSquared(x: Tensor): Tensor {
  return x.relu().square();
}

/** x / (1 + |x|). */
export function softsign(x: Tensor): Tensor {
  return x.div(x.abs().add(1));
}

/** a sigmoid(b), where a and b are the halves of an axis (Dauphin et al. 2016). */
export function glu(x: Tensor, { axis = -1 }: { axis?: number } = {}): Tensor {
  const [a, b] = halves('glu', x, axis);
  return a.mul(b.sigmoid());
}

/** silu(a) b, where a and b are the halves of an axis (Shazeer 2020). */
export function swiglu(x: Tensor, { axis = -1 }: { axis?: number } = {}): Tensor {
  const [a, b] = halves('swiglu', x, axis);
  return a.silu().mul(b);
}

function halves(where: string, x: Tensor, axis: number): [Tensor, Tensor] {
  const size = x.shape.at(axis);
  if (typeof size !== 'number' || size % 2 !== 0) {
    throw new TypeError(`${where}: axis ${axis} has size ${String(size)}; expected an even size`);
  }
  const half = size / 2;
  return [x.narrow(axis, 0, half), x.narrow(axis, half, half)];
}
