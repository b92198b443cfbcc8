import { nextTurn } from '../base/yield.ts';
import type { Program } from '../ir/program.ts';

/** Instructions that run between two looks at a signal: a few milliseconds. */
const SLICE = 4_000_000;

/**
 * Runs a program some steps at a time, so that timers and input get their turn and a signal can
 * stop it. Once a step may have written over an input the signal is not looked at any more.
 *
 * @param run runs steps `from` to `to` (exclusive); gives the step (from 1) that failed, or 0
 * @returns as `run`
 * @throws the signal's reason
 */
export async function runInSlices(
  { steps, firstCommit }: Pick<Program, 'steps' | 'firstCommit'>,
  run: (from: number, to: number) => number | Promise<number>,
  signal: AbortSignal,
): Promise<number> {
  for (let from = 0; from < steps.length; ) {
    if (from <= firstCommit) signal.throwIfAborted();
    // What commits is never joined with what can still be cancelled.
    const end = from < firstCommit ? firstCommit : steps.length;
    let to = from;
    for (let work = 0; to < end && (to === from || work < SLICE); to++) {
      work += steps[to].instructions;
    }
    const failed = await run(from, to);
    if (failed > 0) return failed;
    from = to;
    if (from < steps.length) await nextTurn();
  }
  return 0;
}
