import { badArgument } from '../../base/errors.ts';

/** The learning rate (or the momentum) of a step, counted from 0. */
export type Schedule = (step: number) => number;

/** A learning rate whose momentum goes the other way. */
export interface Cycle {
  readonly lr: Schedule;
  readonly momentum: Schedule;
}

/** Refuses what is no whole number of at least `low`. */
export function checkCount(where: string, name: string, value: number, low: number): void {
  if (Number.isInteger(value) && value >= low) return;
  throw badArgument(where, name, value, `an integer >= ${low}`);
}

/** Half a cosine: 1 at 0, 0 at 1, and on with the wave beyond. */
export function halfCosine(progress: number): number {
  return 0.5 * (1 + Math.cos(Math.PI * progress));
}
