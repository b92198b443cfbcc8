import { InternalError } from '../../base/errors.ts';
import { fma32, fma64 } from './interpret-fma.ts';
import type { BinaryFn, CompareFn, UnaryFn, ValueDType } from './types.ts';

/**
 * The meaning of each operation on one lane. Every value is a JS number: f32 values are doubles
 * that an f32 can hold, bool is 0 or 1. The payload and the sign of a NaN are not kept.
 */
export type Unary = (a: number) => number;
export type Binary = (a: number, b: number) => number;
export type Ternary = (a: number, b: number, c: number) => number;

const { abs, ceil, floor, fround, imul, max, min, sqrt, trunc } = Math;

function isFloat(dtype: ValueDType): boolean {
  return dtype === 'f32' || dtype === 'f64';
}

/** No such operation on this type: the verifier refuses these kernels. */
function missing(fn: string, dtype: ValueDType): never {
  throw new InternalError(`no ${fn} of ${dtype}`);
}

/** The nearest integer, ties to even, with the sign of `x`. */
export function nearest(x: number): number {
  const magnitude = abs(x);
  if (!(magnitude < 2 ** 52)) return x;
  const below = floor(magnitude);
  const rest = magnitude - below;
  const up = rest > 0.5 || (rest === 0.5 && below % 2 === 1);
  const rounded = up ? below + 1 : below;
  return x < 0 || Object.is(x, -0) ? -rounded : rounded;
}

/** A constant as its type holds it. */
export function asType(dtype: ValueDType, x: number): number {
  switch (dtype) {
    case 'f64':
      return x;
    case 'f32':
      return fround(x);
    case 'i32':
      return x | 0;
    case 'u32':
      return x >>> 0;
    case 'bool':
      return x !== 0 ? 1 : 0;
    default:
      return dtype satisfies never;
  }
}

export function unaryOf(fn: UnaryFn, dtype: ValueDType): Unary {
  if (dtype === 'bool') return fn === 'not' ? (a) => 1 - a : missing(fn, dtype);
  switch (fn) {
    case 'neg':
      if (isFloat(dtype)) return (a) => -a;
      return dtype === 'i32' ? (a) => -a | 0 : (a) => -a >>> 0;
    case 'abs':
      return dtype === 'i32' ? (a) => abs(a) | 0 : abs;
    case 'not':
      if (isFloat(dtype)) return missing(fn, dtype);
      return dtype === 'i32' ? (a) => ~a : (a) => ~a >>> 0;
    case 'sqrt':
      if (!isFloat(dtype)) return missing(fn, dtype);
      return dtype === 'f32' ? (a) => fround(sqrt(a)) : sqrt;
    case 'floor':
      return isFloat(dtype) ? floor : missing(fn, dtype);
    case 'ceil':
      return isFloat(dtype) ? ceil : missing(fn, dtype);
    case 'trunc':
      return isFloat(dtype) ? trunc : missing(fn, dtype);
    case 'nearest':
      return isFloat(dtype) ? nearest : missing(fn, dtype);
    default:
      return fn satisfies never;
  }
}

const F64: { readonly [F in BinaryFn]?: Binary } = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  rem: (a, b) => a % b,
  min,
  max,
};

const F32: { readonly [F in BinaryFn]?: Binary } = {
  add: (a, b) => fround(a + b),
  sub: (a, b) => fround(a - b),
  mul: (a, b) => fround(a * b),
  div: (a, b) => fround(a / b),
  rem: (a, b) => fround(a % b),
  min,
  max,
};

const I32: { readonly [F in BinaryFn]?: Binary } = {
  add: (a, b) => (a + b) | 0,
  sub: (a, b) => (a - b) | 0,
  mul: imul,
  div: (a, b) => (b === 0 ? 0 : (a / b) | 0),
  rem: (a, b) => (b === 0 ? 0 : (a % b) | 0),
  min,
  max,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b) => a << b,
  shr: (a, b) => a >> b,
};

const U32: { readonly [F in BinaryFn]?: Binary } = {
  add: (a, b) => (a + b) >>> 0,
  sub: (a, b) => (a - b) >>> 0,
  mul: (a, b) => imul(a, b) >>> 0,
  div: (a, b) => (b === 0 ? 0 : floor(a / b)),
  rem: (a, b) => (b === 0 ? 0 : a % b),
  min,
  max,
  and: (a, b) => (a & b) >>> 0,
  or: (a, b) => (a | b) >>> 0,
  xor: (a, b) => (a ^ b) >>> 0,
  shl: (a, b) => (a << b) >>> 0,
  shr: (a, b) => a >>> b,
};

const BOOL: { readonly [F in BinaryFn]?: Binary } = {
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
};

const BINARY: { readonly [D in ValueDType]: { readonly [F in BinaryFn]?: Binary } } = {
  f64: F64,
  f32: F32,
  i32: I32,
  u32: U32,
  bool: BOOL,
};

export function binaryOf(fn: BinaryFn, dtype: ValueDType): Binary {
  return BINARY[dtype][fn] ?? missing(fn, dtype);
}

/** Comparisons with NaN are false, but for `ne`. */
export function compareOf(fn: CompareFn): Binary {
  switch (fn) {
    case 'eq':
      return (a, b) => (a === b ? 1 : 0);
    case 'ne':
      return (a, b) => (a !== b ? 1 : 0);
    case 'lt':
      return (a, b) => (a < b ? 1 : 0);
    case 'le':
      return (a, b) => (a <= b ? 1 : 0);
    default:
      return fn satisfies never;
  }
}

export function fmaOf(dtype: ValueDType, fused: boolean): Ternary {
  if (dtype === 'f32') return fused ? fma32 : (a, b, c) => fround(fround(a * b) + c);
  if (dtype === 'f64') return fused ? fma64 : (a, b, c) => a * b + c;
  return missing('fma', dtype);
}

/** NaN gives 0: `x | 0` and typed arrays agree on that, the comparisons pass it through. */
function saturate(x: number, low: number, high: number): number {
  if (x <= low) return low;
  if (x >= high) return high;
  return Number.isNaN(x) ? 0 : trunc(x) + 0;
}

export function convertOf(from: ValueDType, to: ValueDType): Unary {
  switch (to) {
    case 'f64':
      return (a) => a;
    case 'f32':
      return fround;
    case 'bool':
      return (a) => (a !== 0 ? 1 : 0);
    case 'i32':
      return isFloat(from) ? (a) => saturate(a, -(2 ** 31), 2 ** 31 - 1) : (a) => a | 0;
    case 'u32':
      return isFloat(from) ? (a) => saturate(a, 0, 2 ** 32 - 1) : (a) => a >>> 0;
    default:
      return to satisfies never;
  }
}

const floats = new Float32Array(1);
const ints = new Int32Array(floats.buffer);
const QUIET_NAN = 0x7fc00000;

export function bitcastOf(from: ValueDType, to: ValueDType): Unary {
  if (from === to) return (a) => a;
  if (from === 'f32' && (to === 'i32' || to === 'u32')) {
    const signed = to === 'i32';
    return (a) => {
      // The host may give a NaN any bits; one choice keeps runs alike.
      if (Number.isNaN(a)) ints[0] = QUIET_NAN;
      else floats[0] = a;
      return signed ? ints[0] : ints[0] >>> 0;
    };
  }
  if ((from === 'i32' || from === 'u32') && to === 'f32') {
    return (a) => {
      ints[0] = a;
      return floats[0];
    };
  }
  if (from === 'i32' && to === 'u32') return (a) => a >>> 0;
  if (from === 'u32' && to === 'i32') return (a) => a | 0;
  return missing(`bitcast to ${to}`, from);
}
