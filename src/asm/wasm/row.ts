import type { ValType } from './types.ts';

/** What follows an instruction's opcode; see `ImmediateArguments` for how each is given. */
export type ImmediateKind =
  | 'none'
  | 'block'
  | 'label'
  | 'labels'
  | 'function'
  | 'local'
  | 'global'
  | 'memory'
  | 'memoryLane'
  | 'lane'
  | 'shuffle'
  | 'v128'
  | 'i32'
  | 'i64'
  | 'f32'
  | 'f64';

/** One row of the instruction table. */
export interface InstructionRow<K extends ImmediateKind = ImmediateKind> {
  /** The opcode's bytes: a prefix, if any, is followed by its number in LEB128. */
  readonly code: readonly number[];
  readonly immediate: K;
  /** Operand types, the top of the stack last; undefined where the context decides them. */
  readonly params: readonly ValType[] | undefined;
  /** Result types; undefined where the context decides them. */
  readonly results: readonly ValType[] | undefined;
  /** Bytes of memory accessed, which is also the natural alignment; 0 for no access. */
  readonly width: number;
  /** Number of lanes a lane immediate chooses from; 0 for none. */
  readonly lanes: number;
  /** Constant bytes after the opcode, such as the index of the only memory. */
  readonly tail: readonly number[];
  /** Whether the alignment must be the natural one, as for atomic accesses. */
  readonly exactAlign: boolean;
}

type Types = readonly ValType[];

// Operand and result lists, one letter a value: I i32, L i64, F f32, D f64, V v128.
export const O: Types = [];
export const I: Types = ['i32'];
export const L: Types = ['i64'];
export const F: Types = ['f32'];
export const D: Types = ['f64'];
export const V: Types = ['v128'];
export const II: Types = ['i32', 'i32'];
export const IL: Types = ['i32', 'i64'];
export const IF: Types = ['i32', 'f32'];
export const ID: Types = ['i32', 'f64'];
export const IV: Types = ['i32', 'v128'];
export const LL: Types = ['i64', 'i64'];
export const FF: Types = ['f32', 'f32'];
export const DD: Types = ['f64', 'f64'];
export const VV: Types = ['v128', 'v128'];
export const VI: Types = ['v128', 'i32'];
export const VL: Types = ['v128', 'i64'];
export const VF: Types = ['v128', 'f32'];
export const VD: Types = ['v128', 'f64'];
export const III: Types = ['i32', 'i32', 'i32'];
export const IIL: Types = ['i32', 'i32', 'i64'];
export const ILL: Types = ['i32', 'i64', 'i64'];
export const VVV: Types = ['v128', 'v128', 'v128'];

/** The fields that most rows leave at nothing. */
interface Extras {
  readonly width?: number;
  readonly lanes?: number;
  readonly tail?: readonly number[];
  readonly exactAlign?: boolean;
}

/** Builds one row; every row gets all fields, so that reading them stays fast. */
export function row<K extends ImmediateKind>(
  code: readonly number[],
  immediate: K,
  params: Types | undefined,
  results: Types | undefined,
  extras: Extras = {},
): InstructionRow<K> {
  const { width = 0, lanes = 0, tail = [], exactAlign = false } = extras;
  return { code, immediate, params, results, width, lanes, tail, exactAlign };
}

/** The bytes of a prefixed opcode; the numbers in use stay below 2^14 (§5.4). */
export function prefixed(prefix: number, number: number): readonly number[] {
  return number < 0x80 ? [prefix, number] : [prefix, (number & 0x7f) | 0x80, number >>> 7];
}
