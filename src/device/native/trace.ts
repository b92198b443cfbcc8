import type { Call } from './steps.ts';

/** What a run kernel by kernel needs of its device. */
export interface Stepping {
  readonly call: (call: Call) => void;
  /** Whether an index out of range has been recorded. */
  readonly failed: () => boolean;
  readonly write: (text: string) => void;
}

/**
 * Runs a program kernel by kernel on the calling thread, timing each: for TERSOR_DEBUG=2.
 *
 * @returns the step (from 1) that found an index out of range, or 0
 */
export function traceCalls(calls: Iterable<Call>, { call, failed, write }: Stepping): number {
  const lines: string[] = [];
  let total = 0;
  let stopped = 0;
  for (const step of calls) {
    const start = performance.now();
    call(step);
    const time = performance.now() - start;
    total += time;
    const number = String(lines.length).padStart(4);
    lines.push(`${number} ${time.toFixed(3).padStart(9)} ms  ${step.label}`);
    if (step.checks && failed()) {
      stopped = lines.length;
      break;
    }
  }
  write(`run: ${lines.length} steps in ${total.toFixed(3)} ms\n${lines.join('\n')}`);
  return stopped;
}
