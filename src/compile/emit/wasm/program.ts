import { FunctionBuilder, ModuleBuilder, moduleText } from '../../../asm/index.ts';
import { FAILURE_RECORD, type Place, type Program } from '../../../ir/program.ts';
import { addHelper } from './helpers.ts';
import type { Helper } from './instructions.ts';
import { emitKernel } from './kernel.ts';

export interface WasmOptions {
  readonly relaxedSimd: boolean;
  /** Pages of 64 KiB that the imported memory may have at most. */
  readonly maximumPages: number;
}

/** Code of a program: exports `run(table)` and one `kernelN` for each distinct kernel. */
export interface WasmCode {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The module as WebAssembly text. */
  readonly text: () => string;
}

/**
 * Emits a program as one module over an imported memory. `run` takes the address of a table of
 * 32-bit numbers: the addresses of inputs, outputs and the scratch arena, then the vars. It returns
 * 0, or the number of the step (from 1) that found an index out of range; later steps did not run.
 */
export function emitWasm(program: Program, options: WasmOptions): WasmCode {
  const module = new ModuleBuilder();
  module.importMemory('env', 'memory', { minPages: 1, maxPages: options.maximumPages });
  const helpers = new Map<Helper, number>();
  const helper = (name: Helper): number => {
    let index = helpers.get(name);
    if (index === undefined) {
      index = addHelper(module, name);
      helpers.set(name, index);
    }
    return index;
  };
  const { relaxedSimd } = options;
  const kernels = program.kernels.map((kernel) => emitKernel(kernel, { relaxedSimd, helper }));
  const numbers = kernels.map((f, i) =>
    module.addFunction(`${program.kernels[i].name}_${i}`, f, { export: true }),
  );
  module.addFunction('run', emitRun(program, numbers), { export: true });
  return { bytes: module.bytes(), text: () => moduleText(module) };
}

function emitRun(program: Program, numbers: readonly number[]): FunctionBuilder {
  const f = new FunctionBuilder({ params: ['i32'], results: ['i32'] });
  const { inputs, outputs, vars } = program;
  const scratchSlot = inputs.length + outputs.length;
  const load = (slot: number) => f.emit('local.get', 0).emit('i32.load', { offset: slot * 4 });
  const scratch = f.local('i32');
  load(scratchSlot).emit('local.set', scratch);
  const push = (place: Place): void => {
    if (place.kind === 'input') load(place.index);
    else if (place.kind === 'output') load(inputs.length + place.index);
    else f.emit('local.get', scratch).emit('i32.const', place.offset).emit('i32.add');
  };
  program.steps.forEach((step, i) => {
    const kernel = program.kernels[step.kernel];
    step.places.forEach(push);
    for (const v of kernel.vars) {
      load(scratchSlot + 1 + vars.findIndex((known) => known.name === v.name));
    }
    f.emit('call', numbers[step.kernel]);
    if (kernel.checks.length === 0) return;
    f.emit('i32.const', FAILURE_RECORD).emit('i32.load');
    f.if(() => f.emit('i32.const', i + 1).emit('return'));
  });
  f.emit('i32.const', 0);
  return f;
}
