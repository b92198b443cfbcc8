import { badArgument } from '../../base/errors.ts';
import { checkRange } from '../settings.ts';
import { checkCount, halfCosine, type Schedule } from './schedule.ts';

/** The share of the height that is left after a share of the way down. */
const SHAPES = {
  linear: (share: number) => 1 - share,
  cosine: halfCosine,
  '1-sqrt': (share: number) => 1 - Math.sqrt(share),
};

type Form = keyof typeof SHAPES;

/**
 * Warm-up, stable, decay (Hu et al. 2024): from `min` times the rate (default 0) up to it, level,
 * and back to `min` times it. A run can go on from the end of its level part.
 */
export function wsdSchedule(options: {
  readonly lr: number;
  readonly warmup: number;
  readonly stable: number;
  readonly decay: number;
  /** Share of the rate at both ends. */
  readonly min?: number;
  /** Forms of the ways up (default linear) and down (default cosine). */
  readonly up?: Form;
  readonly down?: Form;
}): Schedule {
  const { lr, warmup, stable, decay, min = 0, up = 'linear', down = 'cosine' } = options;
  checkRange('wsdSchedule', 'lr', lr, 0);
  checkRange('wsdSchedule', 'min', min, 0, 1);
  for (const [name, value] of Object.entries({ warmup, stable, decay })) {
    checkCount('wsdSchedule', name, value, 0);
  }
  for (const [name, form] of Object.entries({ up, down })) {
    if (!Object.hasOwn(SHAPES, form)) {
      throw badArgument('wsdSchedule', name, form, Object.keys(SHAPES).join(', '));
    }
  }
  const between = (share: number) => lr * (min + (1 - min) * share);
  return (step) => {
    if (step < warmup) return between(SHAPES[up](1 - step / warmup));
    const down1 = step - warmup - stable;
    if (down1 < 0) return lr;
    return between(down1 < decay ? SHAPES[down](down1 / decay) : 0);
  };
}
