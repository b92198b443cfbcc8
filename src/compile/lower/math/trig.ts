import type { Value } from '../../../ir/kernel/types.ts';
import type { Ops } from './ops.ts';

/** Beyond, the parts of pi/2 below do not suffice: NaN, rather than digits that mean nothing. */
const LIMIT = 3 * 2 ** 22;
const TWO_OVER_PI = 0.6366197723675814;
/** pi / 2 = C1 + C2 + C3 + C4 + C5, the first four with 12 bits each. */
const C1 = 0xc90 / 2 ** 11;
const C2 = 0xfda / 2 ** 23;
const C3 = 0xa22 / 2 ** 35;
const C4 = 0x168 / 2 ** 47;
const C5 = 5.390302858158119e-15;

/** (sin r - r) / r^3 in powers of r^2, |r| <= pi / 4: 2^-27.9. */
const SIN = [-0.16666655, 0.008332187, -0.00019517897];
/** (cos r - 1 + r^2 / 2) / r^4 in powers of r^2: 2^-33. */
const COS = [0.041666646, -0.001388731, 0.000024432327];
/** (tan r - r) / r^3 in powers of r^2: 2^-29.5. */
const TAN = [
  0.3333335, 0.13332672, 0.054059446, 0.02128277, 0.010837704, 0.00008385931, 0.0043803686,
];

interface Reduced {
  /** Quarter turns: right in the two low bits. */
  readonly n: Value;
  /** r = sum + tail; rounded where that suffices. */
  readonly sum: Value;
  readonly tail: Value;
}

/**
 * x = n pi/2 + r for 0 <= x < LIMIT. The products of n's two halves with the parts of pi/2 are
 * exact, and so are the differences while x cancels against them; the first difference that rounds
 * is compensated. A second, small n repairs the first, which may be a unit off.
 */
function reduce(o: Ops, size: Value): Reduced {
  const x = o.select(o.lt(size, LIMIT), size, NaN);
  const n1 = o.nearest(o.mul(x, TWO_OVER_PI));
  const high = o.sub(o.add(n1, 1.5 * 2 ** 35), 1.5 * 2 ** 35);
  const low = o.sub(n1, high);
  let a = o.sub(o.sub(x, o.mul(high, C1)), o.mul(low, C1));
  a = o.sub(o.sub(a, o.mul(high, C2)), o.mul(low, C2));
  a = o.sub(a, o.mul(high, C3));
  const n2 = o.nearest(o.mul(a, TWO_OVER_PI));
  a = o.sub(a, o.mul(n2, C1 + C2));
  const next = o.add(o.mul(low, C3), o.mul(high, C4));
  const sum = o.sub(a, next);
  const error = o.sub(o.sub(a, sum), next);
  const last = o.add(o.add(o.mul(low, C4), o.mul(n1, C5)), o.mul(n2, C3 + C4));
  return { n: o.bits(o.add(o.add(n1, n2), 2 ** 23)), sum, tail: o.sub(error, last) };
}

function sinPart(o: Ops, r: Value, z: Value): Value {
  return o.add(r, o.mul(r, o.mul(z, o.poly(z, SIN))));
}
function cosPart(o: Ops, z: Value): Value {
  return o.sub(1, o.sub(o.mul(z, 0.5), o.mul(o.mul(z, z), o.poly(z, COS))));
}

/** sin or cos of a reduced angle after `quarter` turns. */
function turned(o: Ops, quarter: Value, { sum, tail }: Reduced): Value {
  const r = o.add(sum, tail);
  const z = o.mul(r, r);
  const even = o.eq(o.and(quarter, 1), 0);
  const y = o.select(even, sinPart(o, r, z), cosPart(o, z));
  return o.signed(y, o.shl(o.and(quarter, 2), 30));
}

/** Error < 1.55 ulp for |x| < LIMIT. 62 operations, as cos. */
export function sin(o: Ops, x: Value): Value {
  const { size, sign } = o.split(x);
  const angle = reduce(o, size);
  return o.signed(turned(o, angle.n, angle), sign);
}

/** Error < 1.55 ulp for |x| < LIMIT. */
export function cos(o: Ops, x: Value): Value {
  const angle = reduce(o, o.abs(x));
  return turned(o, o.add(angle.n, 1), angle);
}

/** Error < 1.95 ulp for |x| <= 2^23, < 2.1 to LIMIT. 62 operations. */
export function tan(o: Ops, x: Value): Value {
  const { size, sign } = o.split(x);
  const { n, sum, tail } = reduce(o, size);
  const z = o.mul(sum, sum);
  const bend = o.mul(sum, o.mul(z, o.poly(z, TAN)));
  // The tail times the slope of tan, which is 1 at 0 and 2 at pi / 4; 0.1 off between them.
  const slanted = o.add(tail, o.mul(tail, o.mul(z, 1.6)));
  const t = o.add(sum, o.add(bend, slanted));
  const even = o.eq(o.and(n, 1), 0);
  return o.signed(o.select(even, t, o.div(-1, t)), sign);
}
