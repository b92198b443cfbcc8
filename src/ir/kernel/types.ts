import type { DType } from '../dtype.ts';
import type { Var } from '../shape.ts';
import type { Index, LoopAtom } from './index-expr.ts';

/**
 * Kernel IR: what emitters read. A kernel is a block of statements over typed SSA values (one lane
 * or the kernel's number of lanes each), structured loops that may carry values, and loads and stores whose index
 * expressions are explicit, so that every access can be proven in bounds.
 */

/** Types that values have in registers. Narrow storage types widen when loaded. */
export type ValueDType = 'f32' | 'f64' | 'i32' | 'u32' | 'bool';

/** What kernels are built for: the width of vectors, and what emitters of that width can do. */
export interface KernelTarget {
  /** Elements of 32 bits in a vector. */
  readonly lanes: 4 | 8 | 16;
  /** Loads and stores of vectors take a mask with an answer for each lane. */
  readonly laneMasks: boolean;
  /** Sums of products of bytes are exact whatever the bytes: see `ByteDotValue`. */
  readonly wideByteDot: boolean;
  /**
   * The processor takes hints: what will be read soon (`Prefetch`), and what is not worth its caches
   * (`Store.streams`).
   */
  readonly hints: boolean;
  /**
   * How products of bf16 are best made: by pairs in vectors (`PairDotValue`), or by tiles
   * (`TileDot`), which includes `PairsValue`. Undefined: there is neither, or f32 is faster.
   */
  readonly bf16?: 'pairs' | 'tiles' | undefined;
  /** There are tiles of bytes (`TileDot`). */
  readonly byteTiles?: boolean | undefined;
}

/** What 128-bit WebAssembly can do. */
export const WASM_KERNELS: KernelTarget = {
  lanes: 4,
  laneMasks: false,
  wideByteDot: false,
  hints: false,
};

export type BufferRole =
  /** Read only. */
  | 'in'
  /** Written, and may be read back by the same kernel. */
  | 'out'
  /** Scratch of one run of the kernel, of each thread its own; it starts with any content. */
  | 'local';

export interface Buffer {
  readonly kind: 'buffer';
  readonly id: number;
  readonly name: string;
  readonly dtype: DType;
  /** Elements. */
  readonly size: number;
  readonly role: BufferRole;
}

/**
 * All of these must be >= 0 for the access to take place. In a vector access of a kernel whose
 * target has masks for lanes they may depend on the lane, evenly (`laneStep`): then they say for
 * each lane by itself whether it takes part.
 */
export type Mask = readonly Index[];

export type UnaryFn = 'neg' | 'abs' | 'sqrt' | 'floor' | 'ceil' | 'trunc' | 'nearest' | 'not';
/**
 * min and max give NaN when either side is NaN. `div` of integers truncates, x / 0 is 0 and the
 * smallest i32 / -1 wraps. `rem` is the C remainder: exact, sign of the dividend (floats: NaN for
 * divisor 0; integers: 0). Shifts count modulo 32; `shr` is arithmetic for i32, logical for u32.
 */
export type BinaryFn =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'rem'
  | 'min'
  | 'max'
  | 'and'
  | 'or'
  | 'xor'
  | 'shl'
  | 'shr';
export type CompareFn = 'eq' | 'ne' | 'lt' | 'le';

interface ValueBase {
  /** Unique in its kernel, in order of creation. */
  readonly id: number;
  readonly dtype: ValueDType;
  /** 1, or as many as the kernel's vectors have. */
  readonly lanes: number;
  /** Nesting depth of the block that defines it; 0 is the kernel's body. */
  readonly depth: number;
}

export interface ConstValue extends ValueBase {
  readonly kind: 'const';
  readonly value: number;
}
/** An index as an i32: base + step * lane. */
export interface IndexValue extends ValueBase {
  readonly kind: 'index';
  readonly index: Index;
  readonly step: number;
}
/**
 * Lane l reads element index + step * l. Where the mask fails, for all lanes or for one, nothing is
 * read: `other` instead.
 */
export interface LoadValue extends ValueBase {
  readonly kind: 'load';
  readonly buffer: Buffer;
  readonly index: Index;
  readonly step: number;
  readonly mask: Mask;
  readonly other: number;
}
/**
 * Elements of an i8, u8 or bf16 buffer as they lie, four bytes to a lane, the first in the lowest
 * bits: as many as fill the lanes, from element `index` on.
 */
export interface WordsValue extends ValueBase {
  readonly kind: 'words';
  readonly buffer: Buffer;
  readonly index: Index;
}
export interface UnaryValue extends ValueBase {
  readonly kind: 'unary';
  readonly fn: UnaryFn;
  readonly a: Value;
}
export interface BinaryValue extends ValueBase {
  readonly kind: 'binary';
  readonly fn: BinaryFn;
  readonly a: Value;
  readonly b: Value;
}
export interface CompareValue extends ValueBase {
  readonly kind: 'compare';
  readonly fn: CompareFn;
  readonly a: Value;
  readonly b: Value;
}
export interface SelectValue extends ValueBase {
  readonly kind: 'select';
  readonly condition: Value;
  readonly a: Value;
  readonly b: Value;
}
/**
 * a b + c. Rounded once where the target fuses, twice where it cannot: templates use it only on
 * full vectors, so that one device always gives the same bits.
 */
export interface FmaValue extends ValueBase {
  readonly kind: 'fma';
  readonly a: Value;
  readonly b: Value;
  readonly c: Value;
}
/**
 * `start` and the sum over all pairs and the four bytes of a lane: a byte of `a`, signed, times one of `b`,
 * unsigned. Exact. Where the target's sums are narrow (no `wideByteDot`) each of `b` is an `and`
 * with a constant, so that its bytes are proven to be so small that sums of two products for each
 * pair fit in 16 bits: such targets add in those.
 */
export interface ByteDotValue extends ValueBase {
  readonly kind: 'byteDot';
  readonly a: readonly Value[];
  readonly b: readonly Value[];
  readonly start: Value;
}
/**
 * Floats as bf16, two to a lane, the first in the low half: to the nearest, ties to even; of subnormal
 * ones only the sign is kept, and NaN stays some NaN. `across`: lane l has lane l of `a` and of `b`.
 * `along`: the elements of `a` in their order, then those of `b`.
 */
export interface PairsValue extends ValueBase {
  readonly kind: 'pairs';
  readonly order: 'across' | 'along';
  readonly a: Value;
  readonly b: Value;
}
/**
 * c + a1 b1 + a0 b0, where a lane of `a` and `b` is a pair of bf16: two fused multiply-adds, that of
 * the high halves first. Subnormal operands and results are 0 with their sign.
 */
export interface PairDotValue extends ValueBase {
  readonly kind: 'pairDot';
  readonly a: Value;
  readonly b: Value;
  readonly c: Value;
}
/** Numeric conversion: float to integer truncates and saturates, NaN gives 0. */
export interface ConvertValue extends ValueBase {
  readonly kind: 'convert';
  readonly a: Value;
}
/** The same 32 bits read as another type. */
export interface BitcastValue extends ValueBase {
  readonly kind: 'bitcast';
  readonly a: Value;
}
export interface SplatValue extends ValueBase {
  readonly kind: 'splat';
  readonly a: Value;
}
/** A vector put together from single values, one for each lane. */
export interface PackValue extends ValueBase {
  readonly kind: 'pack';
  readonly items: readonly Value[];
}
/** Lanes of two vectors in another order: place p of the result is lane `places[p]` of a, then b. */
export interface ShuffleValue extends ValueBase {
  readonly kind: 'shuffle';
  readonly a: Value;
  readonly b: Value;
  /** As many numbers as lanes, each in 0 .. 2 lanes - 1. */
  readonly places: readonly number[];
}
export interface LaneValue extends ValueBase {
  readonly kind: 'lane';
  readonly a: Value;
  readonly lane: number;
}
/** A loop-carried value as its body sees it. */
export interface CarriedValue extends ValueBase {
  readonly kind: 'carried';
}
/** A carried value after the loop's last turn (or its initial value when there was none). */
export interface ResultValue extends ValueBase {
  readonly kind: 'result';
}
/**
 * An index that is data: compares a with 0 .. size - 1; outside, the first offender is recorded
 * (the step then throws a RangeError naming `what`) and the value clamped. Where a is bounded by
 * the way it is computed (`valueRange`) nothing is compared, and nothing can fail.
 */
export interface CheckedValue extends ValueBase {
  readonly kind: 'checked';
  readonly a: Value;
  readonly size: number;
  /** Number of the message in the kernel's `checks`; undefined where the bounds are proven. */
  readonly check: number | undefined;
}

export type Value =
  | ConstValue
  | IndexValue
  | LoadValue
  | WordsValue
  | UnaryValue
  | BinaryValue
  | CompareValue
  | SelectValue
  | FmaValue
  | ByteDotValue
  | PairsValue
  | PairDotValue
  | ConvertValue
  | BitcastValue
  | SplatValue
  | PackValue
  | ShuffleValue
  | LaneValue
  | CarriedValue
  | ResultValue
  | CheckedValue;

/**
 * Lane l of `value` goes to element index + l. Where the mask fails, for all lanes or for one,
 * nothing is written.
 */
export interface Store {
  readonly kind: 'store';
  readonly buffer: Buffer;
  readonly index: Index;
  readonly value: Value;
  readonly mask: Mask;
  /** Nobody reads it soon: it may go to memory past the caches. */
  readonly streams?: boolean;
}

/**
 * The cache line of an element will be needed soon. It says nothing of values: an index beyond the
 * buffer does no harm.
 */
export interface Prefetch {
  readonly kind: 'prefetch';
  readonly buffer: Buffer;
  readonly index: Index;
}

/**
 * Tiles are registers 0 .. 7, which each thread has for itself, of 16 rows of 64 bytes where products
 * do not ask for less (`tileShapes`). One holds what was last put there; what is first put there inside a
 * loop is not for use behind it. Rows in memory lie `stride` elements apart.
 */
export interface TileZero {
  readonly kind: 'tileZero';
  readonly tile: number;
}
/** Rows of a buffer of words, bytes or bf16, the first from element `index` on. */
export interface TileLoad {
  readonly kind: 'tileLoad';
  readonly tile: number;
  readonly buffer: Buffer;
  readonly index: Index;
  readonly stride: number;
}
/** To a buffer of f32 or i32. */
export interface TileStore {
  readonly kind: 'tileStore';
  readonly tile: number;
  readonly buffer: Buffer;
  readonly index: Index;
  readonly stride: number;
}
/**
 * sum += a b. In kernels, all products that a tile has a part in give it the same shape.
 *
 * - bf16: `sum` is [16][16] f32, `a` [16][32] bf16, and `b` [16][16][2]: row r has elements 2 r and
 *   2 r + 1 of each column. Even and odd elements are summed apart from 0 on by fused multiply-adds,
 *   then together, then to `sum`. Subnormal operands and results are 0 with their sign.
 * - bytes: `sum` is [16][16] i32, `a` [16][32] bytes, and `b` [8][16][4], row r of which has elements
 *   4 r .. 4 r + 3 of each column; all bytes are signed. Exact, modulo 2^32.
 */
export interface TileDot {
  readonly kind: 'tileDot';
  readonly of: 'bf16' | 'bytes';
  readonly sum: number;
  readonly a: number;
  readonly b: number;
}
export type TileStatement = TileZero | TileLoad | TileStore | TileDot;

export type LoopKind =
  | 'serial'
  /** Turns only add to carried values. */
  | 'reduce'
  /** Turns are independent: they may run on different threads. */
  | 'thread';

export interface Carried {
  readonly init: Value;
  readonly inside: CarriedValue;
  readonly next: Value;
  readonly result: ResultValue;
}

export interface Loop {
  readonly kind: 'loop';
  readonly atom: LoopAtom;
  readonly loopKind: LoopKind;
  readonly carried: readonly Carried[];
  readonly body: readonly Statement[];
}

/** Values appear as statements where they are computed (carried values and results do not). */
export type Statement = Value | Store | Prefetch | TileStatement | Loop;

export interface Kernel {
  readonly name: string;
  /** Lanes of its vectors. */
  readonly lanes: number;
  /** Arguments in calling order: `in` and `out` buffers, then vars. */
  readonly buffers: readonly Buffer[];
  readonly vars: readonly Var[];
  readonly locals: readonly Buffer[];
  /** Texts of the `checked` values: what was indexed, for the RangeError. */
  readonly checks: readonly string[];
  readonly body: readonly Statement[];
}
