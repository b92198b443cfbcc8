import { badArgument } from '../../base/errors.ts';
import { checkRange } from '../settings.ts';
import { checkCount, halfCosine, type Schedule } from './schedule.ts';

/**
 * Linear warm-up to `peak` over `warmup` steps, then half a cosine down to `floor` at `steps`, and
 * `floor` from then on (Loshchilov and Hutter 2017).
 */
export function cosineSchedule(options: {
  readonly peak: number;
  readonly steps: number;
  readonly warmup?: number;
  /** Final rate (default a tenth of the peak). */
  readonly floor?: number;
}): Schedule {
  const { peak, steps, warmup = 0, floor = peak / 10 } = options;
  checkRange('cosineSchedule', 'peak', peak, 0);
  checkRange('cosineSchedule', 'steps', steps, 1);
  checkRange('cosineSchedule', 'floor', floor, 0);
  if (!(warmup >= 0 && warmup <= steps)) {
    throw badArgument('cosineSchedule', 'warmup', warmup, `a number from 0 to steps (${steps})`);
  }
  return (step) => {
    if (step < warmup) return (peak * (step + 1)) / warmup;
    const progress = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
    return floor + (peak - floor) * halfCosine(progress);
  };
}

/** A cosine wave between the rate and `min` (default 0), half of it in `steps` steps. */
export function cosineAnnealing(options: {
  readonly lr: number;
  readonly steps: number;
  readonly min?: number;
}): Schedule {
  const { lr, steps, min = 0 } = options;
  checkRange('cosineAnnealing', 'lr', lr, 0);
  checkCount('cosineAnnealing', 'steps', steps, 1);
  checkRange('cosineAnnealing', 'min', min, 0);
  return (step) => min + (lr - min) * halfCosine(step / steps);
}

/**
 * Half cosines from the rate down to `min` (default 0), one after the other; each lasts `multiplier`
 * times (default 1) as long as the one before it (SGDR, Loshchilov and Hutter 2017).
 */
export function cosineRestarts(options: {
  readonly lr: number;
  /** Steps of the first. */
  readonly period: number;
  readonly multiplier?: number;
  readonly min?: number;
}): Schedule {
  const { lr, period, multiplier = 1, min = 0 } = options;
  checkRange('cosineRestarts', 'lr', lr, 0);
  checkRange('cosineRestarts', 'period', period, 1);
  checkRange('cosineRestarts', 'multiplier', multiplier, 1);
  checkRange('cosineRestarts', 'min', min, 0);
  return (step) => {
    let begin = 0;
    let length = period;
    if (multiplier === 1) begin = Math.floor(step / period) * period;
    else {
      while (step >= begin + length) {
        begin += length;
        length *= multiplier;
      }
    }
    return min + (lr - min) * halfCosine((step - begin) / length);
  };
}
