import { FunctionBuilder } from './function.ts';
import { ModuleBuilder } from './module.ts';
import type { MemoryType } from './types.ts';

/** Which extensions of WebAssembly this engine has. */
export interface WasmFeatures {
  /** 128-bit vectors. */
  readonly simd: boolean;
  /** Vector instructions whose results may differ between processors, fused multiply-add too. */
  readonly relaxedSimd: boolean;
  /** Atomics on a shared memory that can be passed to other threads. */
  readonly threads: boolean;
  /** Memories addressed by 64-bit integers. */
  readonly memory64: boolean;
}

/**
 * Asks the engine by validating tiny modules; takes about a millisecond, never throws. In a
 * browser, `threads` is also false for a page that is not isolated from other origins, since such
 * a page may create a shared memory but not post it to a worker.
 */
export function wasmFeatures(): WasmFeatures {
  return {
    simd: accepts((code) => {
      code.emit('i32.const', 0).emit('i8x16.splat').emit('drop');
    }),
    relaxedSimd: accepts((code) => {
      code.emit('v128.const', new Uint8Array(16));
      code.emit('v128.const', new Uint8Array(16));
      code.emit('v128.const', new Uint8Array(16));
      code.emit('f32x4.relaxed_madd').emit('drop');
    }),
    threads:
      canShareMemory() &&
      accepts(
        (code) => {
          code.emit('i32.const', 0).emit('i32.atomic.load').emit('drop');
        },
        { minPages: 0, maxPages: 1, shared: true },
      ),
    memory64: accepts(
      (code) => {
        code.emit('i64.const', 0n).emit('i32.load').emit('drop');
      },
      { minPages: 0, maxPages: 1, address64: true },
    ),
  };
}

function accepts(write: (code: FunctionBuilder) => void, memory?: MemoryType): boolean {
  if (typeof WebAssembly === 'undefined') return false;
  const code = new FunctionBuilder({ params: [], results: [] });
  write(code);
  const module = new ModuleBuilder();
  if (memory !== undefined) module.importMemory('env', 'memory', memory);
  module.addFunction('probe', code);
  return WebAssembly.validate(module.bytes());
}

function canShareMemory(): boolean {
  // Only browsers define crossOriginIsolated; elsewhere threads share memory freely.
  const { crossOriginIsolated } = globalThis as { crossOriginIsolated?: boolean };
  return typeof SharedArrayBuffer !== 'undefined' && crossOriginIsolated !== false;
}
