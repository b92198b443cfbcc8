import type { Value } from '../../../ir/kernel/types.ts';
import type { Ops } from './ops.ts';

/** Two roundings: error < 1.5 ulp. Zeros give infinities of their sign, as division does. */
export function rsqrt(o: Ops, x: Value): Value {
  return o.div(1, o.sqrt(x));
}

/** Correctly rounded. */
export function reciprocal(o: Ops, x: Value): Value {
  return o.div(1, x);
}

/** -1, 0 or 1; both zeros give +0. The sum lets a NaN through and takes the sign off -0. */
export function sign(o: Ops, x: Value): Value {
  return o.select(o.lt(0, x), 1, o.select(o.lt(x, 0), -1, o.add(x, 0)));
}

/** To the nearest integer, ties to even; keeps the sign of a zero. */
export function round(o: Ops, x: Value): Value {
  return o.nearest(x);
}
