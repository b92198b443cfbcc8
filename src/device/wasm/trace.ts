import { InternalError } from '../../base/errors.ts';
import { type Place, type RunPlan, tableSlots } from '../../ir/program.ts';

/**
 * Runs a program kernel by kernel on the calling thread, timing each: for TERSOR_DEBUG=2.
 *
 * @returns as the module's `run`
 */
export function traceRun(
  plan: RunPlan,
  exports: { readonly [kernel: string]: unknown },
  entries: Int32Array,
  write: (text: string) => void,
  failed: () => boolean,
): number {
  const { inputs, vars } = plan;
  const slots = tableSlots(plan);
  const address = (place: Place): number => {
    if (place.kind === 'input') return entries[place.index];
    if (place.kind === 'output') return entries[inputs.length + place.index];
    return entries[place.kind === 'local' ? slots.local : slots.scratch] + place.offset;
  };
  const lines: string[] = [];
  let total = 0;
  let stopped = 0;
  let loops = 0;
  for (const [i, step] of plan.steps.entries()) {
    const kernel = plan.kernels[step.kernel];
    const call = exports[`${kernel.name}_${step.kernel}`];
    if (typeof call !== 'function')
      throw new InternalError(`no kernel ${step.kernel} in the module`);
    const values = kernel.vars.map(
      (v) => entries[slots.vars + vars.findIndex((known) => known.name === v.name)],
    );
    const start = performance.now();
    // Kernels of a single thread take no counters and leave these out.
    call(...step.places.map(address), ...values, entries[slots.counters] + loops * 4, 1);
    const time = performance.now() - start;
    total += time;
    loops += kernel.sharedLoops;
    lines.push(`${String(i).padStart(4)} ${time.toFixed(3).padStart(9)} ms  ${step.label}`);
    if (kernel.checks.length > 0 && failed()) {
      stopped = i + 1;
      break;
    }
  }
  write(`run: ${plan.steps.length} steps in ${total.toFixed(3)} ms\n${lines.join('\n')}`);
  return stopped;
}
