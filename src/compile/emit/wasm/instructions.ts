import type { Instruction } from '../../../asm/index.ts';
import { InternalError } from '../../../base/errors.ts';
import type { BinaryFn, CompareFn, UnaryFn, ValueDType } from '../../../ir/kernel/types.ts';

/** Functions that a module carries because wasm has no instruction for them. */
export type Helper = 'f32_rem' | 'i32_div' | 'i32_rem' | 'u32_div' | 'u32_rem';

/** How an operation is written: one instruction, a call of a helper for each lane, or by hand. */
export type Form =
  | { readonly kind: 'one'; readonly name: Instruction }
  | { readonly kind: 'helper'; readonly name: Helper }
  | { readonly kind: 'special' };

const one = (name: Instruction): Form => ({ kind: 'one', name });
const helper = (name: Helper): Form => ({ kind: 'helper', name });
const SPECIAL: Form = { kind: 'special' };

function noForm(what: string): never {
  throw new InternalError(`wasm has no ${what}`);
}

/** Single i32 (or u32, bool) forms and their four-lane ones. */
function integer(scalar: Instruction, vector: Instruction, lanes: number): Form {
  return one(lanes === 1 ? scalar : vector);
}

export function binaryForm(fn: BinaryFn, dtype: ValueDType, lanes: number): Form {
  if (dtype === 'f32') return floatBinary(fn, lanes);
  if (dtype === 'f64') return noForm('f64 kernels; use the interpret device');
  const unsigned = dtype === 'u32';
  switch (fn) {
    case 'add':
      return integer('i32.add', 'i32x4.add', lanes);
    case 'sub':
      return integer('i32.sub', 'i32x4.sub', lanes);
    case 'mul':
      return integer('i32.mul', 'i32x4.mul', lanes);
    case 'and':
      return integer('i32.and', 'v128.and', lanes);
    case 'or':
      return integer('i32.or', 'v128.or', lanes);
    case 'xor':
      return integer('i32.xor', 'v128.xor', lanes);
    case 'div':
      return helper(unsigned ? 'u32_div' : 'i32_div');
    case 'rem':
      return helper(unsigned ? 'u32_rem' : 'i32_rem');
    case 'min':
      return lanes === 1 ? SPECIAL : one(unsigned ? 'i32x4.min_u' : 'i32x4.min_s');
    case 'max':
      return lanes === 1 ? SPECIAL : one(unsigned ? 'i32x4.max_u' : 'i32x4.max_s');
    case 'shl':
      return lanes === 1 ? one('i32.shl') : SPECIAL;
    case 'shr':
      return lanes === 1 ? one(unsigned ? 'i32.shr_u' : 'i32.shr_s') : SPECIAL;
    default:
      return fn satisfies never;
  }
}

function floatBinary(fn: BinaryFn, lanes: number): Form {
  switch (fn) {
    case 'add':
    case 'sub':
    case 'mul':
    case 'div':
    case 'min':
    case 'max':
      return one(lanes === 1 ? `f32.${fn}` : `f32x4.${fn}`);
    case 'rem':
      return helper('f32_rem');
    default:
      return noForm(`${fn} of f32`);
  }
}

export function unaryForm(fn: UnaryFn, dtype: ValueDType, lanes: number): Form {
  if (dtype === 'f32' && fn !== 'not') return one(lanes === 1 ? `f32.${fn}` : `f32x4.${fn}`);
  if (fn === 'not') {
    if (lanes > 1) return one('v128.not');
    return dtype === 'bool' ? one('i32.eqz') : SPECIAL;
  }
  if (fn === 'neg') return lanes === 1 ? SPECIAL : one('i32x4.neg');
  if (fn === 'abs') return lanes === 1 ? SPECIAL : one('i32x4.abs');
  return noForm(`${fn} of ${dtype}`);
}

export function compareInstruction(fn: CompareFn, dtype: ValueDType, lanes: number): Instruction {
  if (dtype === 'f32') return lanes === 1 ? `f32.${fn}` : `f32x4.${fn}`;
  if (dtype === 'f64') return noForm('f64 kernels; use the interpret device');
  const sign = dtype === 'u32' ? 'u' : 's';
  if (fn === 'eq' || fn === 'ne') return lanes === 1 ? `i32.${fn}` : `i32x4.${fn}`;
  return lanes === 1 ? `i32.${fn}_${sign}` : `i32x4.${fn}_${sign}`;
}
