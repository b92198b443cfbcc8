import { debug, debugging } from '../base/env.ts';
import { InternalError } from '../base/errors.ts';
import type { BufferNode } from '../ir/graph/build.ts';
import type { Node } from '../ir/graph/types.ts';
import type { Statement } from '../ir/kernel/types.ts';
import type { Code, Program, Target } from '../ir/program.ts';
import { emitWasm } from './emit/wasm/program.ts';
import { type CompileOptions, compileProgram } from './program.ts';

export { emitWasm } from './emit/wasm/program.ts';
export { DEFAULT_TILES, type GemmTiles } from './kernels/gemm-tiles.ts';
export { type CompileOptions, compileProgram } from './program.ts';
export { PASSES, type Pass, rewriteGraph } from './rewrite.ts';

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
  const none = outputs.map(() => undefined);
  if (target.kind === 'graph') {
    const keeps = outputs.map(() => false);
    return { code: { kind: 'graph', outputs, inputs }, reuse: none, keeps };
  }
  const start = performance.now();
  const threads = target.kind === 'wasm' ? target.threads : 1;
  const program = compileProgram(outputs, inputs, { threads, ...options });
  const planned = performance.now();
  const reuse = program.outputs.map((o) => o.mayReuse);
  const keeps = program.outputs.map((o) => o.keeps);
  if (target.kind === 'kernels') return { code: { kind: 'kernels', program }, reuse, keeps };
  if (target.kind !== 'wasm') throw new InternalError('unknown target');
  refuseMissingTypes(program);
  const code = emitWasm(program, target);
  if (debugging(5)) debug(code.text());
  if (debugging(1))
    debug(summary(program, code.bytes.length, planned - start, performance.now() - planned));
  const { bytes, sharedLoops } = code;
  return { code: { kind: 'wasm', program, bytes, sharedLoops }, reuse, keeps };
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

function summary(program: Program, bytes: number, planning: number, emitting: number): string {
  return (
    `compiled ${program.steps.length} steps, ${program.kernels.length} kernels, ` +
    `${(bytes / 1024).toFixed(0)} KiB code, ${(program.scratchBytes / 2 ** 20).toFixed(1)} MiB scratch ` +
    `(schedule and lower ${planning.toFixed(0)} ms, emit ${emitting.toFixed(0)} ms)`
  );
}
