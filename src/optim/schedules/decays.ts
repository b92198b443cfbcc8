import { badArgument } from '../../base/errors.ts';
import { checkRange } from '../settings.ts';
import { checkCount, type Schedule } from './schedule.ts';

/** `factor` times the rate for so many steps, then the rate (default: the rate throughout). */
export function constantSchedule(options: {
  readonly lr: number;
  readonly factor?: number;
  readonly steps?: number;
}): Schedule {
  const { lr, factor = 1, steps = 0 } = options;
  checkRange('constantSchedule', 'lr', lr, 0);
  checkRange('constantSchedule', 'factor', factor, 0);
  checkCount('constantSchedule', 'steps', steps, 0);
  return (step) => (step < steps ? lr * factor : lr);
}

/** From `from` times the rate to `to` times it (default 0) in a straight line over so many steps. */
export function linearSchedule(options: {
  readonly lr: number;
  readonly steps: number;
  readonly from?: number;
  readonly to?: number;
}): Schedule {
  const { lr, steps, from = 1, to = 0 } = options;
  checkRange('linearSchedule', 'lr', lr, 0);
  checkCount('linearSchedule', 'steps', steps, 1);
  checkRange('linearSchedule', 'from', from, 0);
  checkRange('linearSchedule', 'to', to, 0);
  return (step) => lr * (from + (to - from) * Math.min(1, step / steps));
}

/** Times `gamma` after each `every` steps. */
export function stepSchedule(options: {
  readonly lr: number;
  readonly every: number;
  readonly gamma?: number;
}): Schedule {
  const { lr, every, gamma = 0.1 } = options;
  checkRange('stepSchedule', 'lr', lr, 0);
  checkCount('stepSchedule', 'every', every, 1);
  checkRange('stepSchedule', 'gamma', gamma, 0);
  return (step) => lr * gamma ** Math.floor(step / every);
}

/** Times `gamma` at each of the milestones. */
export function multiStepSchedule(options: {
  readonly lr: number;
  readonly milestones: readonly number[];
  readonly gamma?: number;
}): Schedule {
  const { lr, milestones, gamma = 0.1 } = options;
  checkRange('multiStepSchedule', 'lr', lr, 0);
  checkMilestones('multiStepSchedule', milestones);
  checkRange('multiStepSchedule', 'gamma', gamma, 0);
  return (step) => lr * gamma ** milestones.filter((milestone) => step >= milestone).length;
}

/** Refuses steps that do not rise. */
export function checkMilestones(where: string, milestones: readonly number[]): void {
  const rising = milestones.every((m, i) => i === 0 || m > (milestones[i - 1] as number));
  if (!rising) throw badArgument(where, 'milestones', milestones, 'steps in rising order');
  for (const milestone of milestones) checkCount(where, 'milestones', milestone, 0);
}

/** Times `gamma` at each step. */
export function exponentialSchedule(options: {
  readonly lr: number;
  readonly gamma: number;
}): Schedule {
  const { lr, gamma } = options;
  checkRange('exponentialSchedule', 'lr', lr, 0);
  checkRange('exponentialSchedule', 'gamma', gamma, 0);
  return (step) => lr * gamma ** step;
}

/** Down to `end` (default 0) by a power of the share that is left. */
export function polynomialSchedule(options: {
  readonly lr: number;
  readonly steps: number;
  readonly power?: number;
  readonly end?: number;
}): Schedule {
  const { lr, steps, power = 1, end = 0 } = options;
  checkRange('polynomialSchedule', 'lr', lr, 0);
  checkCount('polynomialSchedule', 'steps', steps, 1);
  checkRange('polynomialSchedule', 'power', power, 0);
  checkRange('polynomialSchedule', 'end', end, 0, lr);
  return (step) => (lr - end) * (1 - Math.min(step, steps) / steps) ** power + end;
}

/** lr / sqrt(1 + step / timescale): the decay of the first Transformer. */
export function inverseSqrtSchedule(options: {
  readonly lr: number;
  readonly timescale: number;
}): Schedule {
  const { lr, timescale } = options;
  checkRange('inverseSqrtSchedule', 'lr', lr, 0);
  checkRange('inverseSqrtSchedule', 'timescale', timescale, 1);
  return (step) => lr / Math.sqrt((step + timescale) / timescale);
}
