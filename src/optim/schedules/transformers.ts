import { withWarmup } from './compose.ts';
import { cosineAnnealing, cosineRestarts } from './cosine.ts';
import {
  constantSchedule,
  inverseSqrtSchedule,
  linearSchedule,
  polynomialSchedule,
} from './decays.ts';
import type { Schedule } from './schedule.ts';

/** What the schedules of HuggingFace's transformers have in common: warm-up from 0, then a decay. */
interface WithWarmup {
  readonly lr: number;
  /** Steps of the warm-up. */
  readonly warmup: number;
}

interface WithSteps extends WithWarmup {
  /** Steps altogether, the warm-up's included. */
  readonly steps: number;
}

/** Steps that are left for the decay: one at least, as the library divides by it. */
function left({ steps, warmup }: WithSteps): number {
  return Math.max(1, steps - warmup);
}

/** `get_constant_schedule_with_warmup` */
export function constantWithWarmup({ lr, warmup }: WithWarmup): Schedule {
  return withWarmup(constantSchedule({ lr }), { steps: warmup });
}

/** `get_linear_schedule_with_warmup` */
export function linearWithWarmup(options: WithSteps): Schedule {
  const { lr, warmup } = options;
  return withWarmup(linearSchedule({ lr, steps: left(options) }), { steps: warmup });
}

/**
 * `get_cosine_schedule_with_warmup` and, with `min`, `get_cosine_with_min_lr_schedule_with_warmup`.
 * Beyond `steps` the wave goes on: `cosineSchedule` stays down.
 */
export function cosineWithWarmup(options: WithSteps & { readonly min?: number }): Schedule {
  const { lr, warmup, min = 0 } = options;
  return withWarmup(cosineAnnealing({ lr, steps: left(options), min }), { steps: warmup });
}

/** `get_cosine_with_hard_restarts_schedule_with_warmup` */
export function cosineRestartsWithWarmup(
  options: WithSteps & { readonly cycles?: number },
): Schedule {
  const { lr, warmup, cycles = 1 } = options;
  const steps = left(options);
  const wave = cosineRestarts({ lr, period: steps / cycles });
  return withWarmup((step) => (step >= steps ? 0 : wave(step)), { steps: warmup });
}

/** `get_polynomial_decay_schedule_with_warmup` */
export function polynomialWithWarmup(
  options: WithSteps & { readonly power?: number; readonly end?: number },
): Schedule {
  const { lr, warmup, power = 1, end = 1e-7 } = options;
  const decay = polynomialSchedule({ lr, steps: left(options), power, end });
  return withWarmup(decay, { steps: warmup });
}

/** `get_inverse_sqrt_schedule` */
export function inverseSqrtWithWarmup(
  options: WithWarmup & { readonly timescale?: number },
): Schedule {
  const { lr, warmup, timescale = warmup || 10_000 } = options;
  return withWarmup(inverseSqrtSchedule({ lr, timescale }), { steps: warmup });
}
