import type { Instruction } from '../../../asm/index.ts';
import { InternalError } from '../../../base/errors.ts';
import { DTYPES } from '../../../ir/dtype.ts';
import type {
  BinaryValue,
  ConvertValue,
  LoadValue,
  SelectValue,
  UnaryValue,
  Value,
  ValueDType,
} from '../../../ir/kernel/types.ts';
import { emitByteDot } from './byte-dot.ts';
import type { Emitter } from './emitter.ts';
import { binaryForm, compareInstruction, type Helper, unaryForm } from './instructions.ts';
import { LANES } from './lanes.ts';

/** Leaves a value that is no load and no index on the stack. */
export function emitOperation(e: Emitter, value: Value): void {
  const { f } = e;
  if (value.dtype === 'f64') throw new InternalError('wasm kernels have no f64');
  switch (value.kind) {
    case 'const':
      pushConstant(e, value.dtype, 1, value.value);
      return;
    case 'unary':
      emitUnary(e, value);
      return;
    case 'binary':
      emitBinary(e, value);
      return;
    case 'compare':
      e.push(value.a);
      e.push(value.b);
      f.emit(compareInstruction(value.fn, value.a.dtype, value.lanes));
      return;
    case 'select':
      if (emitPseudoExtreme(e, value)) return;
      e.push(value.a);
      e.push(value.b);
      e.push(value.condition);
      f.emit(value.lanes > 1 ? 'v128.bitselect' : 'select');
      return;
    case 'fma':
      emitFma(e, value.a, value.b, value.c);
      return;
    case 'byteDot':
      emitByteDot(e, value);
      return;
    case 'convert':
      emitConvert(e, value);
      return;
    case 'bitcast':
      emitBitcast(e, value.a, value.dtype);
      return;
    case 'splat':
      emitSplat(e, value.a);
      return;
    case 'pack':
      emitPack(e, value.items);
      return;
    case 'shuffle':
      e.push(value.a);
      e.push(value.b);
      f.emit('i8x16.shuffle', bytesOfWords(value.places));
      return;
    case 'lane':
      e.push(value.a);
      f.emit(value.dtype === 'f32' ? 'f32x4.extract_lane' : 'i32x4.extract_lane', value.lane);
      if (value.dtype === 'bool') f.emit('i32.const', 1).emit('i32.and');
      return;
    case 'load':
    case 'words':
    case 'index':
    case 'carried':
    case 'result':
    case 'checked':
      throw new InternalError(`${value.kind} has no local`);
    case 'pairs':
    case 'pairDot':
      throw new InternalError(`wasm has no ${value.kind}`);
    default:
      value satisfies never;
  }
}

const fourInts = (bits: number): Uint8Array =>
  new Uint8Array(new Int32Array(LANES).fill(bits).buffer);
const fourFloats = (x: number): Uint8Array =>
  new Uint8Array(new Float32Array(LANES).fill(x).buffer);

export function pushConstant(e: Emitter, dtype: ValueDType, lanes: number, value: number): void {
  const { f } = e;
  if (dtype === 'f32') {
    if (lanes === 1) f.emit('f32.const', value);
    else f.emit('v128.const', fourFloats(value));
    return;
  }
  if (lanes === 1) f.emit('i32.const', dtype === 'bool' ? Number(value !== 0) : value | 0);
  else f.emit('v128.const', fourInts(dtype === 'bool' ? -Number(value !== 0) : value | 0));
}

function emitSplat(e: Emitter, a: Value): void {
  if (a.kind === 'const') {
    pushConstant(e, a.dtype, LANES, a.value);
    return;
  }
  if (a.kind === 'load' && e.isPending(a) && isPlainWord(a)) {
    const offset = e.pushAddress(a.buffer, a.index);
    e.f.emit('v128.load32_splat', { offset });
    return;
  }
  e.push(a);
  if (a.dtype === 'f32') {
    e.f.emit('f32x4.splat');
    return;
  }
  // A vector of bools is a mask: all bits of a lane are equal.
  if (a.dtype === 'bool') negate(e);
  e.f.emit('i32x4.splat');
}

/** A load that one instruction can repeat into all lanes. */
function isPlainWord(load: LoadValue): boolean {
  return load.mask.length === 0 && DTYPES[load.buffer.dtype].bytes === 4;
}

/** 0 or 1 on the stack becomes 0 or -1. */
function negate(e: Emitter): void {
  const local = e.f.local('i32');
  e.f.emit('local.set', local);
  e.f.emit('i32.const', 0).emit('local.get', local).emit('i32.sub');
}

function emitPack(e: Emitter, items: readonly Value[]): void {
  const [first] = items;
  items.forEach((item, lane) => {
    e.push(item);
    if (first.dtype === 'bool') negate(e);
    if (lane === 0) e.f.emit(first.dtype === 'f32' ? 'f32x4.splat' : 'i32x4.splat');
    else e.f.emit(first.dtype === 'f32' ? 'f32x4.replace_lane' : 'i32x4.replace_lane', lane);
  });
}

/** The bytes of 32-bit lanes. */
function bytesOfWords(places: readonly number[]): number[] {
  return places.flatMap((place) => [0, 1, 2, 3].map((byte) => place * 4 + byte));
}

function emitUnary(e: Emitter, value: UnaryValue): void {
  if (value.fn === 'abs' && value.a.dtype === 'u32') {
    e.push(value.a);
    return;
  }
  const form = unaryForm(value.fn, value.a.dtype, value.lanes);
  if (form.kind === 'one') {
    e.push(value.a);
    e.f.emit(form.name as SimpleInstruction);
    return;
  }
  const { f } = e;
  const x = f.local('i32');
  e.push(value.a);
  f.emit('local.set', x);
  const negative = () => f.emit('i32.const', 0).emit('local.get', x).emit('i32.sub');
  if (value.fn === 'neg') negative();
  else if (value.fn === 'abs') {
    negative().emit('local.get', x);
    f.emit('local.get', x).emit('i32.const', 0).emit('i32.lt_s').emit('select');
  } else f.emit('local.get', x).emit('i32.const', -1).emit('i32.xor');
}

/** Instructions without immediates. */
type SimpleInstruction = Extract<Instruction, 'f32.add'>;

function emitBinary(e: Emitter, value: BinaryValue): void {
  const { a, b, fn, dtype, lanes } = value;
  const form = binaryForm(fn, dtype, lanes);
  if (form.kind === 'one') {
    e.push(a);
    e.push(b);
    e.f.emit(form.name as SimpleInstruction);
  } else if (form.kind === 'helper') emitHelper(e, form.name, a, b, lanes);
  else if (fn === 'min' || fn === 'max') emitExtreme(e, a, b, fn);
  else emitLaneShift(e, value);
}

function emitHelper(e: Emitter, name: Helper, a: Value, b: Value, lanes: number): void {
  const { f } = e;
  const helper = e.options.helper(name);
  if (lanes === 1) {
    e.push(a);
    e.push(b);
    f.emit('call', helper);
    return;
  }
  laneByLane(e, a, b, () => f.emit('call', helper));
}

/** What no vector instruction does: each lane of both operands goes through `one` by itself. */
function laneByLane(e: Emitter, a: Value, b: Value, one: () => void): void {
  const { f } = e;
  const float = a.dtype === 'f32';
  const [x, y] = [f.local('v128'), f.local('v128')];
  e.push(a);
  f.emit('local.set', x);
  e.push(b);
  f.emit('local.set', y);
  for (let lane = 0; lane < LANES; lane++) {
    for (const operand of [x, y]) {
      f.emit('local.get', operand);
      f.emit(float ? 'f32x4.extract_lane' : 'i32x4.extract_lane', lane);
    }
    one();
    if (lane === 0) f.emit(float ? 'f32x4.splat' : 'i32x4.splat');
    else f.emit(float ? 'f32x4.replace_lane' : 'i32x4.replace_lane', lane);
  }
}

function emitExtreme(e: Emitter, a: Value, b: Value, fn: 'min' | 'max'): void {
  const { f } = e;
  const [x, y] = [f.local('i32'), f.local('i32')];
  e.push(a);
  f.emit('local.tee', x);
  e.push(b);
  f.emit('local.tee', y).emit('local.get', x).emit('local.get', y);
  f.emit(compareInstruction('lt', a.dtype, 1));
  if (fn === 'max') f.emit('i32.eqz');
  f.emit('select');
}

/** Vector shifts by one count for all lanes are an instruction; by a count each they are not. */
function emitLaneShift(e: Emitter, value: BinaryValue): void {
  const { f } = e;
  const { a, b, fn, dtype } = value;
  const unsigned = dtype === 'u32';
  if (b.kind === 'splat') {
    e.push(a);
    e.push(b.a);
    f.emit(fn === 'shl' ? 'i32x4.shl' : unsigned ? 'i32x4.shr_u' : 'i32x4.shr_s');
    return;
  }
  laneByLane(e, a, b, () => {
    f.emit(fn === 'shl' ? 'i32.shl' : unsigned ? 'i32.shr_u' : 'i32.shr_s');
  });
}

/**
 * Of floats, x < y ? y : x is one instruction, and x < y ? x : y too. Their results for NaN and
 * zeros are those of the comparison.
 */
function emitPseudoExtreme(e: Emitter, { condition, a, b, lanes }: SelectValue): boolean {
  if (lanes === 1 || a.dtype !== 'f32' || condition.kind !== 'compare') return false;
  if (condition.fn !== 'lt' || !e.isPending(condition)) return false;
  const [x, y] = [condition.a, condition.b];
  if (x === b && y === a) {
    e.push(x);
    e.push(y);
    e.f.emit('f32x4.pmax');
    return true;
  }
  if (x === a && y === b) {
    // pmin(p, q) is q < p ? q : p.
    e.push(y);
    e.push(x);
    e.f.emit('f32x4.pmin');
    return true;
  }
  return false;
}

function emitFma(e: Emitter, a: Value, b: Value, c: Value): void {
  if (c.lanes === 1) throw new InternalError('wasm fuses vectors only');
  const { f } = e;
  if (e.options.relaxedSimd) {
    e.push(a);
    e.push(b);
    e.push(c);
    f.emit('f32x4.relaxed_madd');
    return;
  }
  e.push(c);
  e.push(a);
  e.push(b);
  f.emit('f32x4.mul').emit('f32x4.add');
}

function emitConvert(e: Emitter, value: ConvertValue): void {
  const { f } = e;
  const { a, dtype, lanes } = value;
  const from = a.dtype;
  e.push(a);
  if (from === 'bool') {
    // A mask lane is all ones: the bits of the number one remain of it.
    if (lanes > 1)
      f.emit('v128.const', dtype === 'f32' ? fourFloats(1) : fourInts(1)).emit('v128.and');
    else if (dtype === 'f32') f.emit('f32.convert_i32_u');
    return;
  }
  if (dtype === 'bool') {
    pushConstant(e, from, lanes, 0);
    if (from === 'f32') f.emit(lanes > 1 ? 'f32x4.ne' : 'f32.ne');
    else f.emit(lanes > 1 ? 'i32x4.ne' : 'i32.ne');
    return;
  }
  if (dtype === 'f32') {
    const sign = from === 'u32' ? 'u' : 's';
    f.emit(lanes > 1 ? `f32x4.convert_i32x4_${sign}` : `f32.convert_i32_${sign}`);
    return;
  }
  if (from === 'f32') {
    const sign = dtype === 'u32' ? 'u' : 's';
    f.emit(lanes > 1 ? `i32x4.trunc_sat_f32x4_${sign}` : `i32.trunc_sat_f32_${sign}`);
  }
  // Between i32 and u32 the bits stay.
}

function emitBitcast(e: Emitter, a: Value, dtype: ValueDType): void {
  e.push(a);
  if (a.lanes > 1) return;
  if (a.dtype === 'f32') e.f.emit('i32.reinterpret_f32');
  else if (dtype === 'f32') e.f.emit('f32.reinterpret_i32');
}
