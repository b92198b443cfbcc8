import { badArgument } from '../../base/errors.ts';
import { makeSchedule, type Optimizer } from '../../optim/index.ts';
import type { Length } from '../budget.ts';
import type { NamedConfig } from '../config/resolve.ts';
import { PARTS, type RateSchedule } from '../schedule.ts';

/** Options that count steps, and may be none. */
const LENGTHS = ['warmup', 'stable', 'decay', 'milestones'];
/** Options that count steps, one at least. */
const PERIODS = ['every', 'period', 'timescale', 'up', 'down', 'steps'];

/**
 * The schedule of a run. In options that count steps a number below 1 is a share of the run. Where
 * the run's length is a time, the schedule follows the share of it that is over, and only shares can
 * be said.
 *
 * @throws TypeError naming an unknown schedule or option, with the nearest name there is
 */
export function scheduleOf(
  { name, ...options }: NamedConfig,
  lr: number,
  length: Length,
  optimizer: Optimizer,
): RateSchedule {
  const steps = 'steps' in length ? length.steps : undefined;
  const parts = steps ?? PARTS;
  if (steps === undefined) refuseCounts(name, options);
  const scaled = Object.entries(options).map(([key, value]) => {
    const least = PERIODS.includes(key) ? 1 : 0;
    const inSteps = (item: unknown) =>
      isShare(item) ? Math.max(least, Math.round(item * parts)) : item;
    if (!countsSteps(key)) return [key, value] as const;
    return [key, Array.isArray(value) ? value.map(inSteps) : inSteps(value)] as const;
  });
  const made = makeSchedule({ name, ...Object.fromEntries(scaled) }, { lr, steps: parts });
  const { plateau, momentum } = made;
  return {
    rate: (step, share) => {
      const at = steps === undefined ? share * PARTS : step;
      if (momentum) optimizer.setMomentum(momentum(at));
      return made.lr(at);
    },
    ...(plateau && {
      observe: (loss) => plateau.step(loss),
      state: () => plateau.state(),
      restore: (state) => plateau.restore(state as ReturnType<typeof plateau.state>),
    }),
  };
}

function countsSteps(option: string): boolean {
  return LENGTHS.includes(option) || PERIODS.includes(option);
}

function isShare(value: unknown): value is number {
  return typeof value === 'number' && value < 1;
}

function refuseCounts(name: string, options: Readonly<Record<string, unknown>>): void {
  for (const [key, value] of Object.entries(options)) {
    // The up and down of wsd are names of forms.
    if (!countsSteps(key) || typeof value === 'string' || [value].flat().every(isShare)) continue;
    const expected =
      'no number of steps, for the run ends by time: say train.steps, or a share of it below 1';
    throw badArgument('schedule', `${name}.${key}`, value, expected);
  }
}
