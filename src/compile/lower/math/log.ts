import type { Value } from '../../../ir/kernel/types.ts';
import { LN2_HI, LN2_LO } from './ln2.ts';
import type { Ops } from './ops.ts';

/**
 * Logarithms: x = 2^k (1 + f) with 1 + f between sqrt(1/2) and sqrt(2). With s = f / (2 + f),
 * log(1 + f) = 2 atanh(s) = f - s (f - R), R = s^2 Q(s^2): f is exact and the rest is small.
 */
const SQRT_HALF_BITS = 0x3f3504f3;
const SMALLEST_NORMAL = 2 ** -126;

/** (2 atanh(s) / s - 2) / s^2 in powers of s^2: 2^-30.2 of the logarithm. */
const ATANH = [0.66666776, 0.39977568, 0.2987146];
/** The same over ln 2: 2^-29.6. */
const ATANH_LOG2 = [0.9617983, 0.57674944, 0.43109047];
const LOG2_E_LESS_1 = Math.LOG2E - 1;

interface Split {
  /** The integer exponent. */
  readonly e: Value;
  readonly f: Value;
}

/** x = 2^e (1 + f) for a positive normal number. */
function splitNormal(o: Ops, x: Value): Split {
  const bits = o.bits(x);
  const e = o.shr(o.sub(bits, SQRT_HALF_BITS), 23);
  return { e, f: o.sub(o.float(o.sub(bits, o.shl(e, 23))), 1) };
}

/** The same for subnormal numbers too, e as a float. */
export function splitPositive(o: Ops, x: Value): { k: Value; f: Value } {
  const small = o.lt(x, SMALLEST_NORMAL);
  const { e, f } = splitNormal(o, o.select(small, o.mul(x, 2 ** 23), x));
  return { k: o.add(o.toFloat(e), o.select(small, -23, 0)), f };
}

/** What is to be taken from k ln 2 + f to get the logarithm. */
function rest(o: Ops, f: Value): Value {
  const s = o.div(f, o.add(f, 2));
  const z = o.mul(s, s);
  return o.mul(s, o.sub(f, o.mul(z, o.poly(z, ATANH))));
}

function natural(o: Ops, k: Value, f: Value): Value {
  const small = o.sub(rest(o, f), o.mul(k, LN2_LO));
  return o.add(o.mul(k, LN2_HI), o.sub(f, small));
}

/** `y` for positive finite numbers, else what every logarithm gives: for 0, below 0, inf, NaN. */
function outside(o: Ops, x: Value, y: Value): Value {
  const low = o.select(o.eq(x, 0), -Infinity, NaN);
  return o.select(o.lt(0, x), o.select(o.lt(x, Infinity), y, x), low);
}

/** The natural logarithm of all floats. Error < 0.95 ulp. 30 operations. */
export function log(o: Ops, x: Value): Value {
  const { k, f } = splitPositive(o, x);
  return outside(o, x, natural(o, k, f));
}

/** Exact for powers of two. Error < 1.4 ulp for all floats. 30 operations. */
export function log2(o: Ops, x: Value): Value {
  const { k, f } = splitPositive(o, x);
  const s = o.div(f, o.add(f, 2));
  const z = o.mul(s, s);
  // f log2 e = f + part, where only the smaller summand is rounded.
  const part = o.mul(f, LOG2_E_LESS_1);
  const bent = o.sub(o.add(f, part), o.mul(z, o.poly(z, ATANH_LOG2)));
  return outside(o, x, o.add(k, o.add(f, o.sub(part, o.mul(s, bent)))));
}

/**
 * log(1 + x) for all floats, error < 1.55 ulp. What is lost in rounding 1 + x is scaled like the
 * rest and added to f: for x near 0, f is then x itself. 38 operations.
 */
export function log1p(o: Ops, x: Value): Value {
  const u = o.add(x, 1);
  const x1 = o.sub(u, 1);
  const lost = o.add(o.sub(x, x1), o.sub(1, o.sub(u, x1)));
  const { e, f } = splitNormal(o, u);
  // 2^-e; e = 128 has none, and nothing is missed there.
  const scale = o.float(o.sub(0x3f800000, o.shl(o.min(e, 127), 23)));
  const y = natural(o, o.toFloat(e), o.add(f, o.mul(lost, scale)));
  return o.select(o.eq(x, 0), x, outside(o, u, y));
}
