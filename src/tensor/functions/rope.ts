import { badArgument } from '../../base/errors.ts';
import { formatShape, maxDim } from '../../ir/shape.ts';
import { arange, type Tensor } from '../tensor.ts';

export interface RopeOptions {
  /**
   * Which dimensions turn together: (i, i + dims / 2), as in Llama's checkpoints of transformers,
   * or (2 i, 2 i + 1), as in the paper.
   */
  readonly style?: 'half' | 'interleaved';
  /** Dimensions that turn (default: all); those behind them pass unchanged. */
  readonly dims?: number;
  readonly theta?: number;
  /** The angle of each pair at position 1, [dims / 2] (default: theta^(-2 i / dims)). */
  readonly frequencies?: Tensor | undefined;
  /** What cosines and sines are multiplied by (default 1; YaRN, LongRoPE). */
  readonly scale?: number;
}

/**
 * Rotary position embedding (Su et al. 2021): pair i turns by position times its frequency.
 *
 * @param x [batch, heads, time, d]
 * @param positions [time], or [batch, time] where the members differ; integers or floats
 */
export function rope(x: Tensor, positions: Tensor, options: RopeOptions = {}): Tensor {
  const { style = 'half', theta = 10000, frequencies, scale = 1 } = options;
  const width = requireWidth(x, positions);
  const dims = options.dims ?? width;
  if (!Number.isInteger(dims) || dims % 2 !== 0 || dims < 0 || dims > width) {
    throw badArgument('rope', 'dims', dims, `an even number from 0 to ${width}`);
  }
  if (style !== 'half' && style !== 'interleaved') {
    throw badArgument('rope', 'style', style, 'half or interleaved');
  }
  if (dims === 0) return x;
  const half = dims / 2;
  const speeds = frequencies ?? defaultFrequencies(x, half, theta);
  if (speeds.size !== half) {
    throw new TypeError(`rope: frequencies are ${formatShape(speeds.shape)}; expected [${half}]`);
  }
  const turning = dims === width ? x : x.narrow(-1, 0, dims);
  const angles = positions.cast('f32').unsqueeze(-1).mul(speeds);
  const turned = turn(turning, angles, { style, scale }).cast(x.dtype);
  if (dims === width) return turned;
  const rest = x.narrow(-1, dims, width - dims);
  return join(turned, rest, width);
}

/**
 * (a, b) turns to (a cos - b sin, b cos + a sin): the pair times cos, plus the exchanged pair times
 * -sin and sin. So the kernel only moves addresses; nothing is split and joined again.
 *
 * @param angles [time, half] or [batch, time, half]
 */
function turn(
  x: Tensor,
  angles: Tensor,
  { style, scale }: { readonly style: 'half' | 'interleaved'; readonly scale: number },
): Tensor {
  const lead = x.shape.slice(0, -1);
  const half = maxDim(x.shape[x.rank - 1]) / 2;
  const pairAxis = style === 'half' ? -2 : -1;
  const pairs = x.reshape([...lead, ...(style === 'half' ? [2, half] : [half, 2])]);
  const wide = pairs.dtype === 'f64' ? pairs : pairs.cast('f32');
  // [batch or none, 1 for the heads, time, half], with the axis of the pair
  const perHead = angles.rank === 3 ? angles.unsqueeze(1) : angles;
  const scaled = (y: Tensor) => (scale === 1 ? y : y.mul(scale)).unsqueeze(pairAxis);
  const cos = scaled(perHead.cos());
  const signs = arange(2, { device: x.device, dtype: 'f32' }).mul(2).sub(1);
  const signed = style === 'half' ? signs.reshape([2, 1]) : signs;
  const sin = scaled(perHead.sin()).mul(signed);
  return wide.mul(cos).add(wide.flip(pairAxis).mul(sin)).reshape(x.shape);
}

function defaultFrequencies(x: Tensor, half: number, theta: number): Tensor {
  const places = arange(half, { device: x.device, dtype: 'f32' });
  return places.mul(-Math.log2(theta) / half).exp2();
}

/** Both parts in one axis of `width` places. */
function join(turned: Tensor, rest: Tensor, width: number): Tensor {
  const first = maxDim(turned.shape[turned.rank - 1]);
  const pads = (before: number, after: number) =>
    turned.shape.map((_, i): [number, number] =>
      i === turned.rank - 1 ? [before, after] : [0, 0],
    );
  const isTurned = arange(width, { device: turned.device }).lt(first);
  return isTurned.where(turned.pad(pads(0, width - first)), rest.pad(pads(first, 0)));
}

function requireWidth(x: Tensor, positions: Tensor): number {
  if (x.rank !== 4) {
    const got = formatShape(x.shape);
    throw new TypeError(`rope: x is ${got}; expected [batch, heads, time, d]`);
  }
  const [batch, , time] = x.shape;
  const wanted = positions.rank === 2 ? [batch, time] : [time];
  if (formatShape(positions.shape) !== formatShape(wanted)) {
    throw new TypeError(
      `rope: positions are ${formatShape(positions.shape)}; expected ${formatShape([time])} or ` +
        formatShape([batch, time]),
    );
  }
  return maxDim(x.shape[3]);
}
