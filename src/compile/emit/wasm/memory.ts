import type { Instruction } from '../../../asm/index.ts';
import { InternalError } from '../../../base/errors.ts';
import { DTYPES, type DType } from '../../../ir/dtype.ts';
import { LANES } from '../../../ir/kernel/index-expr.ts';
import type { LoadValue, Store } from '../../../ir/kernel/types.ts';
import { type Emitter, wasmType } from './emitter.ts';
import { pushConstant } from './values.ts';

type Address = { offset: number; align: number };

/** The instruction that reads one element into a register. */
function loadInstruction(dtype: DType): 'f32.load' | 'i32.load' | 'i32.load8_u' | 'i32.load8_s' {
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
      return 'i32.load8_s';
    case 'f64':
    case 'f16':
    case 'bf16':
    case 'f8e4m3':
    case 'f8e5m2':
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
    return;
  }
  if (load.step === 1 && bytes === 4) {
    f.emit('v128.load', { offset, align: 4 });
    return;
  }
  if (load.step === 1) {
    widenFour(e, dtype, { offset, align: 1 });
    return;
  }
  gatherFour(e, load, offset);
}

/** Four bytes to four 32-bit lanes. */
function widenFour(e: Emitter, dtype: DType, address: Address): void {
  const { f } = e;
  const sign = dtype === 'i8' ? 's' : 'u';
  f.emit('v128.load32_zero', address);
  f.emit(`i16x8.extend_low_i8x16_${sign}`).emit(`i32x4.extend_low_i16x8_${sign}`);
  if (dtype === 'bool') nonZero(e);
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
  const address = f.local('i32');
  const vector = f.local('v128');
  f.emit('local.set', address);
  e.push(value);
  f.emit('local.set', vector);
  for (let lane = 0; lane < LANES; lane++) {
    f.emit('local.get', address).emit('local.get', vector).emit('i32x4.extract_lane', lane);
    if (buffer.dtype === 'bool') f.emit('i32.const', 1).emit('i32.and');
    storeOne(e, buffer.dtype, offset + lane);
  }
}

function storeOne(e: Emitter, dtype: DType, offset: number): void {
  const { bytes } = DTYPES[dtype];
  if (dtype === 'f32') e.f.emit('f32.store', { offset });
  else if (bytes === 4) e.f.emit('i32.store', { offset });
  else if (bytes === 1 && DTYPES[dtype].kind !== 'float') e.f.emit('i32.store8', { offset });
  else throw new InternalError(`wasm kernels cannot store ${dtype}`);
}
