import type { Value } from '../../../ir/kernel/types.ts';
import { exp2Sum } from './exp.ts';
import { splitPositive } from './log.ts';
import type { Ops } from './ops.ts';

/** A number as a head of 12 bits and what is left: products of heads are exact. */
interface Pair {
  readonly head: Value;
  readonly tail: Value;
}

/**
 * log2(1 + f) = s (A + B s^2 + s^4 Q(s^2)) with s = f / (2 + f); A = 2 / ln 2 and B = A / 3 in
 * two parts each. Q: 2^-36.8 of the logarithm.
 */
const A_HEAD = 2.884765625;
const A_TAIL = 2 * Math.LOG2E - A_HEAD;
const B_HEAD = 0.961669921875;
const B_TAIL = (2 * Math.LOG2E) / 3 - B_HEAD;
const Q = [0.5770802, 0.41184977, 0.337827];

/** log2 of a positive number to about 2^-33 of itself. */
function log2Pair(o: Ops, x: Value): Pair {
  const { k, f } = splitPositive(o, x);
  const d = o.add(f, 2);
  const dHead = o.head(d);
  const dTail = o.sub(f, o.sub(dHead, 2));
  const inverse = o.div(1, d);
  const s = o.mul(f, inverse);
  const sHead = o.head(s);
  const missed = o.sub(o.sub(f, o.mul(sHead, dHead)), o.mul(sHead, dTail));
  const sTail = o.mul(missed, inverse);

  const square = o.mul(sHead, sHead);
  const squareRest = o.mul(sTail, o.add(s, sHead));
  const z = o.add(square, squareRest);
  const zHead = o.head(z);
  const zTail = o.sub(squareRest, o.sub(zHead, square));

  const q = o.mul(z, o.poly(z, Q));
  const b = o.add(q, B_HEAD);
  const bHead = o.head(b);
  const bTail = o.add(o.add(o.sub(B_HEAD, bHead), q), B_TAIL);

  const bz = o.mul(zHead, bHead);
  const bzRest = o.add(o.mul(z, bTail), o.mul(zTail, bHead));
  const a = o.add(bz, A_HEAD);
  const aHead = o.head(a);
  const aTail = o.add(o.add(o.sub(A_HEAD, aHead), bz), o.add(bzRest, A_TAIL));

  const log = o.mul(sHead, aHead);
  const logRest = o.add(o.mul(sTail, o.add(aHead, aTail)), o.mul(sHead, aTail));
  const total = o.add(k, o.add(log, logRest));
  const lost = o.add(o.add(o.sub(k, total), log), logRest);
  const head = o.head(total);
  return { head, tail: o.add(lost, o.sub(total, head)) };
}

/** |x|^y = 2^(y log2 |x|), without the sign and the exceptions that only concern signs. */
function magnitude(o: Ops, size: Value, y: Value): Value {
  const log = log2Pair(o, size);
  const yHead = o.head(y);
  const high = o.mul(yHead, log.head);
  const low = o.add(o.mul(y, log.tail), o.mul(o.sub(y, yHead), log.head));
  // Beyond all exponents (y infinite: NaN here), or x itself is: 0 or infinity.
  const way = o.select(o.lt(1, size), y, o.neg(y));
  const extreme = o.select(o.lt(0, way), Infinity, o.select(o.lt(way, 0), 0, way));
  const finite = o.select(o.lt(o.abs(o.add(high, low)), 160), exp2Sum(o, high, low), extreme);
  const inside = o.select(o.lt(size, Infinity), finite, extreme);
  return o.select(o.eq(size, 1), 1, o.select(o.lt(0, size), inside, extreme));
}

/**
 * x to the power y within 1.3 ulp (sampled, not proven), with all exceptions of IEEE 754: 1 for
 * y = 0 and for x = 1 whatever the other is, NaN for a negative x with a y that is no integer.
 */
export function pow(o: Ops, x: Value, y: Value): Value {
  const { size, sign } = o.split(x);
  const half = o.mul(y, 0.5);
  const whole = o.eq(o.trunc(y), y);
  // Odd: an integer whose half is none.
  const turned = o.select(o.eq(o.trunc(half), half), o.i(0), sign);
  const plain = magnitude(o, size, y);
  const ofInteger = o.signed(plain, turned);
  const ofFraction = o.select(o.lt(x, 0), o.select(o.lt(size, Infinity), NaN, plain), plain);
  const result = o.select(whole, ofInteger, ofFraction);
  const orNaN = o.select(o.eq(x, x), o.select(o.eq(y, y), result, y), x);
  return o.select(o.eq(x, 1), 1, o.select(o.eq(y, 0), 1, orNaN));
}
