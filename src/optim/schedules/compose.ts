import { badArgument } from '../../base/errors.ts';
import { checkRange } from '../settings.ts';
import { checkMilestones } from './decays.ts';
import { checkCount, type Schedule } from './schedule.ts';

/**
 * A line from `from` times the schedule's first rate (default 0) up to it in so many steps; then the
 * schedule, from its beginning.
 */
export function withWarmup(
  schedule: Schedule,
  options: { readonly steps: number; readonly from?: number },
): Schedule {
  const { steps, from = 0 } = options;
  checkCount('withWarmup', 'steps', steps, 0);
  checkRange('withWarmup', 'from', from, 0, 1);
  return (step) =>
    step < steps ? schedule(0) * (from + (1 - from) * (step / steps)) : schedule(step - steps);
}

/** Schedules one after the other: each begins at its milestone, counting from 0. */
export function sequentialSchedule(
  schedules: readonly Schedule[],
  milestones: readonly number[],
): Schedule {
  if (schedules.length !== milestones.length + 1) {
    const expected = `${milestones.length + 1} schedules, one more than milestones`;
    throw badArgument('sequentialSchedule', 'schedules', schedules.length, expected);
  }
  checkMilestones('sequentialSchedule', milestones);
  return (step) => {
    const at = milestones.filter((milestone) => step >= milestone).length;
    return (schedules[at] as Schedule)(step - (milestones[at - 1] ?? 0));
  };
}

/** The rate times what all schedules, made for a rate of 1, give for a step. */
export function chainedSchedule(lr: number, factors: readonly Schedule[]): Schedule {
  checkRange('chainedSchedule', 'lr', lr, 0);
  return (step) => factors.reduce((rate, factor) => rate * factor(step), lr);
}
