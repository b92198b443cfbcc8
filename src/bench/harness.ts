import type { Probe } from '../device/measure/index.ts';
import { type Clock, WALL } from './clock.ts';

/** Something that is timed beside others. */
export interface Contestant {
  readonly name: string;
  /** Does the work `count` times and returns the seconds that took. */
  readonly run: (count: number, clock: Clock) => number | Promise<number>;
}

export interface Timing {
  /** Seconds of running before anything counts: engines improve their code meanwhile. */
  readonly warmSeconds: number;
  /** Seconds that one sample should take at least. */
  readonly sampleSeconds: number;
  /** Samples of each contestant. */
  readonly rounds: number;
  readonly clock: Clock;
}

const SETTLE_MS = 30;

export const DEFAULT_TIMING: Timing = {
  warmSeconds: 1.5,
  sampleSeconds: 0.1,
  rounds: 11,
  clock: WALL,
};

/** A contestant that repeats a function. */
export function repeating(name: string, once: () => unknown): Contestant {
  const run = async (count: number, { now }: Clock) => {
    const start = now();
    for (let i = 0; i < count; i++) {
      const result = once();
      // Waiting for what is no promise would cost a turn of the queue.
      if (result instanceof Promise) await result;
    }
    return (now() - start) / 1000;
  };
  return { name, run };
}

/** A limit of the machine as a contestant whose time is that of `work` at the limit's rate. */
export function limiting(name: string, probe: Probe, work: number): Contestant {
  return { name, run: (count, { now }) => (work * count) / (probe.sample(now) * 1e9) };
}

/**
 * Times contestants in turns, so that whatever else the machine does meets all of them alike. Each
 * is warmed first, then runs so often in a sample that the clock's steps do not matter.
 *
 * @returns for each contestant by name, the seconds of one run in each round
 */
export async function race(
  contestants: readonly Contestant[],
  timing: Timing = DEFAULT_TIMING,
): Promise<Map<string, number[]>> {
  const entries: { contestant: Contestant; count: number; seconds: number[] }[] = [];
  for (const contestant of contestants) {
    entries.push({ contestant, count: await warm(contestant, timing), seconds: [] });
  }
  for (let round = 0; round < timing.rounds; round++) {
    for (const { contestant, count, seconds } of entries) {
      if (entries.length > 1) await settle();
      seconds.push((await contestant.run(count, timing.clock)) / count);
    }
  }
  return new Map(entries.map(({ contestant, seconds }) => [contestant.name, seconds]));
}

/** Threads of the one before may go on spinning for a while: they are left to fall asleep. */
function settle(): Promise<void> {
  return new Promise((done) => setTimeout(done, SETTLE_MS));
}

/** Runs until warm; returns how many runs make a sample. */
async function warm({ run }: Contestant, timing: Timing): Promise<number> {
  const end = performance.now() + timing.warmSeconds * 1000;
  let count = 1;
  for (;;) {
    const seconds = await run(count, timing.clock);
    const enough = seconds >= timing.sampleSeconds;
    if (enough && performance.now() >= end) {
      return Math.max(1, Math.round((count * timing.sampleSeconds) / seconds));
    }
    // Code that was still cold when it was counted gets faster, so the count may grow again.
    if (!enough) count = Math.ceil(count * Math.min(10, growth(timing.sampleSeconds, seconds)));
  }
}

function growth(wish: number, seconds: number): number {
  return seconds > 0 ? Math.max(1.25, wish / seconds) : 10;
}

/** The middle value; between the two middle ones of an even number. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('median: no values; expected at least one');
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
