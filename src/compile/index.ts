import { debug, debugging } from '../base/env.ts';
import { InternalError, TooLargeError } from '../base/errors.ts';
import type { BufferNode } from '../ir/graph/build.ts';
import type { Node } from '../ir/graph/types.ts';
import type { Statement } from '../ir/kernel/types.ts';
import { type Code, type Program, type RunPlan, runPlan, type Target } from '../ir/program.ts';
import { emitWasm } from './emit/wasm/program.ts';
import { type CompileOptions, compileProgram, resolveOptions } from './program.ts';
import { decodeProgram, encodeProgram, programKey, programStore, type WasmCode } from './store.ts';

export { type CallDecision, decideCalls, type TemplateUse } from './calls.ts';
export { emitWasm } from './emit/wasm/program.ts';
export type { AttentionAttributes } from './kernels/attention-operands.ts';
export { DEFAULT_TILES, type GemmTiles } from './kernels/gemm-tiles.ts';
export { type CompileOptions, compileProgram } from './program.ts';
export { PASSES, rewriteGraph } from './rewrite/index.ts';
export type { Pass } from './rewrite/pass.ts';
export { type ProgramStore, setProgramStore } from './store.ts';

/** A compiled graph: code, and which outputs may take over which inputs. */
export interface Compiled {
  readonly code: Code;
  /** For each output, the number of the input whose memory it may take over. */
  readonly reuse: readonly (number | undefined)[];
  /** Outputs whose memory must hold the content of that input when the program starts. */
  readonly keeps: readonly boolean[];
}

/** Compiles a graph for a target: the one way from graph to code. */
export function compile(
  target: Target,
  outputs: readonly Node[],
  inputs: readonly BufferNode[],
  options: CompileOptions = {},
): Compiled {
  switch (target.kind) {
    case 'graph':
      return {
        code: { kind: 'graph', outputs, inputs },
        reuse: outputs.map(() => undefined),
        keeps: outputs.map(() => false),
      };
    case 'kernels': {
      const program = compileProgram(outputs, inputs, options);
      return { code: { kind: 'kernels', program }, ...memoryOf(program) };
    }
    case 'wasm': {
      const { threads } = target;
      const code = keptCode(target, outputs, inputs, { threads, ...options });
      return { code, ...memoryOf(code.plan) };
    }
    default:
      target satisfies never;
      throw new InternalError('unknown target');
  }
}

function memoryOf({ outputs }: Pick<RunPlan, 'outputs'>): Pick<Compiled, 'reuse' | 'keeps'> {
  return { reuse: outputs.map((o) => o.mayReuse), keeps: outputs.map((o) => o.keeps) };
}

type WasmTarget = Target & { readonly kind: 'wasm' };

/** The code from the store; where it has none, made and put there. */
function keptCode(
  target: WasmTarget,
  outputs: readonly Node[],
  inputs: readonly BufferNode[],
  options: CompileOptions,
): WasmCode {
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
  target: WasmTarget,
  outputs: readonly Node[],
  inputs: readonly BufferNode[],
  options: CompileOptions,
): WasmCode {
  const start = performance.now();
  const program = compileProgram(outputs, inputs, options);
  const planning = milliseconds(start);
  refuseMissingTypes(program);
  refuseTooLarge(program, target);
  const emitStart = performance.now();
  const { bytes, sharedLoops, text } = emitWasm(program, target);
  const code: WasmCode = { kind: 'wasm', plan: runPlan(program), bytes, sharedLoops };
  if (debugging(5)) debug(text());
  if (debugging(1)) {
    const times = `schedule and lower ${planning} ms, emit ${milliseconds(emitStart)} ms`;
    debug(`compiled ${sizes(code)} (${times})`);
  }
  return code;
}

/** WebAssembly has f64, but its vectors of two lanes fit no kernel. */
function refuseMissingTypes(program: Program): void {
  const usesF64 = (s: Statement): boolean =>
    s.kind === 'loop' ? s.body.some(usesF64) : s.kind !== 'store' && s.dtype === 'f64';
  for (const { buffers, locals, body } of program.kernels) {
    if (![...buffers, ...locals].some((b) => b.dtype === 'f64') && !body.some(usesF64)) continue;
    throw new TypeError(
      "device wasm has no f64; cast to f32, or compute this with device: 'interpret'",
    );
  }
}

/** Places in memory are 32-bit addresses: beyond them there is no code to be made. */
function refuseTooLarge({ scratchBytes, localBytes }: Program, target: WasmTarget): void {
  const bytes = scratchBytes + localBytes * target.threads;
  const limit = target.maximumPages * 65536;
  if (bytes > limit) throw new TooLargeError(bytes, limit);
}

function sizes({ plan, bytes }: WasmCode): string {
  return (
    `${plan.steps.length} steps, ${plan.kernels.length} kernels, ` +
    `${(bytes.length / 1024).toFixed(0)} KiB code, ${(plan.scratchBytes / 2 ** 20).toFixed(1)} MiB scratch`
  );
}

function milliseconds(start: number): string {
  return (performance.now() - start).toFixed(0);
}
