/** What integer instructions mean, on bigints: the oracle of the tests. Throws where they trap. */
export type IntegerOperation = (bits: number, a: bigint, b: bigint) => bigint;

export const signed = (bits: number, value: bigint): bigint => BigInt.asIntN(bits, value);
export const unsigned = (bits: number, value: bigint): bigint => BigInt.asUintN(bits, value);
export const clamp = (value: bigint, low: bigint, high: bigint): bigint =>
  value < low ? low : value > high ? high : value;
export const saturate = (bits: number, sign: boolean, value: bigint): bigint =>
  sign
    ? clamp(value, -(1n << BigInt(bits - 1)), (1n << BigInt(bits - 1)) - 1n)
    : clamp(value, 0n, (1n << BigInt(bits)) - 1n);

const flag = (condition: boolean): bigint => (condition ? 1n : 0n);
const count = (bits: number, b: bigint): bigint => unsigned(bits, b) % BigInt(bits);
const digits = (bits: number, a: bigint): string =>
  unsigned(bits, a).toString(2).padStart(bits, '0');

function divide(bits: number, a: bigint, b: bigint): bigint {
  if (b === 0n) throw new RangeError('divide by zero');
  if (signed(bits, a / b) !== a / b && a < 0n) throw new RangeError('overflow');
  return a / b;
}

function remainder(a: bigint, b: bigint): bigint {
  if (b === 0n) throw new RangeError('divide by zero');
  return a % b;
}

const rotateLeft = (bits: number, a: bigint, by: bigint): bigint =>
  (unsigned(bits, a) << by) | (unsigned(bits, a) >> (BigInt(bits) - by));

/** By the operation's name; results are still to be wrapped to the width. */
export const INTEGER_OPERATIONS: Readonly<Record<string, IntegerOperation>> = {
  eqz: (n, a) => flag(unsigned(n, a) === 0n),
  eq: (n, a, b) => flag(signed(n, a) === signed(n, b)),
  ne: (n, a, b) => flag(signed(n, a) !== signed(n, b)),
  lt_s: (n, a, b) => flag(signed(n, a) < signed(n, b)),
  lt_u: (n, a, b) => flag(unsigned(n, a) < unsigned(n, b)),
  gt_s: (n, a, b) => flag(signed(n, a) > signed(n, b)),
  gt_u: (n, a, b) => flag(unsigned(n, a) > unsigned(n, b)),
  le_s: (n, a, b) => flag(signed(n, a) <= signed(n, b)),
  le_u: (n, a, b) => flag(unsigned(n, a) <= unsigned(n, b)),
  ge_s: (n, a, b) => flag(signed(n, a) >= signed(n, b)),
  ge_u: (n, a, b) => flag(unsigned(n, a) >= unsigned(n, b)),
  clz: (n, a) => BigInt(`${digits(n, a)}1`.indexOf('1')),
  ctz: (n, a) => BigInt(n - 1 - `1${digits(n, a)}`.lastIndexOf('1') + 1),
  popcnt: (n, a) => BigInt(digits(n, a).replaceAll('0', '').length),
  add: (_, a, b) => a + b,
  sub: (_, a, b) => a - b,
  mul: (_, a, b) => a * b,
  div_s: (n, a, b) => divide(n, signed(n, a), signed(n, b)),
  div_u: (n, a, b) => divide(n, unsigned(n, a), unsigned(n, b)),
  rem_s: (n, a, b) => remainder(signed(n, a), signed(n, b)),
  rem_u: (n, a, b) => remainder(unsigned(n, a), unsigned(n, b)),
  and: (_, a, b) => a & b,
  or: (_, a, b) => a | b,
  xor: (_, a, b) => a ^ b,
  shl: (n, a, b) => a << count(n, b),
  shr_s: (n, a, b) => signed(n, a) >> count(n, b),
  shr_u: (n, a, b) => unsigned(n, a) >> count(n, b),
  rotl: (n, a, b) => rotateLeft(n, a, count(n, b)),
  rotr: (n, a, b) => rotateLeft(n, a, (BigInt(n) - count(n, b)) % BigInt(n)),
  extend8_s: (_, a) => signed(8, a),
  extend16_s: (_, a) => signed(16, a),
  extend32_s: (_, a) => signed(32, a),
  neg: (_, a) => -a,
  abs: (n, a) => (signed(n, a) < 0n ? -a : a),
  min_s: (n, a, b) => (signed(n, a) < signed(n, b) ? a : b),
  min_u: (n, a, b) => (unsigned(n, a) < unsigned(n, b) ? a : b),
  max_s: (n, a, b) => (signed(n, a) > signed(n, b) ? a : b),
  max_u: (n, a, b) => (unsigned(n, a) > unsigned(n, b) ? a : b),
  avgr_u: (n, a, b) => (unsigned(n, a) + unsigned(n, b) + 1n) / 2n,
  add_sat_s: (n, a, b) => saturate(n, true, signed(n, a) + signed(n, b)),
  add_sat_u: (n, a, b) => saturate(n, false, unsigned(n, a) + unsigned(n, b)),
  sub_sat_s: (n, a, b) => saturate(n, true, signed(n, a) - signed(n, b)),
  sub_sat_u: (n, a, b) => saturate(n, false, unsigned(n, a) - unsigned(n, b)),
  q15mulr_sat_s: (n, a, b) => saturate(n, true, (signed(n, a) * signed(n, b) + 0x4000n) >> 15n),
};
