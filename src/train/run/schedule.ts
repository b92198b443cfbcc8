import { badArgument } from '../../base/errors.ts';
import { makeSchedule, type Optimizer } from '../../optim/index.ts';
import type { Length } from '../budget.ts';
import type { NamedConfig } from '../config/resolve.ts';
import { PARTS, type RateSchedule } from '../schedule.ts';

/** Options that count steps; of a run with a known end they may be shares of it, too. */
const LENGTHS = ['warmup', 'stable', 'decay'];
/** Options that count steps, for which a share would make no sense. */
const COUNTS = ['every', 'milestones', 'period', 'timescale', 'up', 'down', 'steps'];

/**
 * The schedule of a run. In `warmup`, `stable` and `decay` a number below 1 is a share of the run.
 * Where the run's length is a time, the schedule follows the share of it that is over, and only
 * shares can be said.
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
    const isShare = LENGTHS.includes(key) && typeof value === 'number' && value < 1;
    return [key, isShare ? Math.round(value * parts) : value] as const;
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

function refuseCounts(name: string, options: Readonly<Record<string, unknown>>): void {
  for (const [key, value] of Object.entries(options)) {
    const isCount = LENGTHS.includes(key) && !(typeof value === 'number' && value < 1);
    if (!isCount && !(COUNTS.includes(key) && typeof value !== 'string')) continue;
    const expected =
      'no number of steps, for the run ends by time: say train.steps, or a share below 1 where ' +
      `there is one (${LENGTHS.join(', ')})`;
    throw badArgument('schedule', `${name}.${key}`, value, expected);
  }
}
