import { InternalError } from '../base/errors.ts';
import type { BufferNode } from '../ir/graph/build.ts';
import type { Node } from '../ir/graph/types.ts';
import type { Code, RunPlan, Target } from '../ir/program.ts';
import { keptCode, kernelsOf } from './code.ts';
import { type CompileOptions, compileProgram } from './program.ts';

export { type CallDecision, decideCalls, type TemplateUse } from './calls.ts';
export { emitWasm } from './emit/wasm/program.ts';
export { emitX64 } from './emit/x64/program.ts';
export type { AttentionAttributes } from './kernels/attention-operands.ts';
export { DEFAULT_TILES, type GemmTiles, tilesFor } from './kernels/gemm-tiles.ts';
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
      const { kernelTarget } = target;
      const program = compileProgram(outputs, inputs, {
        ...(kernelTarget ? { kernelTarget } : {}),
        ...options,
      });
      return { code: { kind: 'kernels', program }, ...memoryOf(program) };
    }
    case 'wasm':
    case 'x64': {
      const { threads } = target;
      const kernelTarget = kernelsOf(target);
      const code = keptCode(target, outputs, inputs, { threads, kernelTarget, ...options });
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
