import type { Value } from '../../../ir/kernel/types.ts';
import type { Ops } from './ops.ts';

/** (atan t - t) / t^3 in powers of t^2 for 0 <= t <= 1: 2^-28.5. */
const ATAN = [
  -0.333333, 0.1999853, -0.14264016, 0.10950881, -0.083993144, 0.057881717, -0.0310976, 0.010869233,
  -0.0017830074,
];
const HALF_PI = 1.5707963267948966;
const HALF_PI_LOW = HALF_PI - Math.fround(HALF_PI);

/** What atan t has beyond t. */
function bend(o: Ops, t: Value): Value {
  const z = o.mul(t, t);
  return o.mul(t, o.mul(z, o.poly(z, ATAN)));
}

/** Above 1: pi/2 - atan(1 / x). Error < 1.3 ulp for all floats. */
export function atan(o: Ops, x: Value): Value {
  const { size, sign } = o.split(x);
  const large = o.lt(1, size);
  const t = o.div(o.select(large, -1, size), o.select(large, size, 1));
  const y = o.add(t, o.add(bend(o, t), o.select(large, HALF_PI_LOW, 0)));
  return o.signed(o.add(o.select(large, HALF_PI, 0), y), sign);
}

/**
 * The angle of the point (x, y), all signs of zeros and infinities as in IEEE 754: the arc tangent
 * of the smaller coordinate over the larger, turned into its octant. Error < 1.55 ulp.
 */
export function atan2(o: Ops, y: Value, x: Value): Value {
  const across = o.split(x);
  const up = o.split(y);
  const steep = o.lt(across.size, up.size);
  const smaller = o.select(steep, across.size, up.size);
  const ratio = o.div(smaller, o.select(steep, up.size, across.size));
  // On the diagonal, or both zero, or both infinite.
  const t = o.select(o.eq(across.size, up.size), o.select(o.lt(0, up.size), 1, 0), ratio);
  const turn = o.xor(across.sign, o.select(steep, o.i(0x80000000), o.i(0)));
  const left = o.lt(across.sign, 0);
  const base = o.select(steep, HALF_PI, o.select(left, 2 * HALF_PI, 0));
  const low = o.mul(base, HALF_PI_LOW / HALF_PI);
  const angle = o.add(o.signed(t, turn), o.add(o.signed(bend(o, t), turn), low));
  return o.signed(o.add(base, angle), up.sign);
}
