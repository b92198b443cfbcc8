import { badArgument } from '../base/errors.ts';

/**
 * How a model's rotary frequencies differ from theta^(-2 i / dims), with the keys of `rope_parameters`
 * (formerly `rope_scaling`) in HuggingFace's config.json.
 */
export type RopeScaling =
  | { readonly rope_type: 'default' }
  | LinearScaling
  | DynamicScaling
  | YarnScaling
  | Llama3Scaling
  | LongRopeScaling;

/** All frequencies divided by a factor: positions are interpolated (Chen et al. 2023). */
export interface LinearScaling {
  readonly rope_type: 'linear';
  readonly factor: number;
}

/** A theta that grows with texts longer than the trained length ("NTK-aware", dynamic). */
export interface DynamicScaling {
  readonly rope_type: 'dynamic';
  readonly factor: number;
}

/** Fast pairs keep their frequency, slow ones are interpolated, a ramp between (Peng et al. 2023). */
export interface YarnScaling {
  readonly rope_type: 'yarn';
  /** Default: maxPositions / original_max_position_embeddings. */
  readonly factor?: number | null;
  readonly original_max_position_embeddings: number;
  /** What cosines and sines are multiplied by (default: 0.1 ln(factor) + 1). */
  readonly attention_factor?: number | null;
  /** Turns within the original length from which a pair keeps its frequency (default 32). */
  readonly beta_fast?: number | null;
  /** Turns up to which a pair is interpolated (default 1). */
  readonly beta_slow?: number | null;
  readonly mscale?: number | null;
  readonly mscale_all_dim?: number | null;
  /** Rounds the ends of the ramp to whole pairs (default true). */
  readonly truncate?: boolean;
}

/** As YaRN, with the ramp in wavelengths (Llama 3.1). */
export interface Llama3Scaling {
  readonly rope_type: 'llama3';
  readonly factor: number;
  readonly low_freq_factor: number;
  readonly high_freq_factor: number;
  readonly original_max_position_embeddings: number;
}

/** A divisor for each pair, one list for short texts, one for long ones (Ding et al. 2024). */
export interface LongRopeScaling {
  readonly rope_type: 'longrope';
  readonly short_factor: readonly number[];
  readonly long_factor: readonly number[];
  readonly original_max_position_embeddings: number;
  /** Default: maxPositions / original_max_position_embeddings. */
  readonly factor?: number | null;
  readonly attention_factor?: number | null;
}

export interface RopeSizes {
  /** Dimensions that turn: an even number. */
  readonly dims: number;
  /** Default 10000. */
  readonly theta?: number;
  /** `max_position_embeddings` of the model; dynamic needs it, yarn and longrope without factor. */
  readonly maxPositions?: number;
  /** Longest text that will be seen, for dynamic and longrope (default: a short one). */
  readonly length?: number;
}

export interface RopeFrequencies {
  /** [dims / 2]: the angle of each pair at position 1; see `rope`. */
  readonly frequencies: Float32Array;
  /** What queries and keys are multiplied by as they turn: `scale` of `rope`. */
  readonly scale: number;
}

/**
 * The frequencies of rotary positions under a scaling, in float32 step by step as transformers
 * computes them (modeling_rope_utils.py), so that angles at far positions agree.
 *
 * @example
 * const { frequencies, scale } = ropeFrequencies(config.rope_parameters, { dims: 64, theta: 5e5 });
 * rope(q, positions, { frequencies: tensor(frequencies), scale });
 * @throws TypeError for a kind that is not known, and for numbers that are missing or impossible
 */
export function ropeFrequencies(scaling: RopeScaling, sizes: RopeSizes): RopeFrequencies {
  const { dims, theta = 10000 } = sizes;
  if (!Number.isInteger(dims) || dims < 2 || dims % 2 !== 0) {
    throw badArgument('ropeFrequencies', 'dims', dims, 'an even number >= 2');
  }
  positive('theta', theta);
  switch (scaling.rope_type) {
    case 'default':
      return { frequencies: inverses(periods(dims, theta)), scale: 1 };
    case 'linear': {
      const factor = f32(positive('factor', scaling.factor));
      return { frequencies: inverses(periods(dims, theta)).map((x) => x / factor), scale: 1 };
    }
    case 'dynamic':
      return dynamic(scaling, sizes, theta);
    case 'yarn':
      return yarn(scaling, sizes, theta);
    case 'llama3':
      return llama3(scaling, dims, theta);
    case 'longrope':
      return longRope(scaling, sizes, theta);
    default:
      throw badArgument(
        'ropeFrequencies',
        'rope_type',
        (scaling satisfies never as { rope_type?: unknown }).rope_type,
        'default, linear, dynamic, yarn, llama3 or longrope',
      );
  }
}

const f32 = Math.fround;

/** theta^(2 i / dims) for each pair. */
function periods(dims: number, theta: number): Float32Array {
  return Float32Array.from({ length: dims / 2 }, (_, i) => theta ** f32((2 * i) / dims));
}

function inverses(x: Float32Array): Float32Array {
  return x.map((value) => 1 / value);
}

function dynamic(scaling: DynamicScaling, sizes: RopeSizes, theta: number): RopeFrequencies {
  const { dims } = sizes;
  const factor = positive('factor', scaling.factor);
  const trained = positive('maxPositions', sizes.maxPositions);
  const length = Math.max(sizes.length ?? trained, trained);
  if (dims === 2) throw badArgument('ropeFrequencies', 'dims', dims, 'at least 4 with dynamic');
  const grown = theta * ((factor * length) / trained - (factor - 1)) ** (dims / (dims - 2));
  return { frequencies: inverses(periods(dims, grown)), scale: 1 };
}

function yarn(scaling: YarnScaling, sizes: RopeSizes, theta: number): RopeFrequencies {
  const { dims } = sizes;
  const original = positive(
    'original_max_position_embeddings',
    scaling.original_max_position_embeddings,
  );
  const factor = scaling.factor ?? positive('maxPositions', sizes.maxPositions) / original;
  positive('factor', factor);
  const pairOf = (turns: number) =>
    (dims * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const { truncate = true } = scaling;
  // 0 stands for the default, as in the files that leave the keys empty.
  const start = pairOf(scaling.beta_fast || 32);
  const end = pairOf(scaling.beta_slow || 1);
  const low = Math.max(truncate ? Math.floor(start) : start, 0);
  const high = Math.min(truncate ? Math.ceil(end) : end, dims - 1);
  const width = f32(low === high ? 0.001 : high - low);
  const frequencies = periods(dims, theta).map((period, i) => {
    const ramp = Math.min(Math.max(f32(f32(i - f32(low)) / width), 0), 1);
    const kept = f32(1 - ramp);
    const interpolated = f32(1 / f32(f32(factor) * period));
    return f32(interpolated * f32(1 - kept)) + f32(f32(1 / period) * kept);
  });
  return { frequencies, scale: scaling.attention_factor ?? yarnScale(scaling, factor) };
}

function yarnScale({ mscale, mscale_all_dim }: YarnScaling, factor: number): number {
  const grown = (m: number) => (factor <= 1 ? 1 : 0.1 * m * Math.log(factor) + 1);
  return mscale && mscale_all_dim ? grown(mscale) / grown(mscale_all_dim) : grown(1);
}

function llama3(scaling: Llama3Scaling, dims: number, theta: number): RopeFrequencies {
  const factor = f32(positive('factor', scaling.factor));
  const low = positive('low_freq_factor', scaling.low_freq_factor);
  const high = positive('high_freq_factor', scaling.high_freq_factor);
  if (high <= low) {
    throw badArgument(
      'ropeFrequencies',
      'high_freq_factor',
      high,
      `more than low_freq_factor, ${low}`,
    );
  }
  const original = positive(
    'original_max_position_embeddings',
    scaling.original_max_position_embeddings,
  );
  const frequencies = inverses(periods(dims, theta)).map((x) => {
    const wavelength = f32(f32(2 * Math.PI) / x);
    if (wavelength > f32(original / low)) return x / factor;
    if (wavelength < f32(original / high)) return x;
    const smooth = f32(f32(f32(original / wavelength) - f32(low)) / f32(high - low));
    return f32(f32(f32(1 - smooth) * x) / factor) + f32(smooth * x);
  });
  return { frequencies, scale: 1 };
}

function longRope(scaling: LongRopeScaling, sizes: RopeSizes, theta: number): RopeFrequencies {
  const { dims, length = 0 } = sizes;
  const original = positive(
    'original_max_position_embeddings',
    scaling.original_max_position_embeddings,
  );
  const factor = scaling.factor ?? positive('maxPositions', sizes.maxPositions) / original;
  const name = length > original ? 'long_factor' : 'short_factor';
  const divisors = scaling[name];
  if (!Array.isArray(divisors) || divisors.length !== dims / 2) {
    throw badArgument('ropeFrequencies', name, divisors, `a list of ${dims / 2} numbers`);
  }
  const frequencies = periods(dims, theta).map((period, i) => 1 / f32(f32(divisors[i]) * period));
  const grown = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
  return { frequencies, scale: scaling.attention_factor ?? grown };
}

function positive(name: string, value: number | undefined): number {
  if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value;
  throw badArgument('ropeFrequencies', name, value, 'a number > 0');
}
