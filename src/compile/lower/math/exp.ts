import type { Value } from '../../../ir/kernel/types.ts';
import { LN2_HI, LN2_LO } from './ln2.ts';
import type { Ops } from './ops.ts';

/**
 * Exponentials: x = n ln 2 + r with |r| <= ln 2 / 2, a polynomial for e^r, and a scaling by 2^n.
 *
 * Rounding to n: adding 1.5 * 2^23 leaves the integer in the low bits of the sum's pattern, where
 * integer instructions can clamp it and shift it into an exponent; no conversion is needed.
 */
const ROUNDER = 1.5 * 2 ** 23;
const ROUNDER_BITS = 0x4b400000;

/** (e^r - 1 - r) / r^2, minimax for the error relative to e^r: 2^-28.2. */
const EXP = [0.49999994, 0.16666517, 0.041668102, 0.0083691655, 0.0013838015];
/** The same for the error relative to e^r - 1: 2^-26.1. */
const EXPM1 = [0.49999997, 0.16666539, 0.04166775, 0.008367088, 0.0013837861];
/** (2^r - 1) / r for |r| <= 1/2: 2^-26.3 of 2^r. */
const EXP2 = [0.6931472, 0.24022594, 0.055503663, 0.009625435, 0.0013387916, 0.00013337487];

/**
 * p 2^n where the low bits of `biased` hold n + 254. Two factors: 2^n itself is no number for the
 * n that subnormal results and those just below overflow need. Only the last product rounds.
 */
function scale(o: Ops, p: Value, biased: Value): Value {
  const half = o.shr(biased, 1);
  const first = o.float(o.shl(half, 23));
  const second = o.float(o.shl(o.sub(biased, half), 23));
  return o.mul(o.mul(p, first), second);
}

/**
 * e^x for all floats, subnormal results included. Error < 1 ulp. 20 operations.
 * A large x needs no clamp of its own: n is clamped, r grows, and the product overflows.
 */
export function exp(o: Ops, x: Value): Value {
  const clamped = o.select(o.lt(x, -104), -104, x);
  const sum = o.fma(clamped, Math.LOG2E, ROUNDER + 254);
  const biased = o.min(o.bits(sum), ROUNDER_BITS + 254 + 129);
  const n = o.sub(o.float(biased), ROUNDER + 254);
  const r = o.fma(n, -LN2_LO, o.fma(n, -LN2_HI, clamped));
  const p = o.add(1, o.fma(o.mul(r, r), o.poly(r, EXP), r));
  return scale(o, p, biased);
}

/** 2^x, exact for integers, subnormal results included. Error < 1.2 ulp. 19 operations. */
export function exp2(o: Ops, x: Value): Value {
  const clamped = o.select(o.lt(x, -151), -151, x);
  const biased = o.min(o.bits(o.add(clamped, ROUNDER + 254)), ROUNDER_BITS + 254 + 129);
  const r = o.sub(clamped, o.sub(o.float(biased), ROUNDER + 254));
  return scale(o, o.add(1, o.mul(r, o.poly(r, EXP2))), biased);
}

/** 2^(high + low) where low is the smaller part by far and the sum's size at most 160. */
export function exp2Sum(o: Ops, high: Value, low: Value): Value {
  const sum = o.add(o.add(high, low), ROUNDER + 254);
  const r = o.add(o.sub(high, o.sub(sum, ROUNDER + 254)), low);
  return scale(o, o.add(1, o.mul(r, o.poly(r, EXP2))), o.bits(sum));
}

/**
 * e^x - 1 = 2^n (e^r - 1) + (2^n - 1), halved until the end so that n = 128 has its power of two.
 * Error < 1.65 ulp for all floats, the most where the sum of unlike signs is near 0.4.
 */
export function expm1(o: Ops, x: Value): Value {
  const clamped = o.select(o.lt(x, -18), -18, x);
  const sum = o.add(o.mul(clamped, Math.LOG2E), ROUNDER + 126);
  const biased = o.min(o.bits(sum), ROUNDER_BITS + 126 + 128);
  const n = o.sub(o.float(biased), ROUNDER + 126);
  const r = o.sub(o.sub(clamped, o.mul(n, LN2_HI)), o.mul(n, LN2_LO));
  const p = o.add(r, o.mul(o.mul(r, r), o.poly(r, EXPM1)));
  const half = o.float(o.shl(biased, 23));
  const sum2 = o.add(o.mul(half, p), o.sub(half, 0.5));
  // Below 2^-24 the result is x itself: the halves above would lose its last bit or its sign.
  return o.select(o.lt(o.abs(x), 2 ** -24), x, o.add(sum2, sum2));
}
