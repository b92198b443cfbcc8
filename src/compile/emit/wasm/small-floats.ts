import type { FunctionBuilder } from '../../../asm/index.ts';
import { type SmallFloat, smallFloatFacts } from '../../../ir/float-formats.ts';
import { LANES } from './lanes.ts';

const EXPONENT = 0x7f800000;

/** Writes the same arithmetic for one lane or for four: floats as bits, in i32 or v128 locals. */
class Words {
  readonly #f: FunctionBuilder;
  readonly #single: boolean;

  constructor(f: FunctionBuilder, lanes: number) {
    this.#f = f;
    this.#single = lanes === 1;
  }

  /** Takes what lies on the stack (bits) into a local. */
  set(): number {
    const local = this.#f.local(this.#single ? 'i32' : 'v128');
    this.#f.emit('local.set', local);
    return local;
  }
  get(local: number): this {
    this.#f.emit('local.get', local);
    return this;
  }
  bits(value: number): this {
    if (this.#single) this.#f.emit('i32.const', value | 0);
    else this.#f.emit('v128.const', new Uint8Array(new Int32Array(LANES).fill(value).buffer));
    return this;
  }
  number(value: number): this {
    return this.bits(new Int32Array(Float32Array.of(value).buffer)[0]);
  }

  and(value: number): this {
    this.bits(value);
    this.#f.emit(this.#single ? 'i32.and' : 'v128.and');
    return this;
  }
  or(): this {
    this.#f.emit(this.#single ? 'i32.or' : 'v128.or');
    return this;
  }
  add(): this {
    this.#f.emit(this.#single ? 'i32.add' : 'i32x4.add');
    return this;
  }
  sub(): this {
    this.#f.emit(this.#single ? 'i32.sub' : 'i32x4.sub');
    return this;
  }
  shl(count: number): this {
    this.#f.emit('i32.const', count).emit(this.#single ? 'i32.shl' : 'i32x4.shl');
    return this;
  }
  shr(count: number): this {
    this.#f.emit('i32.const', count).emit(this.#single ? 'i32.shr_u' : 'i32x4.shr_u');
    return this;
  }
  /** The larger of a local and a constant, as signed integers. */
  largest(local: number, value: number): this {
    this.get(local).bits(value);
    if (!this.#single) {
      this.#f.emit('i32x4.max_s');
      return this;
    }
    this.get(local).bits(value);
    this.#f.emit('i32.gt_s').emit('select');
    return this;
  }
  /** A float operation on two operands pushed as bits. */
  float(fn: 'add' | 'mul', x: () => void, y: () => void): this {
    const f = this.#f;
    x();
    if (!this.#single) {
      y();
      f.emit(fn === 'add' ? 'f32x4.add' : 'f32x4.mul');
      return this;
    }
    f.emit('f32.reinterpret_i32');
    y();
    f.emit('f32.reinterpret_i32').emit(fn === 'add' ? 'f32.add' : 'f32.mul');
    f.emit('i32.reinterpret_f32');
    return this;
  }
  /**
   * Chooses between the two on the stack: the first where x < limit (bits of positive floats,
   * which are ordered as integers are).
   */
  selectBelow(x: number, limit: number): this {
    this.get(x).bits(limit);
    this.#f.emit(this.#single ? 'i32.lt_s' : 'i32x4.lt_s');
    this.#f.emit(this.#single ? 'select' : 'v128.bitselect');
    return this;
  }
  /** `bits` where x >= limit, compared the same way; elsewhere 0. */
  bitsFrom(x: number, limit: number, bits: number): this {
    this.get(x).bits(limit);
    if (this.#single) {
      this.#f.emit('i32.ge_s').emit('i32.const', bits).emit('i32.mul');
      return this;
    }
    this.#f.emit('i32x4.ge_s');
    return this.and(bits);
  }
}

/**
 * Turns elements of a small format, sign-extended on the stack, into floats: exactly.
 *
 * The bits are moved to where f32 has exponent and mantissa; a multiplication then puts the exponent
 * right, for subnormal numbers as well. Infinity and NaN come out as the numbers that would follow
 * the largest one, and get the exponent that marks them.
 */
export function emitWiden(f: FunctionBuilder, dtype: SmallFloat, lanes: number): void {
  const w = new Words(f, lanes);
  if (dtype === 'bf16') {
    w.shl(16);
  } else {
    const { mantissaBits, magnitudeBits, bias, special } = smallFloatFacts(dtype);
    const shift = 23 - mantissaBits;
    const moved = w
      .shl(shift)
      .and(-(2 ** 31) | (magnitudeBits << shift))
      .set();
    const value = w
      .float(
        'mul',
        () => w.get(moved),
        () => w.number(2 ** (127 - bias)),
      )
      .set();
    const size = w.get(value).and(0x7fffffff).set();
    w.get(value).bitsFrom(size, floatBits(special), EXPONENT).or();
  }
  if (lanes === 1) f.emit('f32.reinterpret_i32');
}

/**
 * Turns floats on the stack into elements of a small format (in the low bits), to the nearest, ties
 * to even; every NaN into the one NaN of `encodeFloat`.
 */
export function emitNarrow(f: FunctionBuilder, dtype: SmallFloat, lanes: number): void {
  const w = new Words(f, lanes);
  const { mantissaBits, bias, nan, beyond, overflow, signBit } = smallFloatFacts(dtype);
  if (lanes === 1) f.emit('i32.reinterpret_f32');
  const x = w.set();
  const size = w.get(x).and(0x7fffffff).set();
  if (dtype === 'bf16') {
    w.get(x).bits(0x7fff).add().get(x).shr(16).and(1).add().shr(16);
  } else {
    // Adding 2^(e + 23 - mantissaBits) leaves |x| in units of its last place in the low bits.
    const shift = 23 - mantissaBits;
    const least = floatBits(2 ** (1 - bias));
    const scale = w
      .largest(size, least)
      .and(EXPONENT)
      .bits(shift << 23)
      .add()
      .set();
    w.float(
      'add',
      () => w.get(size),
      () => w.get(scale),
    );
    w.get(scale).sub();
    // The units carry into the exponent that is left in the scale.
    w.get(scale).shr(shift).add();
    w.bits((shift + 128 - bias) << mantissaBits).sub();
    w.bits(beyond).selectBelow(size, floatBits(overflow));
    w.get(x)
      .shr(31 - Math.log2(signBit))
      .and(signBit)
      .or();
  }
  w.bits(nan).selectBelow(size, EXPONENT + 1);
}

function floatBits(x: number): number {
  return new Int32Array(Float32Array.of(x).buffer)[0];
}
