import { debug, debugging } from '../base/env.ts';
import { InternalError, TooLargeError } from '../base/errors.ts';
import type { BufferNode } from '../ir/graph/build.ts';
import type { Node } from '../ir/graph/types.ts';
import { type KernelTarget, type Statement, WASM_KERNELS } from '../ir/kernel/types.ts';
import { type Program, runPlan, type Target } from '../ir/program.ts';
import { emitWasm } from './emit/wasm/program.ts';
import { emitX64 } from './emit/x64/program.ts';
import { type CompileOptions, compileProgram, resolveOptions } from './program.ts';
import {
  decodeProgram,
  encodeProgram,
  type MachineCode,
  programKey,
  programStore,
} from './store.ts';

/** Targets whose code is bytes. */
export type MachineTarget = Target & { readonly kind: MachineCode['kind'] };

/** What kernels for a target may use. */
export function kernelsOf(target: MachineTarget): KernelTarget {
  if (target.kind === 'wasm') return WASM_KERNELS;
  const { isa, vnni, bf16Products: bf16, byteTiles } = target;
  const lanes = isa === 'avx512' ? 16 : 8;
  return { lanes, laneMasks: true, wideByteDot: vnni, hints: true, bf16, byteTiles };
}

/** The code from the store; where it has none, made and put there. */
export function keptCode(
  target: MachineTarget,
  outputs: readonly Node[],
  inputs: readonly BufferNode[],
  options: CompileOptions,
): MachineCode {
  // From level 2 on, debugging shows the steps of a compilation: so there must be one.
  const store = debugging(2) ? undefined : programStore();
  if (!store) return makeCode(target, outputs, inputs, options);
  const start = performance.now();
  const key = programKey(target, outputs, inputs, resolveOptions(options));
  const kept = store.read(key);
  if (!kept) {
    const code = makeCode(target, outputs, inputs, options);
    store.write(key, encodeProgram(code));
    return code;
  }
  const code = decodeProgram(kept);
  if (debugging(1)) debug(`loaded ${sizes(code)} (${milliseconds(start)} ms)`);
  return code;
}

function makeCode(
  target: MachineTarget,
  outputs: readonly Node[],
  inputs: readonly BufferNode[],
  options: CompileOptions,
): MachineCode {
  const start = performance.now();
  const program = compileProgram(outputs, inputs, options);
  const planning = milliseconds(start);
  refuseMissingTypes(program, target);
  refuseTooLarge(program, target);
  const emitStart = performance.now();
  const { code, text } = emit(program, target);
  if (debugging(5)) debug(text());
  if (debugging(1)) {
    const times = `schedule and lower ${planning} ms, emit ${milliseconds(emitStart)} ms`;
    debug(`compiled ${sizes(code)} (${times})`);
  }
  return code;
}

function emit(program: Program, target: MachineTarget): { code: MachineCode; text: () => string } {
  const plan = runPlan(program);
  switch (target.kind) {
    case 'wasm': {
      const { text, ...code } = emitWasm(program, target);
      return { code: { kind: 'wasm', plan, ...code }, text };
    }
    case 'x64': {
      const { text, ...code } = emitX64(program, target);
      return { code: { kind: 'x64', plan, ...code }, text };
    }
    default:
      target satisfies never;
      throw new InternalError('unknown target');
  }
}

/** Vectors of f64 have half as many lanes: they fit no kernel. */
function refuseMissingTypes(program: Program, { kind }: MachineTarget): void {
  const usesF64 = (s: Statement): boolean =>
    s.kind === 'loop' ? s.body.some(usesF64) : 'dtype' in s && s.dtype === 'f64';
  const device = kind === 'wasm' ? 'wasm' : 'native';
  for (const { buffers, locals, body } of program.kernels) {
    if (![...buffers, ...locals].some((b) => b.dtype === 'f64') && !body.some(usesF64)) continue;
    throw new TypeError(
      `device ${device} has no f64; cast to f32, or compute this with device: 'interpret'`,
    );
  }
}

/** Places in wasm's memory are 32-bit addresses: beyond them there is no code to be made. */
function refuseTooLarge({ scratchBytes, localBytes }: Program, target: MachineTarget): void {
  if (target.kind !== 'wasm') return;
  const bytes = scratchBytes + localBytes * target.threads;
  const limit = target.maximumPages * 65536;
  if (bytes > limit) throw new TooLargeError(bytes, limit);
}

function sizes({ plan, bytes }: MachineCode): string {
  return (
    `${plan.steps.length} steps, ${plan.kernels.length} kernels, ` +
    `${(bytes.length / 1024).toFixed(0)} KiB code, ${(plan.scratchBytes / 2 ** 20).toFixed(1)} MiB scratch`
  );
}

function milliseconds(start: number): string {
  return (performance.now() - start).toFixed(0);
}
