import type { ByteDotValue, KernelTarget, Value, ValueDType } from './types.ts';

/** What a kernel's values may be. */
export type ValueRules = Pick<KernelTarget, 'wideByteDot' | 'bf16'> & {
  /** Lanes of the kernel's vectors. */
  readonly lanes: number;
};

/**
 * What the operands of a value must be. Gives the broken rule in words, or undefined. (Scope and
 * bounds are `verifyKernel`'s.)
 */
export function typeFault(value: Value, rules: ValueRules): string | undefined {
  const { lanes } = rules;
  if (value.lanes !== 1 && value.lanes !== lanes) return `${value.lanes} lanes`;
  switch (value.kind) {
    case 'const':
      return constantFault(value.dtype, value.value) ?? expectLanes(value, 1);
    case 'index':
      if (!Number.isInteger(value.step)) return `a step of ${value.step}`;
      return expectType(value, 'i32');
    case 'load':
      if (!Number.isInteger(value.step)) return `a step of ${value.step}`;
      return constantFault(value.dtype, value.other);
    case 'unary':
      return same(value, value.a) ?? unaryFault(value.fn, value.dtype);
    case 'binary':
      return same(value, value.a) ?? same(value, value.b) ?? binaryFault(value.fn, value.dtype);
    case 'compare':
      return (
        expectType(value, 'bool') ??
        sameLanes(value, value.a) ??
        same(value.a, value.b) ??
        compareFault(value.fn, value.a.dtype)
      );
    case 'select':
      return (
        expectType(value.condition, 'bool') ??
        sameLanes(value, value.condition) ??
        same(value, value.a) ??
        same(value, value.b)
      );
    case 'fma':
      if (!isFloat(value.dtype)) return `fma of ${value.dtype}`;
      return same(value, value.a) ?? same(value, value.b) ?? same(value, value.c);
    case 'words':
      return expectType(value, 'i32');
    case 'byteDot':
      return byteDotFault(value, rules);
    case 'pairs':
      if (rules.bf16 === undefined) return 'the target has no pairs';
      return (
        expectType(value, 'i32') ??
        expectLanes(value, lanes) ??
        first([value.a, value.b], (x) => expectType(x, 'f32') ?? expectLanes(x, lanes))
      );
    case 'pairDot':
      if (rules.bf16 === undefined) return 'the target has no products of pairs';
      return (
        expectType(value, 'f32') ??
        same(value, value.c) ??
        expectLanes(value, lanes) ??
        first([value.a, value.b], (x) => expectType(x, 'i32') ?? expectLanes(x, lanes))
      );
    case 'convert':
      return sameLanes(value, value.a);
    case 'bitcast':
      if (!is32Bit(value.a.dtype) || !is32Bit(value.dtype)) {
        return `bitcast of ${value.a.dtype} to ${value.dtype}`;
      }
      return sameLanes(value, value.a);
    case 'splat':
      return sameType(value, value.a) ?? expectLanes(value.a, 1) ?? expectLanes(value, lanes);
    case 'pack':
      if (value.items.length !== value.lanes) return `${value.items.length} items`;
      return (
        expectLanes(value, lanes) ??
        first(value.items, (item) => sameType(value, item) ?? expectLanes(item, 1))
      );
    case 'shuffle':
      if (value.places.length !== lanes) return `${value.places.length} places`;
      return (
        first([value.a, value.b], (x) => sameType(value, x) ?? expectLanes(x, lanes)) ??
        expectLanes(value, lanes) ??
        first(value.places, (p) => (p >= 0 && p < 2 * lanes ? undefined : `place ${p}`))
      );
    case 'lane':
      if (!(Number.isInteger(value.lane) && value.lane >= 0 && value.lane < value.a.lanes)) {
        return `lane ${value.lane} of ${value.a.lanes}`;
      }
      return sameType(value, value.a) ?? expectLanes(value, 1) ?? expectLanes(value.a, lanes);
    case 'checked':
      if (!(Number.isInteger(value.size) && value.size >= 1)) return `a size of ${value.size}`;
      return expectType(value, 'i32') ?? expectLanes(value, 1) ?? same(value, value.a);
    case 'carried':
    case 'result':
      return undefined;
    default:
      return value satisfies never;
  }
}

/** Type and lanes of two values must agree. */
export function same(a: Value, b: Value): string | undefined {
  return sameType(a, b) ?? sameLanes(a, b);
}

function sameType(a: Value, b: Value): string | undefined {
  return a.dtype === b.dtype ? undefined : `${a.dtype} against ${b.dtype}`;
}

function sameLanes(a: Value, b: Value): string | undefined {
  return a.lanes === b.lanes ? undefined : `${a.lanes} against ${b.lanes} lanes`;
}

function expectType(value: Value, dtype: ValueDType): string | undefined {
  return value.dtype === dtype ? undefined : `${value.dtype} instead of ${dtype}`;
}

function expectLanes(value: Value, lanes: number): string | undefined {
  return value.lanes === lanes ? undefined : `${value.lanes} instead of ${lanes} lanes`;
}

function first<T>(list: readonly T[], fault: (item: T) => string | undefined): string | undefined {
  for (const item of list) {
    const found = fault(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What a signed 16-bit sum holds; a byte of `a` is at most 128 in magnitude. */
const MOST_OF_HALF = 2 ** 15 - 1;
const MOST_OF_A = 128;

function byteDotFault(value: ByteDotValue, { lanes, wideByteDot }: ValueRules): string | undefined {
  const { a, b, start } = value;
  if (a.length === 0 || a.length !== b.length) return `${a.length} against ${b.length} factors`;
  const largest = b.reduce((sum, factor) => sum + largestByte(factor), 0);
  if (!wideByteDot && 2 * MOST_OF_A * largest > MOST_OF_HALF)
    return `bytes of ${largest} in all: sums may wrap`;
  return first([...a, ...b, start], (x) => same(value, x)) ?? expectLanes(value, lanes);
}

/** A bound of a word's bytes: known where it is an `and` with a constant of bytes below 128. */
function largestByte(value: Value): number {
  if (value.kind !== 'binary' || value.fn !== 'and') return Number.POSITIVE_INFINITY;
  const mask = value.b.kind === 'splat' ? value.b.a : value.b;
  if (mask.kind !== 'const') return Number.POSITIVE_INFINITY;
  const bytes = [0, 8, 16, 24].map((shift) => (mask.value >>> shift) & 255);
  const largest = Math.max(...bytes);
  return largest < 128 ? largest : Number.POSITIVE_INFINITY;
}

function isFloat(dtype: ValueDType): boolean {
  return dtype === 'f32' || dtype === 'f64';
}

function is32Bit(dtype: ValueDType): boolean {
  return dtype === 'f32' || dtype === 'i32' || dtype === 'u32';
}

/** A constant that its type cannot hold would mean something else on each target. */
function constantFault(dtype: ValueDType, x: number): string | undefined {
  switch (dtype) {
    case 'f32':
    case 'f64':
      return undefined;
    case 'i32':
      return (x | 0) === x ? undefined : `${x} as i32`;
    case 'u32':
      return x >>> 0 === x ? undefined : `${x} as u32`;
    case 'bool':
      return x === 0 || x === 1 ? undefined : `${x} as bool`;
    default:
      return dtype satisfies never;
  }
}

function unaryFault(fn: string, dtype: ValueDType): string | undefined {
  switch (fn) {
    case 'neg':
    case 'abs':
      return dtype === 'bool' ? `${fn} of bool` : undefined;
    case 'not':
      return isFloat(dtype) ? `not of ${dtype}` : undefined;
    default:
      return isFloat(dtype) ? undefined : `${fn} of ${dtype}`;
  }
}

function binaryFault(fn: string, dtype: ValueDType): string | undefined {
  switch (fn) {
    case 'and':
    case 'or':
    case 'xor':
      return isFloat(dtype) ? `${fn} of ${dtype}` : undefined;
    case 'shl':
    case 'shr':
      return isFloat(dtype) || dtype === 'bool' ? `${fn} of ${dtype}` : undefined;
    default:
      return dtype === 'bool' ? `${fn} of bool` : undefined;
  }
}

/** Bools have no order: targets hold true as 1 or as all bits set. */
function compareFault(fn: string, dtype: ValueDType): string | undefined {
  return dtype === 'bool' && (fn === 'lt' || fn === 'le') ? `${fn} of bool` : undefined;
}
