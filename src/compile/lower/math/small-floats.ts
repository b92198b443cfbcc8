import { type SmallFloat, smallFloatFacts } from '../../../ir/float-formats.ts';
import type { KernelBuilder } from '../../../ir/kernel/builder.ts';
import type { Value } from '../../../ir/kernel/types.ts';
import { Ops } from './ops.ts';

/**
 * The small float formats in registers: what a load or a store does to an element, as operations of
 * the kernel IR. Values are f32; the bits of an element are the low bits of an i32.
 */
const EXPONENT = 0x7f800000;

/**
 * 2^(e + 23 - mantissaBits) for 2^e <= size < 2^(e+1), e not below that of subnormal numbers: added
 * to `size`, it pushes out what the format has no bits for. Not for sizes near infinity.
 */
function pusher(o: Ops, dtype: SmallFloat, size: Value): Value {
  const { mantissaBits, bias } = smallFloatFacts(dtype);
  const least = (128 - bias) << 23;
  return o.float(o.add(o.and(o.max(o.bits(size), least), EXPONENT), (23 - mantissaBits) << 23));
}

/** bf16 is the upper half of f32: to the nearest by integers, where no exponent can overflow. */
function roundHalf(o: Ops, x: Value): Value {
  const bits = o.bits(x);
  const odd = o.and(o.shr(bits, 16), 1);
  return o.add(o.add(bits, 0x7fff), odd);
}

/** To the nearest number of a small format, ties to even; as `roundTo` does. At most 12 operations. */
export function roundSmall(b: KernelBuilder, dtype: SmallFloat, x: Value): Value {
  const o = new Ops(b);
  if (dtype === 'bf16') {
    return o.select(o.eq(x, x), o.float(o.and(roundHalf(o, x), -65536)), x);
  }
  const { size, sign } = o.split(x);
  const { overflow } = smallFloatFacts(dtype);
  const push = pusher(o, dtype, size);
  const rounded = o.sub(o.add(size, push), push);
  // Infinity for what is too large, and NaN stays NaN; f8e4m3 has NaN for both.
  const beyond = dtype === 'f8e4m3' ? Number.NaN : o.mul(size, Number.POSITIVE_INFINITY);
  return o.signed(o.select(o.lt(size, overflow), rounded, beyond), sign);
}

/** The bits of an f32 in a small format: `encodeFloat`. */
export function encodeSmall(b: KernelBuilder, dtype: SmallFloat, x: Value): Value {
  const o = new Ops(b);
  const { mantissaBits, bias, nan, beyond, overflow, signBit } = smallFloatFacts(dtype);
  const orNaN = (bits: Value) => o.select(o.eq(x, x), bits, o.i(nan));
  if (dtype === 'bf16') return orNaN(o.and(o.shr(roundHalf(o, x), 16), 0xffff));
  const { size, sign } = o.split(x);
  const push = pusher(o, dtype, size);
  const shift = 23 - mantissaBits;
  const units = o.sub(o.bits(o.add(size, push)), o.bits(push));
  const code = o.add(units, o.shr(o.bits(push), shift));
  const finite = o.sub(code, (shift + 128 - bias) << mantissaBits);
  const magnitude = o.select(o.lt(size, overflow), finite, o.i(beyond));
  return orNaN(o.or(magnitude, o.and(o.shr(sign, 31 - Math.log2(signBit)), signBit)));
}

/** The number that the bits of a small format stand for: `decodeFloat`. */
export function decodeSmall(b: KernelBuilder, dtype: SmallFloat, bits: Value): Value {
  const o = new Ops(b);
  if (dtype === 'bf16') return o.float(o.shl(bits, 16));
  const { mantissaBits, magnitudeBits, bias, special, signBit } = smallFloatFacts(dtype);
  const moved = o.shl(o.and(bits, magnitudeBits), 23 - mantissaBits);
  const size = o.mul(o.float(moved), 2 ** (127 - bias));
  const marked = o.select(o.lt(size, special), o.bits(size), o.or(o.bits(size), EXPONENT));
  const sign = o.shl(o.and(bits, signBit), 31 - Math.log2(signBit));
  return o.float(o.or(marked, sign));
}
