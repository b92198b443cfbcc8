import type { BlockType, FunctionBuilder, ValType } from '../../../asm/index.ts';
import { InternalError } from '../../../base/errors.ts';
import type { Index } from '../../../ir/kernel/index-expr.ts';
import type { Buffer, Mask, Value } from '../../../ir/kernel/types.ts';
import type { Helper } from './instructions.ts';

export interface EmitOptions {
  /** Emit fused multiply-adds; without them they are rounded twice. */
  readonly relaxedSimd: boolean;
  /**
   * Several threads may run a kernel together: it takes the address of its shared loops' counters
   * and the number of threads as its last parameters.
   */
  readonly shared: boolean;
  /** The function number of a helper, added to the module on first use. */
  readonly helper: (name: Helper) => number;
}

/** What the parts of the emitter (values, memory) need of the whole. */
export interface Emitter {
  readonly f: FunctionBuilder;
  readonly options: EmitOptions;
  /** Leaves a value on the stack. */
  push(value: Value): void;
  /** True for a value that is not yet computed: `push` would compute it here. */
  isPending(value: Value): boolean;
  pushIndex(index: Index): void;
  /** Leaves 1 where all of the mask holds, else 0. */
  pushMask(mask: Mask): void;
  /** Takes a condition off the stack; use this and not `f.if` around addresses. */
  branch(then: () => void, otherwise?: () => void, type?: BlockType): void;
  /** Leaves the address of an element; returns the offset that the instruction must add. */
  pushAddress(buffer: Buffer, index: Index): number;
}

export function wasmType(value: Value): ValType {
  if (value.dtype === 'f64') throw new InternalError('wasm kernels have no f64');
  if (value.lanes > 1) return 'v128';
  return value.dtype === 'f32' ? 'f32' : 'i32';
}
