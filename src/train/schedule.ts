import { badArgument } from '../base/errors.ts';
import { cosineSchedule } from '../optim/index.ts';

/** The learning rate of a run. */
export interface RateSchedule {
  /**
   * @param step steps done before
   * @param share how much of the run they are, 0 to 1
   */
  rate(step: number, share: number): number;
  /** Told of each measurement on the validation tokens. */
  observe?(validationLoss: number): void;
  /** What a measurement has changed, as plain JSON. */
  state?(): unknown;
  restore?(state: unknown): void;
}

/** So many parts that a schedule, which counts steps, is as good as continuous. */
export const PARTS = 10_000;

/**
 * Linear warm-up, then half a cosine down to a fiftieth, over the share of the run that is done: for
 * runs whose number of steps is not known before.
 *
 * @param warmup share of the run in which the rate rises, 0 to 1
 */
export function cosineByShare(peak: number, warmup: number): RateSchedule {
  if (!(warmup >= 0 && warmup < 1)) {
    throw badArgument('training', 'warmup', warmup, 'a share from 0 to 1');
  }
  const floor = peak / 50;
  const schedule = cosineSchedule({ peak, steps: PARTS, warmup: warmup * PARTS, floor });
  return { rate: (_step, share) => schedule(share * PARTS) };
}
