import { badArgument } from '../../base/errors.ts';
import { unknownName } from '../../base/nearest.ts';
import { withWarmup } from './compose.ts';
import { cosineAnnealing, cosineRestarts, cosineSchedule } from './cosine.ts';
import { cyclic, oneCycle } from './cycles.ts';
import {
  constantSchedule,
  exponentialSchedule,
  inverseSqrtSchedule,
  linearSchedule,
  multiStepSchedule,
  polynomialSchedule,
  stepSchedule,
} from './decays.ts';
import { type PlateauOptions, ReduceOnPlateau } from './plateau.ts';
import type { Cycle, Schedule } from './schedule.ts';
import { wsdSchedule } from './wsd.ts';

/** A schedule as it stands in a configuration file: its name and its options. */
export type ScheduleSpec = Readonly<Record<string, unknown>> & { readonly name: string };

export interface MadeSchedule {
  readonly lr: Schedule;
  /** Where the momentum is cycled, too. */
  readonly momentum?: Schedule;
  /** Where the rate follows a metric: give it one now and then. */
  readonly plateau?: ReduceOnPlateau;
}

type Kind = 'number' | 'string' | 'boolean' | 'numbers';
type Kinds = Readonly<Record<string, Kind>>;

interface Definition {
  readonly required: Kinds;
  readonly optional: Kinds;
  make(options: never): Schedule | Cycle | ReduceOnPlateau;
}

const number = 'number';

/** Each takes `warmup` beside its own options: steps of a line from 0 before it begins. */
const DEFINITIONS = {
  constant: {
    required: { lr: number },
    optional: { factor: number, steps: number },
    make: constantSchedule,
  },
  linear: {
    required: { lr: number, steps: number },
    optional: { from: number, to: number },
    make: linearSchedule,
  },
  step: {
    required: { lr: number, every: number },
    optional: { gamma: number },
    make: stepSchedule,
  },
  'multi-step': {
    required: { lr: number, milestones: 'numbers' },
    optional: { gamma: number },
    make: multiStepSchedule,
  },
  exponential: {
    required: { lr: number, gamma: number },
    optional: {},
    make: exponentialSchedule,
  },
  polynomial: {
    required: { lr: number, steps: number },
    optional: { power: number, end: number },
    make: polynomialSchedule,
  },
  'inverse-sqrt': {
    required: { lr: number, timescale: number },
    optional: {},
    make: inverseSqrtSchedule,
  },
  cosine: {
    required: { lr: number, steps: number },
    optional: { min: number },
    make: ({ lr, steps, min }: { lr: number; steps: number; min?: number }) =>
      cosineSchedule({ peak: lr, steps, ...(min !== undefined && { floor: min }) }),
  },
  'cosine-annealing': {
    required: { lr: number, steps: number },
    optional: { min: number },
    make: cosineAnnealing,
  },
  'cosine-restarts': {
    required: { lr: number, period: number },
    optional: { multiplier: number, min: number },
    make: cosineRestarts,
  },
  wsd: {
    required: { lr: number, stable: number, decay: number },
    optional: { warmup: number, min: number, up: 'string', down: 'string' },
    make: ({
      warmup = 0,
      ...options
    }: Omit<Parameters<typeof wsdSchedule>[0], 'warmup'> & {
      warmup?: number;
    }) => wsdSchedule({ warmup, ...options }),
  },
  'one-cycle': {
    required: { lr: number, steps: number },
    optional: {
      rise: number,
      anneal: 'string',
      div: number,
      finalDiv: number,
      momentum: 'numbers',
      threePhase: 'boolean',
    },
    make: ({ lr, ...options }: Omit<Parameters<typeof oneCycle>[0], 'max'> & { lr: number }) =>
      oneCycle({ max: lr, ...options }),
  },
  cyclic: {
    required: { lr: number, max: number },
    optional: {
      up: number,
      down: number,
      mode: 'string',
      gamma: number,
      momentum: 'numbers',
    },
    make: cyclic,
  },
  plateau: {
    required: { lr: number },
    optional: {
      mode: 'string',
      factor: number,
      patience: number,
      threshold: number,
      thresholdMode: 'string',
      cooldown: number,
      min: number,
      eps: number,
    },
    make: (options: PlateauOptions) => new ReduceOnPlateau(options),
  },
} as const satisfies Readonly<Record<string, Definition>>;

export const SCHEDULE_NAMES: readonly string[] = Object.keys(DEFINITIONS);

/**
 * A schedule from plain JSON, as `{ name: 'cosine', lr: 0.003, steps: 1000, warmup: 50 }`. Every one
 * but wsd, which has its own, takes `warmup`: steps of a line from 0, which count among its `steps`.
 *
 * @param known what the run knows, `lr` and `steps`: used where the schedule has such an option and
 *   does not give it
 * @throws TypeError naming an unknown schedule or option with the nearest name there is, an option
 *   that is missing, or one of the wrong kind
 */
export function makeSchedule(
  spec: ScheduleSpec,
  known: { readonly lr?: number; readonly steps?: number } = {},
): MadeSchedule {
  const { name, ...given } = spec;
  if (typeof name !== 'string') throw badArgument('schedule', 'name', name, 'a name');
  if (!Object.hasOwn(DEFINITIONS, name)) {
    throw unknownName('schedule', 'name', name, SCHEDULE_NAMES);
  }
  const definition: Definition = DEFINITIONS[name as keyof typeof DEFINITIONS];
  const kinds: Kinds = { ...definition.required, ...definition.optional };
  const own = Object.hasOwn(kinds, 'warmup');
  const options: Record<string, unknown> = {};
  for (const [key, value] of Object.entries({ ...known, ...given })) {
    if (value === undefined || (!Object.hasOwn(kinds, key) && !Object.hasOwn(given, key))) continue;
    const kind = key === 'warmup' ? 'number' : kinds[key];
    if (kind === undefined) {
      throw unknownName(`schedule ${name}`, 'option', key, [...Object.keys(kinds), 'warmup']);
    }
    if (!isKind(value, kind)) throw badArgument(`schedule ${name}`, key, value, `a ${kind}`);
    options[key] = value;
  }
  for (const key of Object.keys(definition.required)) {
    if (options[key] === undefined) {
      throw badArgument(`schedule ${name}`, key, undefined, `a ${kinds[key]}: give it one`);
    }
  }
  if (own || options['warmup'] === undefined) return split(definition.make(options as never));
  return warmed(name, definition, options);
}

function isKind(value: unknown, kind: Kind): boolean {
  return kind === 'numbers'
    ? Array.isArray(value) && value.every((v) => typeof v === 'number')
    : typeof value === kind;
}

/** What was made, with a warm-up that takes its steps from those of the schedule. */
function warmed(
  name: string,
  definition: Definition,
  { warmup, ...options }: Record<string, unknown>,
): MadeSchedule {
  const steps = warmup as number;
  const all = options['steps'];
  if (typeof all === 'number') {
    if (steps >= all) {
      throw badArgument(`schedule ${name}`, 'warmup', steps, `fewer steps than all (${all})`);
    }
    options['steps'] = all - steps;
  }
  const made = split(definition.make(options as never));
  if (made.momentum || made.plateau) {
    const expected = 'no warm-up: this schedule has its own rise, or follows a metric';
    throw badArgument(`schedule ${name}`, 'warmup', steps, expected);
  }
  return { lr: withWarmup(made.lr, { steps }) };
}

function split(made: Schedule | Cycle | ReduceOnPlateau): MadeSchedule {
  if (typeof made === 'function') return { lr: made };
  if (made instanceof ReduceOnPlateau) return { lr: () => made.lr, plateau: made };
  return made;
}
