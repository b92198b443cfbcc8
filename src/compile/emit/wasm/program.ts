import { FunctionBuilder, ModuleBuilder, moduleText } from '../../../asm/index.ts';
import { isParallel, sharedLoops } from '../../../ir/kernel/threads.ts';
import { FAILURE_RECORD, type Place, type Program, tableSlots } from '../../../ir/program.ts';
import { barrierFunction } from './barrier.ts';
import { addHelper } from './helpers.ts';
import type { Helper } from './instructions.ts';
import { emitKernel } from './kernel.ts';

export interface WasmOptions {
  readonly relaxedSimd: boolean;
  /** Pages of 64 KiB that the imported memory may have at most. */
  readonly maximumPages: number;
  /** Most threads that run a program together; 1: memory is not shared. */
  readonly threads: number;
}

/** Code of a program: exports `run` and each distinct kernel as `name_number`. */
export interface WasmCode {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly sharedLoops: number;
  /** The module as WebAssembly text. */
  readonly text: () => string;
}

/**
 * Emits a program as one module over an imported memory. `run(table, thread, threads, from, to)`
 * runs steps `from` to `to` (exclusive); every thread calls it. The table holds 32-bit numbers: the
 * addresses of inputs, outputs, the scratch arena, the threads' own arenas and the counters of
 * shared loops, then the vars. It returns 0, or the number of the step (from 1) that found an index
 * out of range; later steps did not run.
 */
export function emitWasm(program: Program, options: WasmOptions): WasmCode {
  const module = new ModuleBuilder();
  const { relaxedSimd, maximumPages, threads } = options;
  const shared = threads > 1;
  module.importMemory('env', 'memory', { minPages: 1, maxPages: maximumPages, shared });
  const helpers = new Map<Helper, number>();
  const helper = (name: Helper): number => {
    let index = helpers.get(name);
    if (index === undefined) {
      index = addHelper(module, name);
      helpers.set(name, index);
    }
    return index;
  };
  const kernels = program.kernels.map((kernel) =>
    emitKernel(kernel, { relaxedSimd, shared, helper }),
  );
  const numbers = kernels.map((f, i) =>
    module.addFunction(`${program.kernels[i].name}_${i}`, f, { export: true }),
  );
  const barrier = shared ? module.addFunction('barrier', barrierFunction()) : undefined;
  const { f, sharedLoops } = emitRun(program, numbers, barrier);
  module.addFunction('run', f, { export: true });
  return { bytes: module.bytes(), sharedLoops, text: () => moduleText(module) };
}

/** Parameters of `run`. */
const [TABLE, THREAD, THREADS, FROM, TO] = [0, 1, 2, 3, 4];

function emitRun(program: Program, numbers: readonly number[], barrier: number | undefined) {
  const f = new FunctionBuilder({ params: ['i32', 'i32', 'i32', 'i32', 'i32'], results: ['i32'] });
  const { inputs, vars } = program;
  const slots = tableSlots(program);
  const load = (slot: number) => f.emit('local.get', TABLE).emit('i32.load', { offset: slot * 4 });
  const [scratch, own, counters, arrivals] = [0, 1, 2, 3].map(() => f.local('i32'));
  load(slots.scratch).emit('local.set', scratch);
  load(slots.local).emit('local.get', THREAD).emit('i32.const', program.localBytes);
  f.emit('i32.mul').emit('i32.add').emit('local.set', own);
  load(slots.counters).emit('local.set', counters);
  const push = (place: Place): void => {
    if (place.kind === 'input') load(place.index);
    else if (place.kind === 'output') load(inputs.length + place.index);
    else {
      f.emit('local.get', place.kind === 'local' ? own : scratch);
      f.emit('i32.const', place.offset).emit('i32.add');
    }
  };
  const meet = () => {
    if (barrier === undefined) return;
    f.emit('local.get', THREADS).emit('local.get', arrivals).emit('i32.add');
    f.emit('local.tee', arrivals).emit('local.get', THREADS).emit('call', barrier);
  };
  let loops = 0;
  program.steps.forEach((step, i) => {
    const kernel = program.kernels[step.kernel];
    const parallel = isParallel(kernel);
    f.emit('local.get', FROM).emit('i32.const', i).emit('i32.le_s');
    f.emit('local.get', TO).emit('i32.const', i).emit('i32.gt_s').emit('i32.and');
    f.if(() => {
      if (step.barrier) meet();
      const call = () => {
        step.places.forEach(push);
        for (const v of kernel.vars) {
          load(slots.vars + vars.findIndex((known) => known.name === v.name));
        }
        if (barrier !== undefined) {
          f.emit('local.get', counters)
            .emit('i32.const', loops * 4)
            .emit('i32.add');
          f.emit('local.get', THREADS);
        }
        f.emit('call', numbers[step.kernel]);
      };
      if (parallel || barrier === undefined) call();
      else {
        f.emit('local.get', THREAD).emit('i32.eqz');
        f.if(call);
      }
      if (kernel.checks.length === 0) return;
      meet();
      f.emit('i32.const', FAILURE_RECORD).emit('i32.load');
      f.if(() => f.emit('i32.const', i + 1).emit('return'));
    });
    loops += sharedLoops(kernel).length;
  });
  f.emit('i32.const', 0);
  return { f, sharedLoops: loops };
}
