import type { Place, RunPlan } from '../../ir/program.ts';
import type { RunTable } from './table.ts';

/** One kernel of a program, ready to be called by itself. */
export interface Call {
  /** Its record: u64 in halves, lower first. */
  readonly record: Uint32Array;
  readonly label: string;
  readonly name: string;
  readonly kernel: number;
  readonly checks: boolean;
}

/** The kernels of a run in order, each with the record that it is called with. */
export function* callsOf(
  plan: RunPlan,
  table: RunTable,
  control: number,
): Generator<Call, void, void> {
  const { slots } = table;
  const address = (place: Place): number => {
    if (place.kind === 'input') return table.get(place.index);
    if (place.kind === 'output') return table.get(plan.inputs.length + place.index);
    return table.get(place.kind === 'local' ? slots.local : slots.scratch) + place.offset;
  };
  let loops = 0;
  for (const step of plan.steps) {
    const kernel = plan.kernels[step.kernel];
    const values = kernel.vars.map((v) =>
      table.get(slots.vars + plan.vars.findIndex((known) => known.name === v.name)),
    );
    const counters = table.get(slots.counters) + loops * 4;
    const entries = [...step.places.map(address), ...values, counters, 1, control];
    const record = new Uint32Array(2 * entries.length);
    entries.forEach((value, i) => {
      record[2 * i] = value;
      record[2 * i + 1] = Math.floor(value / 2 ** 32);
    });
    const { name } = kernel;
    const checks = kernel.checks.length > 0;
    yield { record, label: step.label, name, kernel: step.kernel, checks };
    loops += kernel.sharedLoops;
  }
}
