import { badArgument } from '../base/errors.ts';

/** The learning rate of a step, counted from 0. */
export type Schedule = (step: number) => number;

/**
 * Linear warm-up to `peak` over `warmup` steps, then half a cosine down to `floor` at `steps`
 * (Loshchilov and Hutter 2017).
 */
export function cosineSchedule(options: {
  readonly peak: number;
  readonly steps: number;
  readonly warmup?: number;
  /** Final rate (default a tenth of the peak). */
  readonly floor?: number;
}): Schedule {
  const { peak, steps, warmup = 0, floor = peak / 10 } = options;
  if (!(peak >= 0)) throw badArgument('cosineSchedule', 'peak', peak, 'a number >= 0');
  if (!(steps >= 1)) throw badArgument('cosineSchedule', 'steps', steps, 'a number >= 1');
  if (!(warmup >= 0 && warmup <= steps)) {
    throw badArgument('cosineSchedule', 'warmup', warmup, `a number from 0 to steps (${steps})`);
  }
  return (step) => {
    if (step < warmup) return (peak * (step + 1)) / warmup;
    const progress = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
    return floor + 0.5 * (peak - floor) * (1 + Math.cos(Math.PI * progress));
  };
}
