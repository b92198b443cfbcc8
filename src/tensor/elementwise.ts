import { badArgument } from '../base/errors.ts';
import { type DType, isFloat, promote } from '../ir/dtype.ts';
import * as g from '../ir/graph/build.ts';
import type { BinaryFn, CompareFn, Node, UnaryFn } from '../ir/graph/types.ts';
import { broadcastShapes } from '../ir/shape.ts';
import { WIDE_FUNCTIONS, wide, wideNode } from './autocast.ts';
import { broadcastNode, Handle, type Operand } from './handle.ts';

/** Operations on each element, with numpy's broadcasting and PyTorch's type promotion. */
export abstract class Elementwise extends Handle {
  /** Functions of floats: integers and bools become f32 first. */
  #float(fn: UnaryFn): this {
    const x = isFloat(this.dtype) ? this.node : g.cast(this.node, 'f32');
    return this.derive(g.unary(fn, WIDE_FUNCTIONS.has(fn) ? wideNode(x) : x));
  }

  #unary(fn: UnaryFn): this {
    return this.derive(g.unary(fn, this.node));
  }

  #binary(where: string, fn: BinaryFn, value: Operand, type?: DType): this {
    const { x, y, other } = this.pair(where, value, type);
    return this.derive(g.binary(fn, x, y), other);
  }

  #compare(where: string, fn: CompareFn, value: Operand, negate = false): this {
    const { x, y, other } = this.pair(where, value);
    const result = negate ? g.compare(fn, y, x) : g.compare(fn, x, y);
    return this.derive(result, other);
  }

  /** The elements as another type: floats to integers toward zero; not 0 is true. */
  cast(dtype: DType): this {
    return this.derive(g.cast(this.node, dtype));
  }

  /** The same bits as another type of the same size. */
  bitcast(dtype: DType): this {
    return this.derive(g.bitcast(this.node, dtype));
  }

  neg(): this {
    return this.#unary('neg');
  }
  abs(): this {
    return this.dtype === 'bool' || this.dtype === 'u32' ? this : this.#unary('abs');
  }
  sign(): this {
    return this.#unary('sign');
  }
  square(): this {
    return this.mul(this);
  }
  sqrt(): this {
    return this.#float('sqrt');
  }
  rsqrt(): this {
    return this.#float('rsqrt');
  }
  reciprocal(): this {
    return this.#float('reciprocal');
  }
  exp(): this {
    return this.#float('exp');
  }
  exp2(): this {
    return this.#float('exp2');
  }
  /** e^x - 1, exact near 0. */
  expm1(): this {
    return this.#float('expm1');
  }
  log(): this {
    return this.#float('log');
  }
  log2(): this {
    return this.#float('log2');
  }
  /** log(1 + x), exact near 0. */
  log1p(): this {
    return this.#float('log1p');
  }
  sin(): this {
    return this.#float('sin');
  }
  cos(): this {
    return this.#float('cos');
  }
  tan(): this {
    return this.#float('tan');
  }
  atan(): this {
    return this.#float('atan');
  }
  tanh(): this {
    return this.#float('tanh');
  }
  erf(): this {
    return this.#float('erf');
  }
  floor(): this {
    return isFloat(this.dtype) ? this.#unary('floor') : this;
  }
  ceil(): this {
    return isFloat(this.dtype) ? this.#unary('ceil') : this;
  }
  /** To the nearest integer, ties to even. */
  round(): this {
    return isFloat(this.dtype) ? this.#unary('round') : this;
  }
  trunc(): this {
    return isFloat(this.dtype) ? this.#unary('trunc') : this;
  }

  add(other: Operand): this {
    return this.#binary('add', 'add', other);
  }
  sub(other: Operand): this {
    return this.#binary('sub', 'sub', other);
  }
  mul(other: Operand): this {
    return this.#binary('mul', 'mul', other);
  }
  /** True division: integers become f32. */
  div(other: Operand): this {
    const type = promote(this.dtype, this.operand('div', other).dtype);
    return this.#binary('div', 'div', other, isFloat(type) ? type : 'f32');
  }
  /** x to the power y; small integer powers are products. */
  pow(other: Operand): this {
    const x = wide(this);
    if (other === 2) return x.mul(x);
    if (other === 3) return x.mul(x).mul(x);
    if (other === 1) return x;
    const type = promote(x.dtype, x.operand('pow', other).dtype);
    return x.#binary('pow', 'pow', other, isFloat(type) ? type : 'f32');
  }
  /** The angle of the point (other, this), in radians. */
  atan2(other: Operand): this {
    return this.#binary('atan2', 'atan2', other);
  }
  /** The C remainder: the sign of the dividend. */
  fmod(other: Operand): this {
    return this.#binary('fmod', 'rem', other);
  }
  /** Python's remainder: the sign of the divisor. */
  remainder(other: Operand): this {
    const { x, y, other: divisor } = this.pair('remainder', other);
    const { rest, wrong } = divide(x, y);
    return this.derive(g.where(wrong, g.binary('add', rest, y), rest), divisor);
  }
  /** The floor of the exact quotient; floats of infinity NaN, as in PyTorch. */
  floorDivide(other: Operand): this {
    const { x, y, other: divisor } = this.pair('floorDivide', other);
    const { rest, wrong } = divide(x, y);
    const below = g.cast(wrong, x.dtype);
    if (!isFloat(x.dtype))
      return this.derive(g.binary('sub', g.binary('div', x, y), below), divisor);
    // A whole number but for rounding.
    const whole = g.unary('round', g.binary('div', g.binary('sub', x, rest), y));
    const byZero = g.unary('floor', g.binary('div', x, y));
    const zero = g.constLike(y, 0);
    const result = g.where(g.compare('eq', y, zero), byZero, g.binary('sub', whole, below));
    return this.derive(result, divisor);
  }

  /** NaN where either is NaN. */
  maximum(other: Operand): this {
    return this.#binary('maximum', 'max', other);
  }
  /** NaN where either is NaN. */
  minimum(other: Operand): this {
    return this.#binary('minimum', 'min', other);
  }

  eq(other: Operand): this {
    return this.#compare('eq', 'eq', other);
  }
  ne(other: Operand): this {
    return this.#compare('ne', 'ne', other);
  }
  lt(other: Operand): this {
    return this.#compare('lt', 'lt', other);
  }
  le(other: Operand): this {
    return this.#compare('le', 'le', other);
  }
  gt(other: Operand): this {
    return this.#compare('gt', 'lt', other, true);
  }
  ge(other: Operand): this {
    return this.#compare('ge', 'le', other, true);
  }

  logicalNot(): this {
    return this.derive(g.unary('not', g.cast(this.node, 'bool')));
  }
  logicalAnd(other: Operand): this {
    return this.#logical('logicalAnd', 'and', other);
  }
  logicalOr(other: Operand): this {
    return this.#logical('logicalOr', 'or', other);
  }
  logicalXor(other: Operand): this {
    return this.#logical('logicalXor', 'xor', other);
  }
  #logical(where: string, fn: BinaryFn, value: Operand): this {
    const other = this.operand(where, value);
    const shape = broadcastShapes(where, this.shape, other.shape);
    const x = broadcastNode(g.cast(this.node, 'bool'), shape);
    const y = broadcastNode(g.cast(other.node, 'bool'), shape);
    return this.derive(g.binary(fn, x, y), other);
  }

  bitwiseNot(): this {
    return this.#unary('not');
  }
  bitwiseAnd(other: Operand): this {
    return this.#binary('bitwiseAnd', 'and', other);
  }
  bitwiseOr(other: Operand): this {
    return this.#binary('bitwiseOr', 'or', other);
  }
  bitwiseXor(other: Operand): this {
    return this.#binary('bitwiseXor', 'xor', other);
  }
  /** Counts are taken modulo 32. */
  shiftLeft(other: Operand): this {
    return this.#binary('shiftLeft', 'shl', other);
  }
  /** Arithmetic for i32, logical for u32. */
  shiftRight(other: Operand): this {
    return this.#binary('shiftRight', 'shr', other);
  }

  isNaN(): this {
    return this.derive(g.compare('ne', this.node, this.node));
  }
  isInf(): this {
    return this.abs().eq(Number.POSITIVE_INFINITY);
  }
  isFinite(): this {
    return this.abs().lt(Number.POSITIVE_INFINITY);
  }

  /** Where this (bool) holds x, elsewhere y. */
  where(x: Operand, y: Operand): this {
    if (this.dtype !== 'bool') {
      throw new TypeError(`where: the condition is ${this.dtype}; expected bool`);
    }
    const model =
      x instanceof Handle ? x : y instanceof Handle ? y : this.operand('where', Number(x));
    const a = model.operand('where', x);
    const b = model.operand('where', y);
    const type = promote(a.dtype, b.dtype);
    const shape = broadcastShapes('where', this.shape, broadcastShapes('where', a.shape, b.shape));
    const spread = (node: Node) => broadcastNode(node, shape);
    const node = g.where(
      spread(this.node),
      spread(g.cast(a.node, type)),
      spread(g.cast(b.node, type)),
    );
    return this.derive(node, a, b);
  }

  /** `value` where the mask holds. */
  maskedFill(mask: Handle, value: number): this {
    const shape = broadcastShapes('maskedFill', this.shape, mask.shape);
    const x = broadcastNode(this.node, shape);
    const filled = g.where(broadcastNode(mask.node, shape), g.constLike(x, value), x);
    return this.derive(filled, mask);
  }

  /** Limits to low..high; NaN stays NaN. Either bound may be null. */
  clamp(low: number | null, high: number | null): this {
    if (low === null && high === null) {
      throw badArgument('clamp', 'bounds', [low, high], 'at least one number');
    }
    // PyTorch's gradient is 1 on the bounds themselves, so not by maximum and minimum.
    let node = this.node;
    const bound = (value: number, fn: 'low' | 'high') => {
      const limit = g.constLike(node, value);
      const beyond = fn === 'low' ? g.compare('lt', node, limit) : g.compare('lt', limit, node);
      node = g.where(beyond, limit, node);
    };
    if (low !== null) bound(low, 'low');
    if (high !== null) bound(high, 'high');
    return this.derive(node);
  }

  /** The value without its history: no gradient flows back through it. */
  abstract detach(): this;

  relu(): this {
    // Not maximum: PyTorch's gradient at 0 is 0.
    const zero = g.constLike(this.node, 0);
    const dead = g.compare('le', this.node, zero);
    return this.derive(g.where(dead, zero, this.node));
  }

  /** 1 / (1 + e^-x). */
  sigmoid(): this {
    return this.#float('sigmoid');
  }

  /** x sigmoid(x). */
  silu(): this {
    // In autocast as one function: rounded at its end, not between its parts.
    const x = wide(this);
    return x.mul(x.sigmoid()).#as(this);
  }

  /** Hendrycks and Gimpel 2016; `tanh` is the approximation of GPT-2. */
  gelu(approximate: 'none' | 'tanh' = 'none'): this {
    const x = wide(this);
    if (approximate === 'none') {
      return x.mul(x.mul(Math.SQRT1_2).erf().add(1)).mul(0.5).#as(this);
    }
    if (approximate !== 'tanh')
      throw badArgument('gelu', 'approximate', approximate, 'none or tanh');
    const cubic = x.mul(x).mul(x).mul(0.044715).add(x);
    const share = cubic
      .mul(Math.sqrt(2 / Math.PI))
      .tanh()
      .add(1);
    return x.mul(0.5).mul(share).#as(this);
  }

  /** In the type of another tensor; the same tensor where it has that. */
  #as({ dtype }: Handle): this {
    return this.dtype === dtype ? this : this.cast(dtype);
  }
}

/** The C remainder, and where its sign is not the divisor's: floor and quotient then differ by 1. */
function divide(x: Node, y: Node): { rest: Node; wrong: Node } {
  const rest = g.binary('rem', x, y);
  const zero = g.constLike(rest, 0);
  const differs = g.binary('xor', g.compare('lt', rest, zero), g.compare('lt', y, zero));
  return { rest, wrong: g.binary('and', differs, g.compare('ne', rest, zero)) };
}
