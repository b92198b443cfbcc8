import type { KernelBuilder } from '../../../ir/kernel/builder.ts';
import type { BinaryFn, CompareFn, UnaryFn, Value } from '../../../ir/kernel/types.ts';

/**
 * What the expansions are written in: one short name for each operation of the kernel IR, constants
 * rounded to f32 where they stand. `fma` rounds once on targets that fuse and twice on others, so
 * an expansion must be good either way; it exists for whole vectors only.
 */
export class Ops {
  readonly #b: KernelBuilder;

  constructor(b: KernelBuilder) {
    this.#b = b;
  }

  f(value: number): Value {
    return this.#b.const('f32', Math.fround(value));
  }
  i(value: number): Value {
    return this.#b.const('i32', value | 0);
  }

  #operand(v: Value | number, like: Value): Value {
    if (typeof v !== 'number') return v;
    if (like.dtype === 'i32') return this.i(v);
    return like.dtype === 'f64' ? this.#b.const('f64', v) : this.f(v);
  }
  #binary(fn: BinaryFn, x: Value | number, y: Value | number): Value {
    const like = typeof x === 'number' ? (y as Value) : x;
    return this.#b.binary(fn, this.#operand(x, like), this.#operand(y, like));
  }
  #unary(fn: UnaryFn, x: Value): Value {
    return this.#b.unary(fn, x);
  }
  #compare(fn: CompareFn, x: Value | number, y: Value | number): Value {
    const like = typeof x === 'number' ? (y as Value) : x;
    return this.#b.compare(fn, this.#operand(x, like), this.#operand(y, like));
  }

  add(x: Value | number, y: Value | number): Value {
    return this.#binary('add', x, y);
  }
  sub(x: Value | number, y: Value | number): Value {
    return this.#binary('sub', x, y);
  }
  mul(x: Value | number, y: Value | number): Value {
    return this.#binary('mul', x, y);
  }
  div(x: Value | number, y: Value | number): Value {
    return this.#binary('div', x, y);
  }
  /** Of integers only: on floats, min costs more than a comparison and a select. */
  min(x: Value, y: number): Value {
    return this.#binary('min', x, y);
  }
  /** Of integers only, as min. */
  max(x: Value, y: number): Value {
    return this.#binary('max', x, y);
  }
  and(x: Value, y: Value | number): Value {
    return this.#binary('and', x, y);
  }
  or(x: Value, y: Value | number): Value {
    return this.#binary('or', x, y);
  }
  xor(x: Value, y: Value | number): Value {
    return this.#binary('xor', x, y);
  }
  /** Counts are constants: vector units shift all lanes by the same count. */
  shl(x: Value, count: number): Value {
    return this.#binary('shl', x, count);
  }
  shr(x: Value, count: number): Value {
    return this.#binary('shr', x, count);
  }

  /** x y + z. */
  fma(x: Value, y: Value | number, z: Value | number): Value {
    return this.#b.fma(x, this.#operand(y, x), this.#operand(z, x));
  }

  neg(x: Value): Value {
    return this.#unary('neg', x);
  }
  abs(x: Value): Value {
    return this.#unary('abs', x);
  }
  sqrt(x: Value): Value {
    return this.#unary('sqrt', x);
  }
  trunc(x: Value): Value {
    return this.#unary('trunc', x);
  }
  nearest(x: Value): Value {
    return this.#unary('nearest', x);
  }

  eq(x: Value | number, y: Value | number): Value {
    return this.#compare('eq', x, y);
  }
  lt(x: Value | number, y: Value | number): Value {
    return this.#compare('lt', x, y);
  }
  select(condition: Value, x: Value | number, y: Value | number): Value {
    const like = typeof x !== 'number' ? x : typeof y !== 'number' ? y : this.f(0);
    return this.#b.select(condition, this.#operand(x, like), this.#operand(y, like));
  }

  bits(x: Value): Value {
    return this.#b.bitcast(x, 'i32');
  }
  float(bits: Value): Value {
    return this.#b.bitcast(bits, 'f32');
  }
  toFloat(integer: Value): Value {
    return this.#b.convert(integer, 'f32');
  }

  /** c[0] + c[1] x + c[2] x^2 + ..., from the inside out. */
  poly(x: Value, c: readonly number[]): Value {
    let sum = this.fma(x, c[c.length - 1], c[c.length - 2]);
    for (let k = c.length - 3; k >= 0; k--) sum = this.fma(sum, x, c[k]);
    return sum;
  }

  /** The upper 12 bits of a float: products of two such heads are exact. */
  head(x: Value): Value {
    return this.float(this.and(this.bits(x), -4096));
  }

  /** |x| and the sign bit that was taken off. */
  split(x: Value): { size: Value; sign: Value } {
    const size = this.abs(x);
    return { size, sign: this.xor(this.bits(x), this.bits(size)) };
  }
  /** Puts a sign bit onto a number that has none (turns the sign of one that has). */
  signed(size: Value, sign: Value): Value {
    return this.float(this.xor(this.bits(size), sign));
  }
}
