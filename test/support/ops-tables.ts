import type { BinaryFn, CompareFn, UnaryFn } from '../../src/ir/kernel/types.ts';

/** What random operations choose from. */
export const TYPES = ['f32', 'i32', 'u32', 'bool'] as const;
export type Type = (typeof TYPES)[number];

/** Storage types; half of them narrow. */
export const STORED = [
  ...(['f32', 'i32', 'u32', 'bool', 'i8', 'u8'] as const),
  ...(['f16', 'bf16', 'f8e4m3', 'f8e5m2'] as const),
];
export const UNARY: { readonly [T in Type]: readonly UnaryFn[] } = {
  f32: ['neg', 'abs', 'sqrt', 'floor', 'ceil', 'trunc', 'nearest'],
  i32: ['neg', 'abs', 'not'],
  u32: ['neg', 'abs', 'not'],
  bool: ['not'],
};
export const ARITHMETIC = ['add', 'sub', 'mul', 'div', 'rem', 'min', 'max'] as const;
export const BINARY: { readonly [T in Type]: readonly BinaryFn[] } = {
  f32: ARITHMETIC,
  i32: [...ARITHMETIC, 'and', 'or', 'xor', 'shl', 'shr'],
  u32: [...ARITHMETIC, 'and', 'or', 'xor', 'shl', 'shr'],
  bool: ['and', 'or', 'xor'],
};
export const COMPARE: readonly CompareFn[] = ['eq', 'ne', 'lt', 'le'];
export const CONSTANTS: { readonly [T in Type]: readonly number[] } = {
  f32: [0, -0, 1, -1, 0.5, -2.5, 3e38, 1e-40, Infinity, -Infinity, Number.NaN, 2 ** 31, 7],
  i32: [0, 1, -1, 2, 7, 31, 33, 2 ** 31 - 1, -(2 ** 31), -5],
  u32: [0, 1, 2, 7, 31, 33, 2 ** 31, 2 ** 32 - 1, 65537],
  bool: [0, 1],
};
export const STEPS = [1, 1, 1, 0, 2, 3, -1, -2, 5];
export const MASK_STEPS = [-1, -1, 1, 0, 2, -3];
/** Elements of a buffer, beside a few lanes. */
export const ROOM = 53;
export const DEEPEST = 4;
/** Vectors that a parallel turn may write. */
export const OWN = 4;

/** What a step may be, as often as it is listed. */
export const KINDS = [
  ...(['unary', 'unary', 'binary', 'binary', 'binary', 'compare', 'compare'] as const),
  ...(['select', 'select', 'fma', 'convert', 'convert', 'bitcast', 'splat', 'pack'] as const),
  ...(['shuffle', 'shuffle', 'lane', 'words', 'byteDot', 'const', 'index'] as const),
  ...(['load', 'load', 'load', 'masked', 'masked', 'store', 'storeMasked', 'reload'] as const),
  ...(['loop', 'loop', 'end', 'end', 'checked'] as const),
  ...(['prefetch', 'pairs', 'pairDot', 'tile', 'tile'] as const),
];
/** Factors and divisors of indices that address nothing. */
export const LARGE = [1, 3, 12345, 46341, 2 ** 20 - 1, 2 ** 27 + 5];
export const DIVISORS = [3, 5, 7, 10, 641, 1000, 65537, 2 ** 21 + 1, 2 ** 30 - 1, 4, 4096];
export const LIMIT = 2 ** 31 - 101;
