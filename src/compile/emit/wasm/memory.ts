import type { Instruction } from '../../../asm/index.ts';
import { InternalError } from '../../../base/errors.ts';
import { DTYPES, type DType } from '../../../ir/dtype.ts';
import { isSmallFloat } from '../../../ir/float-formats.ts';
import type { LoadValue, Store, Value, WordsValue } from '../../../ir/kernel/types.ts';
import { type Emitter, wasmType } from './emitter.ts';
import { LANES } from './lanes.ts';
import { emitNarrow, emitWiden } from './small-floats.ts';
import { pushConstant } from './values.ts';

type Address = { offset: number; align: number };

/** The instruction that reads one element into a register. */
function loadInstruction(
  dtype: DType,
): 'f32.load' | 'i32.load' | 'i32.load8_u' | 'i32.load8_s' | 'i32.load16_s' {
  switch (dtype) {
    case 'f32':
      return 'f32.load';
    case 'i32':
    case 'u32':
      return 'i32.load';
    case 'u8':
    case 'bool':
      return 'i32.load8_u';
    case 'i8':
    case 'f8e4m3':
    case 'f8e5m2':
      return 'i32.load8_s';
    case 'f16':
    case 'bf16':
      return 'i32.load16_s';
    case 'f64':
      throw new InternalError(`wasm kernels cannot load ${dtype}`);
    default:
      return dtype satisfies never;
  }
}

export function emitLoad(e: Emitter, load: LoadValue): void {
  if (load.mask.length === 0) {
    loadElements(e, load);
    return;
  }
  e.pushMask(load.mask);
  e.branch(
    () => loadElements(e, load),
    () => pushConstant(e, load.dtype, load.lanes, load.other),
    wasmType(load),
  );
}

function loadElements(e: Emitter, load: LoadValue): void {
  const { f } = e;
  const { dtype } = load.buffer;
  const { bytes } = DTYPES[dtype];
  // Asked for vectors too: it refuses the types that have no instruction.
  const instruction = loadInstruction(dtype);
  const offset = e.pushAddress(load.buffer, load.index);
  if (load.lanes === 1) {
    f.emit(instruction, { offset });
    if (dtype === 'bool') f.emit('i32.const', 0).emit('i32.ne');
    if (isSmallFloat(dtype)) emitWiden(f, dtype, 1);
    return;
  }
  if (load.step === 1 && bytes === 4) {
    f.emit('v128.load', { offset, align: 4 });
    return;
  }
  if (load.step === 1) {
    widenFour(e, dtype, { offset, align: bytes });
    return;
  }
  gatherFour(e, load, offset);
}

/** Four elements of one or two bytes to four 32-bit lanes. */
function widenFour(e: Emitter, dtype: DType, address: Address): void {
  const { f } = e;
  if (DTYPES[dtype].bytes === 2) f.emit('v128.load16x4_s', address);
  else {
    const sign = dtype === 'u8' || dtype === 'bool' ? 'u' : 's';
    f.emit('v128.load32_zero', address);
    f.emit(`i16x8.extend_low_i8x16_${sign}`).emit(`i32x4.extend_low_i16x8_${sign}`);
  }
  if (dtype === 'bool') nonZero(e);
  if (isSmallFloat(dtype)) emitWiden(f, dtype, LANES);
}

function nonZero(e: Emitter): void {
  e.f.emit('v128.const', new Uint8Array(16)).emit('i32x4.ne');
}

/** Four elements that lie `step` apart, lane by lane. */
function gatherFour(e: Emitter, load: LoadValue, offset: number): void {
  const { f } = e;
  const { dtype } = load.buffer;
  const stride = load.step * DTYPES[dtype].bytes;
  const base = f.local('i32');
  f.emit('local.set', base);
  for (let lane = 0; lane < LANES; lane++) {
    f.emit('local.get', base);
    const at = offset + lane * stride;
    // Backwards steps cannot be an unsigned offset.
    if (at < 0) f.emit('i32.const', at).emit('i32.add');
    f.emit(loadInstruction(dtype), { offset: Math.max(0, at) });
    const insert: Instruction = dtype === 'f32' ? 'f32x4.replace_lane' : 'i32x4.replace_lane';
    if (lane === 0) f.emit(dtype === 'f32' ? 'f32x4.splat' : 'i32x4.splat');
    else f.emit(insert, lane);
  }
  if (dtype === 'bool') nonZero(e);
  if (isSmallFloat(dtype)) emitWiden(f, dtype, LANES);
}

/** Bytes as they lie; they may begin anywhere. */
export function emitWords(e: Emitter, { buffer, index }: WordsValue): void {
  const offset = e.pushAddress(buffer, index);
  e.f.emit('v128.load', { offset, align: 1 });
}

export function emitStore(e: Emitter, store: Store): void {
  const { f } = e;
  const { buffer, value } = store;
  const { bytes } = DTYPES[buffer.dtype];
  const offset = e.pushAddress(buffer, store.index);
  if (value.lanes > 1 && bytes === 4) {
    e.push(value);
    f.emit('v128.store', { offset, align: 4 });
    return;
  }
  if (value.lanes === 1) {
    e.push(value);
    storeOne(e, buffer.dtype, offset);
    return;
  }
  storeFour(e, buffer.dtype, value, { offset, align: bytes });
}

/** The low bytes of four lanes, one after the other. */
function storeFour(e: Emitter, dtype: DType, value: Value, address: Address): void {
  const { f } = e;
  e.push(value);
  if (isSmallFloat(dtype)) emitNarrow(f, dtype, LANES);
  // Packing saturates, so the lanes must hold no more than their element.
  else f.emit('v128.const', lowBits(dtype)).emit('v128.and');
  const lanes = f.local('v128');
  f.emit('local.tee', lanes).emit('local.get', lanes).emit('i16x8.narrow_i32x4_u');
  if (DTYPES[dtype].bytes === 2) {
    f.emit('v128.store64_lane', address, 0);
    return;
  }
  f.emit('local.tee', lanes).emit('local.get', lanes).emit('i8x16.narrow_i16x8_u');
  f.emit('v128.store32_lane', address, 0);
}

/** A mask lane of a bool is all ones: one bit of it is stored. */
function lowBits(dtype: DType): Uint8Array {
  return new Uint8Array(new Int32Array(LANES).fill(dtype === 'bool' ? 1 : 0xff).buffer);
}

function storeOne(e: Emitter, dtype: DType, offset: number): void {
  const { f } = e;
  const { bytes } = DTYPES[dtype];
  if (isSmallFloat(dtype)) emitNarrow(f, dtype, 1);
  if (dtype === 'f64') throw new InternalError('wasm kernels cannot store f64');
  if (dtype === 'f32') f.emit('f32.store', { offset });
  else if (bytes === 4) f.emit('i32.store', { offset });
  else if (bytes === 2) f.emit('i32.store16', { offset });
  else f.emit('i32.store8', { offset });
}
