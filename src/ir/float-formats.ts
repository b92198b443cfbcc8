import type { DType } from './dtype.ts';

/**
 * Exact conversion between numbers and the small float formats: f16 (IEEE binary16), bf16, f8e5m2
 * and f8e4m3 (OCP 8-bit formats; e4m3 is the "fn" form: no infinity, NaN is S.1111.111).
 * Rounding is to nearest, ties to even; what is too large becomes infinity, or NaN where there is
 * none (as ml_dtypes does; PyTorch's saturating form is the other option).
 */
interface Format {
  readonly exponentBits: number;
  readonly mantissaBits: number;
  readonly infinity: boolean;
}

const FORMATS = {
  f16: { exponentBits: 5, mantissaBits: 10, infinity: true },
  bf16: { exponentBits: 8, mantissaBits: 7, infinity: true },
  f8e5m2: { exponentBits: 5, mantissaBits: 2, infinity: true },
  f8e4m3: { exponentBits: 4, mantissaBits: 3, infinity: false },
} as const satisfies Partial<Record<DType, Format>>;

export type SmallFloat = keyof typeof FORMATS;
export type Overflow = 'inf' | 'nan' | 'saturate';

export function isSmallFloat(dtype: DType): dtype is SmallFloat {
  return Object.hasOwn(FORMATS, dtype);
}

/** What code that converts a small format must know of it. */
export interface SmallFloatFacts {
  readonly mantissaBits: number;
  readonly bias: number;
  /** The bit of the sign, and all bits below it. */
  readonly signBit: number;
  readonly magnitudeBits: number;
  /** Bits of the positive NaN that `encodeFloat` gives, and of what stands for too large a number. */
  readonly nan: number;
  readonly beyond: number;
  /** The smallest f32 that is rounded to `beyond`. */
  readonly overflow: number;
  /** Magnitudes from here on are not finite: what infinity (or NaN) would be if it were a number. */
  readonly special: number;
}

export function smallFloatFacts(dtype: SmallFloat): SmallFloatFacts {
  const { exponentBits, mantissaBits, infinity } = FORMATS[dtype];
  const bias = 2 ** (exponentBits - 1) - 1;
  const nan = encodeFloat(dtype, Number.NaN);
  const beyond = encodeFloat(dtype, Number.POSITIVE_INFINITY);
  // Half a place beyond the largest number; a tie goes to the even one.
  const place = 2 ** (2 ** exponentBits - (infinity ? 2 : 1) - bias - mantissaBits);
  const tie = decodeFloat(dtype, beyond - 1) + place / 2;
  const tieStays = (beyond - 1) % 2 === 0;
  return {
    mantissaBits,
    bias,
    signBit: 2 ** (exponentBits + mantissaBits),
    magnitudeBits: 2 ** (exponentBits + mantissaBits) - 1,
    nan,
    beyond,
    overflow: tieStays ? tie + 2 ** (Math.floor(Math.log2(tie)) - 23) : tie,
    special: decodeFloat(dtype, beyond - 1) + place,
  };
}

const f64 = new Float64Array(1);
const bits64 = new BigUint64Array(f64.buffer);

/** Exponent of a finite non-zero double: 2^e <= |x| < 2^(e+1). */
function exponentOf(x: number): number {
  f64[0] = x;
  const field = Number((bits64[0] >> 52n) & 0x7ffn);
  if (field !== 0) return field - 1023;
  return Math.floor(Math.log2(Math.abs(x)));
}

function roundTiesToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** The bits of `x` in a small format. */
export function encodeFloat(dtype: SmallFloat, x: number, overflow?: Overflow): number {
  const { exponentBits, mantissaBits, infinity } = FORMATS[dtype];
  const bias = 2 ** (exponentBits - 1) - 1;
  const sign = x < 0 || Object.is(x, -0) ? 2 ** (exponentBits + mantissaBits) : 0;
  const fieldMax = 2 ** exponentBits - 1;
  const nan =
    fieldMax * 2 ** mantissaBits + (infinity ? 2 ** (mantissaBits - 1) : 2 ** mantissaBits - 1);
  if (Number.isNaN(x)) return nan;
  const largest = infinity ? fieldMax * 2 ** mantissaBits - 1 : nan - 1;
  const beyond = overflow === 'saturate' ? largest : infinity ? largest + 1 : nan;
  const magnitude = Math.abs(x);
  if (magnitude === 0) return sign;
  if (magnitude === Number.POSITIVE_INFINITY) return sign + beyond;
  // Counting in units of the last place makes rounding, carry and subnormals one case.
  const exponent = Math.max(exponentOf(magnitude), 1 - bias);
  const units = roundTiesToEven(magnitude / 2 ** (exponent - mantissaBits));
  const code = (exponent + bias - 1) * 2 ** mantissaBits + units;
  return sign + (code > largest ? beyond : code);
}

/** The number that bits of a small format stand for; exact. */
export function decodeFloat(dtype: SmallFloat, bits: number): number {
  const { exponentBits, mantissaBits, infinity } = FORMATS[dtype];
  const bias = 2 ** (exponentBits - 1) - 1;
  const fieldMax = 2 ** exponentBits - 1;
  const sign = bits >= 2 ** (exponentBits + mantissaBits) ? -1 : 1;
  const field = Math.floor(bits / 2 ** mantissaBits) & fieldMax;
  const mantissa = bits & (2 ** mantissaBits - 1);
  if (field === fieldMax) {
    if (infinity) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
    if (mantissa === 2 ** mantissaBits - 1) return Number.NaN;
  }
  if (field === 0) return sign * mantissa * 2 ** (1 - bias - mantissaBits);
  return sign * (1 + mantissa / 2 ** mantissaBits) * 2 ** (field - bias);
}

/** `x` as a value of `dtype`: floats to the nearest, integers modulo their size. */
export function roundTo(dtype: DType, x: number): number {
  switch (dtype) {
    case 'f64':
      return x;
    case 'f32':
      return Math.fround(x);
    case 'f16':
    case 'bf16':
    case 'f8e4m3':
    case 'f8e5m2':
      return decodeFloat(dtype, encodeFloat(dtype, x));
    case 'i32':
      return x | 0;
    case 'u32':
      return x >>> 0;
    case 'i8':
      return (x << 24) >> 24;
    case 'u8':
      return x & 255;
    case 'bool':
      return x !== 0 ? 1 : 0;
    default:
      return dtype satisfies never;
  }
}
