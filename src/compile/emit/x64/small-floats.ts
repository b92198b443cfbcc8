import type { Mnemonic } from '../../../asm/index.ts';
import { type SmallFloat, smallFloatFacts } from '../../../ir/float-formats.ts';
import { type Emitter, floatBits } from './emitter.ts';
import type { View } from './machine.ts';

const EXPONENT = 0x7f800000;
const MAGNITUDE = 0x7fffffff;

/** Arithmetic on vectors of words, each result in a register of its own. */
class Words {
  readonly #e: Emitter;
  readonly #bits: number;

  constructor(e: Emitter, bits: number) {
    this.#e = e;
    this.#bits = bits;
  }

  two(name: Mnemonic, a: View, b: View | number): View {
    const to = this.#e.temporary(this.#bits);
    this.#e.m.writes(name, to, a, typeof b === 'number' ? this.bits(b) : b);
    return to;
  }
  shift(name: 'vpslld' | 'vpsrld' | 'vpsrad', a: View, count: number): View {
    const to = this.#e.temporary(this.#bits);
    this.#e.m.writes(name, to, a, count);
    return to;
  }
  and(a: View, b: View | number): View {
    return this.two('vandps', a, b);
  }
  or(a: View, b: View | number): View {
    return this.two('vorps', a, b);
  }
  add(a: View, b: View | number): View {
    return this.two('vpaddd', a, b);
  }
  sub(a: View, b: View | number): View {
    return this.two('vpsubd', a, b);
  }
  bits(value: number): View {
    return { ...this.#e.constant(value), bits: this.#bits };
  }
  /** a where x < limit, else b: x and limit are bits of positive floats, which are ordered as integers. */
  selectBelow(x: View, limit: number, a: View, b: View): View {
    const { isa, m } = this.#e;
    const below = { ...this.#e.temporary(this.#bits), register: m.virtual(isa.bools) };
    isa.compare(this.#e, below, 'lt', 'i32', x, this.bits(limit));
    const to = this.#e.temporary(this.#bits);
    isa.select(this.#e, to, below.register, a, b);
    return to;
  }
}

/**
 * Turns elements of a small format in the low bits of lanes into floats: exactly.
 *
 * The bits are moved to where f32 has exponent and mantissa; a multiplication then puts the exponent
 * right, for subnormal numbers as well. Infinity and NaN come out as the numbers that would follow
 * the largest one, and get the exponent that marks them.
 */
export function widen(e: Emitter, to: View, dtype: SmallFloat, raw: View): void {
  const w = new Words(e, to.bits);
  if (dtype === 'bf16') {
    e.m.writes('vpslld', to, raw, 16);
    return;
  }
  if (dtype === 'f16') {
    // The instruction reads halves that are neighbours.
    const halves = to.bits === 128 ? raw : e.isa.packed(e, raw, 2);
    e.m.writes('vcvtph2ps', to, halves);
    return;
  }
  const { mantissaBits, magnitudeBits, bias, special, signBit } = smallFloatFacts(dtype);
  const shift = 23 - mantissaBits;
  const magnitude = w.shift('vpslld', w.and(raw, magnitudeBits), shift);
  const sign = w.shift('vpslld', w.and(raw, signBit), 31 - Math.log2(signBit));
  const value = w.two('vmulps', magnitude, floatBits(2 ** (127 - bias)));
  const marked = w.selectBelow(value, floatBits(special), value, w.or(value, EXPONENT));
  e.m.writes('vorps', to, marked, sign);
}

/** Floats as halves side by side; every NaN becomes the one NaN of `encodeFloat`. */
export function toHalves(e: Emitter, x: View): View {
  const w = new Words(e, x.bits);
  const quiet = w.selectBelow(w.and(x, MAGNITUDE), EXPONENT + 1, x, w.bits(0x7fc00000));
  const halves = e.temporary(Math.max(128, x.bits / 2));
  e.m.writes('vcvtps2ph', halves, quiet, 0);
  return halves;
}

/**
 * Turns floats into elements of a small format in the low bits of lanes, to the nearest, ties to
 * even; every NaN into the one NaN of `encodeFloat`.
 */
export function narrow(e: Emitter, dtype: SmallFloat, x: View): View {
  const w = new Words(e, x.bits);
  const { mantissaBits, bias, nan, beyond, overflow, signBit } = smallFloatFacts(dtype);
  const size = w.and(x, MAGNITUDE);
  let bits: View;
  if (dtype === 'bf16') {
    const odd = w.and(w.shift('vpsrld', x, 16), 1);
    bits = w.shift('vpsrld', w.add(w.add(x, 0x7fff), odd), 16);
  } else {
    // Adding 2^(e + 23 - mantissaBits) leaves |x| in units of its last place in the low bits.
    const shift = 23 - mantissaBits;
    const least = floatBits(2 ** (1 - bias));
    const exponent = w.and(w.two('vpmaxsd', size, least), EXPONENT);
    const scale = w.add(exponent, shift << 23);
    const units = w.sub(w.two('vaddps', size, scale), scale);
    // The units carry into the exponent that is left in the scale.
    const carried = w.add(units, w.shift('vpsrld', scale, shift));
    const placed = w.sub(carried, (shift + 128 - bias) << mantissaBits);
    const limited = w.selectBelow(size, floatBits(overflow), placed, w.bits(beyond));
    const sign = w.and(w.shift('vpsrld', x, 31 - Math.log2(signBit)), signBit);
    bits = w.or(limited, sign);
  }
  return w.selectBelow(size, EXPONENT + 1, bits, w.bits(nan));
}
