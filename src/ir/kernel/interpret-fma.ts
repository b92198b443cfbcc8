/** a b + c rounded once, for hosts that have no such instruction in reach. */

const word = new Float64Array(1);
const halves = new Uint32Array(word.buffer);
const LOW = lowHalf();

/** Which of the two halves of a double holds the last bits of its mantissa. */
function lowHalf(): number {
  word[0] = Number.MIN_VALUE;
  return halves[0] === 1 ? 0 : 1;
}

/**
 * a b + c in f32 with one rounding. The product of two f32 is exact in a double; the sum is rounded
 * to odd there, so that rounding it again to f32 gives what a single rounding would (Boldo and
 * Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to
 * odd").
 */
export function fma32(a: number, b: number, c: number): number {
  const product = a * b;
  const sum = product + c;
  if (!Number.isFinite(sum)) return Math.fround(sum);
  const taken = sum - product;
  const error = product - (sum - taken) + (c - taken);
  if (error === 0) return Math.fround(sum);
  word[0] = sum;
  if (halves[LOW] % 2 === 0) {
    if (error > 0 === sum > 0) halves[LOW]++;
    else if (halves[LOW]-- === 0) halves[1 - LOW]--;
  }
  return Math.fround(word[0]);
}

/** A finite double as mantissa x 2^exponent. */
function parts(x: number): { mantissa: bigint; exponent: number } {
  word[0] = x;
  const high = halves[1 - LOW];
  const field = (high >>> 20) & 0x7ff;
  const fraction = (BigInt(high & 0xfffff) << 32n) | BigInt(halves[LOW]);
  const magnitude = field === 0 ? fraction : fraction | (1n << 52n);
  return { mantissa: high >>> 31 ? -magnitude : magnitude, exponent: Math.max(field, 1) - 1075 };
}

/** mantissa x 2^exponent as the nearest double, ties to even. */
function nearestDouble(mantissa: bigint, exponent: number): number {
  const negative = mantissa < 0n;
  let digits = negative ? -mantissa : mantissa;
  const bits = digits.toString(2).length;
  // Below 2^-1074 there is no bit to keep: subnormals lose theirs here, in the same rounding.
  const drop = Math.max(bits - 53, -1074 - exponent);
  let scale = exponent;
  if (drop > 0) {
    const count = BigInt(drop);
    const rest = digits & ((1n << count) - 1n);
    const half = 1n << (count - 1n);
    digits >>= count;
    if (rest > half || (rest === half && digits % 2n === 1n)) digits++;
    scale += drop;
  }
  // Two factors, for 2^scale alone may be out of range while the result is not.
  const first = Math.max(-1000, Math.min(900, scale));
  const magnitude = Number(digits) * 2 ** first * 2 ** (scale - first);
  return negative ? -magnitude : magnitude;
}

/** a b + c in f64 with one rounding, by exact integer arithmetic; slow. */
export function fma64(a: number, b: number, c: number): number {
  const rough = a * b;
  // Only finite, non-zero terms need more than the plain expression, which is exact otherwise.
  if (!Number.isFinite(a) || !Number.isFinite(b) || !Number.isFinite(c)) return rough + c;
  if (a === 0 || b === 0) return rough + c;
  const x = parts(a);
  const y = parts(b);
  const z = parts(c);
  const product = x.mantissa * y.mantissa;
  const exponent = x.exponent + y.exponent;
  const scale = Math.min(exponent, z.exponent);
  const sum = (product << BigInt(exponent - scale)) + (z.mantissa << BigInt(z.exponent - scale));
  // An exact zero: from terms that cancel it is +0 (c is not 0 here, the product being non-zero).
  if (sum === 0n) return 0;
  return nearestDouble(sum, scale);
}
