import { badArgument } from '../base/errors.ts';

/** How long to train: a number of steps, or a time. */
export type Length = { readonly steps: number } | { readonly seconds: number };

/** Tells how far a run is, by which the learning rate follows its schedule. */
export interface Budget {
  /** Before a step, counted from 0: the share of the run that is done, or 1 when it is over. */
  share(step: number): number;
  /** Seconds left after `step` steps, if a step takes `perStep` seconds. */
  left(step: number, perStep: number): number;
  /** Steps in all, so far as can be told. */
  steps(step: number, perStep: number): number;
}

/** The same number of steps on every machine: the same seed gives the same bits. */
function stepBudget(steps: number): Budget {
  if (!Number.isInteger(steps) || steps < 1) {
    throw badArgument('training', 'steps', steps, 'an integer >= 1');
  }
  return {
    share: (step) => Math.min(1, step / steps),
    left: (step, perStep) => (steps - step) * perStep,
    steps: () => steps,
  };
}

/**
 * The end at a given time, on a slow machine and on one that slows down. The share is counted from
 * the end of the first step on, for that one also compiles.
 */
function timeBudget(seconds: number, now: () => number, from: Spent): Budget {
  if (!(seconds > 0 && seconds < Number.POSITIVE_INFINITY)) {
    throw badArgument('training', 'seconds', seconds, 'a number > 0');
  }
  const end = now() + seconds - from.seconds;
  const done = Math.min(1, from.seconds / seconds);
  let begin = Number.NaN;
  return {
    share(step) {
      if (step === from.step) return done;
      if (Number.isNaN(begin)) begin = now();
      if (begin >= end) return 1;
      return Math.min(1, done + ((1 - done) * (now() - begin)) / (end - begin));
    },
    left: () => Math.max(0, end - now()),
    steps: (step, perStep) => step + Math.ceil(Math.max(0, end - now()) / Math.max(perStep, 1e-6)),
  };
}

/** What an earlier part of the same run has taken. */
export interface Spent {
  readonly step: number;
  readonly seconds: number;
}

/** @param now the time in seconds */
export function makeBudget(
  length: Length,
  now: () => number,
  from: Spent = { step: 0, seconds: 0 },
): Budget {
  const { steps, seconds } = length as { steps?: number; seconds?: number };
  if (steps !== undefined) return stepBudget(steps);
  return timeBudget(seconds ?? Number.NaN, now, from);
}
