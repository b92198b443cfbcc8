import { kernelCost } from '../../ir/kernel/cost.ts';
import type { Place, Program } from '../../ir/program.ts';

function formatPlace(place: Place): string {
  if (place.kind === 'scratch') return `@${place.offset}`;
  return place.kind === 'local' ? `own@${place.offset}` : `${place.kind}${place.index}`;
}

/** The schedule as text: one step a line, with its arguments, work and traffic. */
export function printSchedule(program: Program): string {
  const costs = program.kernels.map(kernelCost);
  const lines = program.steps.map((step, i) => {
    const { flops, loads, stores } = costs[step.kernel];
    const work = `${(flops / 1e6).toFixed(2)} MFLOP ${((loads + stores) / 1e6).toFixed(2)} MB`;
    const places = step.places.map(formatPlace).join(' ');
    const barrier = step.barrier ? '|' : ' ';
    return `${String(i).padStart(4)}${barrier}kernel ${step.kernel} ${step.label} (${work}) ${places}`;
  });
  const { kernels, inputs, outputs, scratchBytes } = program;
  const head =
    `schedule: ${lines.length} steps, ${kernels.length} kernels, ${inputs.length} inputs, ` +
    `${outputs.length} outputs, ${(scratchBytes / 1e6).toFixed(2)} MB scratch`;
  return [head, ...lines].join('\n');
}
