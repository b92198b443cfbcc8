import { describe, expect, test } from 'vitest';
import {
  type Cycle,
  chainedSchedule,
  constantSchedule,
  constantWithWarmup,
  cosineAnnealing,
  cosineRestarts,
  cosineRestartsWithWarmup,
  cosineSchedule,
  cosineWithWarmup,
  cyclic,
  exponentialSchedule,
  inverseSqrtWithWarmup,
  linearSchedule,
  linearWithWarmup,
  makeSchedule,
  multiStepSchedule,
  oneCycle,
  polynomialSchedule,
  polynomialWithWarmup,
  ReduceOnPlateau,
  type Schedule,
  type ScheduleSpec,
  sequentialSchedule,
  stepSchedule,
  wsdSchedule,
} from '../../src/optim/index.ts';
import { describeWithFixtures, readJson } from '../support/fixtures.ts';

interface Stored {
  readonly name: string;
  readonly schedule: string;
  // biome-ignore lint/suspicious/noExplicitAny: a file's options, each schedule has its own
  readonly options: any;
  readonly base_lr: number;
  readonly lr: readonly number[];
  readonly momentum?: readonly number[];
  readonly metric?: readonly number[];
}

/** Torch's and transformers' schedules in ours. */
const MAKERS: Readonly<
  Record<string, (lr: number, o: Stored['options']) => Schedule | Cycle | ReduceOnPlateau>
> = {
  ConstantLR: (lr, o) => constantSchedule({ lr, factor: o.factor, steps: o.total_iters }),
  LinearLR: (lr, o) =>
    linearSchedule({ lr, from: o.start_factor, to: o.end_factor, steps: o.total_iters }),
  StepLR: (lr, o) => stepSchedule({ lr, every: o.step_size, gamma: o.gamma }),
  MultiStepLR: (lr, o) => multiStepSchedule({ lr, ...o }),
  ExponentialLR: (lr, o) => exponentialSchedule({ lr, ...o }),
  PolynomialLR: (lr, o) => polynomialSchedule({ lr, steps: o.total_iters, power: o.power }),
  CosineAnnealingLR: (lr, o) => cosineAnnealing({ lr, steps: o.T_max, min: o.eta_min }),
  CosineAnnealingWarmRestarts: (lr, o) =>
    cosineRestarts({ lr, period: o.T_0, multiplier: o.T_mult, min: o.eta_min }),
  OneCycleLR: (_lr, o) =>
    oneCycle({
      max: o.max_lr,
      steps: o.total_steps,
      rise: o.pct_start,
      anneal: o.anneal_strategy === 'cos' ? 'cosine' : 'linear',
      div: o.div_factor,
      finalDiv: o.final_div_factor,
      momentum: [o.base_momentum, o.max_momentum],
      threePhase: o.three_phase,
    }),
  CyclicLR: (_lr, o) =>
    cyclic({
      lr: o.base_lr,
      max: o.max_lr,
      up: o.step_size_up,
      down: o.step_size_down,
      mode: o.mode,
    }).lr,
  SequentialLR: (lr, o) =>
    sequentialSchedule(
      [
        linearSchedule({ lr, from: 0.01, to: 1, steps: 10 }),
        cosineAnnealing({ lr, steps: 90, min: 1e-5 }),
      ],
      o.milestones,
    ),
  get_cosine_schedule_with_warmup: (lr, o) =>
    cosineWithWarmup({ lr, warmup: o.num_warmup_steps, steps: o.num_training_steps }),
  get_cosine_with_min_lr_schedule_with_warmup: (lr, o) =>
    cosineWithWarmup({
      lr,
      warmup: o.num_warmup_steps,
      steps: o.num_training_steps,
      min: o.min_lr,
    }),
  get_cosine_with_hard_restarts_schedule_with_warmup: (lr, o) =>
    cosineRestartsWithWarmup({
      lr,
      warmup: o.num_warmup_steps,
      steps: o.num_training_steps,
      cycles: o.num_cycles,
    }),
  get_linear_schedule_with_warmup: (lr, o) =>
    linearWithWarmup({ lr, warmup: o.num_warmup_steps, steps: o.num_training_steps }),
  get_constant_schedule_with_warmup: (lr, o) =>
    constantWithWarmup({ lr, warmup: o.num_warmup_steps }),
  get_polynomial_decay_schedule_with_warmup: (lr, o) =>
    polynomialWithWarmup({
      lr,
      warmup: o.num_warmup_steps,
      steps: o.num_training_steps,
      end: o.lr_end,
      power: o.power,
    }),
  get_inverse_sqrt_schedule: (lr, o) =>
    inverseSqrtWithWarmup({ lr, warmup: o.num_warmup_steps, timescale: o.timescale }),
  get_wsd_schedule: (lr, o) =>
    wsdSchedule({
      lr,
      warmup: o.num_warmup_steps,
      stable: o.num_stable_steps,
      decay: o.num_decay_steps,
      up: o.warmup_type,
      down: o.decay_type,
      min: o.min_lr_ratio,
    }),
  ReduceLROnPlateau: (lr, o) =>
    new ReduceOnPlateau({
      lr,
      mode: o.mode,
      factor: o.factor,
      patience: o.patience,
      threshold: o.threshold,
      thresholdMode: o.threshold_mode,
      cooldown: o.cooldown,
      min: o.min_lr,
      eps: o.eps,
    }),
};

function expectNear(got: readonly number[], want: readonly number[], rtol: number): void {
  const wrong = want.flatMap((w, t) => {
    const g = got[t] as number;
    // Rates that end at 0 end within rounding of the rate they come from.
    return Math.abs(g - w) <= rtol * Math.abs(w) + 1e-15 ? [] : [`[${t}] ${g}; expected ${w}`];
  });
  expect(wrong).toEqual([]);
}

describeWithFixtures('schedules as torch and transformers have them', (folder) => {
  const file = readJson<{ schedules: readonly Stored[]; count: number; rtol: number }>(
    folder,
    'optim',
    'schedules.json',
  );
  test('all are there', () => expect(file.schedules.length).toBe(file.count));

  for (const stored of file.schedules) {
    test(stored.name, () => {
      const made = MAKERS[stored.schedule]?.(stored.base_lr, stored.options);
      if (made instanceof ReduceOnPlateau) {
        const rates = stored.lr.map((_, t) => {
          const { lr } = made;
          made.step(stored.metric?.[t] as number);
          return lr;
        });
        expectNear(rates, stored.lr, file.rtol);
        return;
      }
      const { lr, momentum } =
        typeof made === 'function' ? { lr: made, momentum: undefined } : (made as Cycle);
      expectNear(
        stored.lr.map((_, t) => lr(t)),
        stored.lr,
        file.rtol,
      );
      if (stored.momentum) {
        expectNear(
          stored.momentum.map((_, t) => momentum?.(t) as number),
          stored.momentum,
          1e-9,
        );
      }
    });
  }
});

describe('schedules', () => {
  const at = (schedule: Schedule, ...steps: number[]) => steps.map(schedule);

  test('the cosine stays down after its end, PyTorch goes up again', () => {
    expect(at(cosineSchedule({ peak: 1, steps: 10, warmup: 2, floor: 0.1 }), 0, 1, 2, 10, 50)) //
      .toEqual([0.5, 1, 1, 0.1, 0.1]);
    expect(cosineAnnealing({ lr: 1, steps: 10 })(20)).toBe(1);
  });

  test('chained schedules multiply', () => {
    const halves = stepSchedule({ lr: 1, every: 10, gamma: 0.5 });
    const start = constantSchedule({ lr: 1, factor: 0.1, steps: 5 });
    const chained = chainedSchedule(4, [halves, start]);
    expect(at(chained, 0, 5, 10, 20)).toEqual([0.4, 4, 2, 1]);
  });

  test('a plateau goes on where it stood', () => {
    const options = { lr: 1, factor: 0.5, patience: 1, cooldown: 1 };
    const metrics = [3, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1];
    const whole = new ReduceOnPlateau(options);
    const rates = metrics.map((m) => whole.step(m));
    const first = new ReduceOnPlateau(options);
    const begun = metrics.slice(0, 5).map((m) => first.step(m));
    const second = new ReduceOnPlateau(options);
    second.restore(JSON.parse(JSON.stringify(first.state())));
    expect([...begun, ...metrics.slice(5).map((m) => second.step(m))]).toEqual(rates);
    expect(new Set(rates).size).toBeGreaterThan(2);
  });
});

describe('makeSchedule', () => {
  const make = (spec: object, known = {}) => makeSchedule(spec as ScheduleSpec, known);

  test('takes from the run what the schedule does not say', () => {
    const run = { lr: 0.5, steps: 100 };
    expect(make({ name: 'cosine', min: 0 }, run).lr(0)).toBe(0.5);
    expect(make({ name: 'cosine', min: 0, steps: 10 }, run).lr(10)).toBe(0);
    expect(make({ name: 'constant' }, run).lr(99)).toBe(0.5);
    expect(make({ name: 'exponential', gamma: 0.5 }, run).lr(1)).toBe(0.25);
  });

  test('warm-up takes its steps from those of the schedule', () => {
    const { lr } = make({ name: 'linear', warmup: 10 }, { lr: 1, steps: 110 });
    expect([0, 5, 10, 60, 110].map(lr)).toEqual([0, 0.5, 1, 0.5, 0]);
    const wsd = make({ name: 'wsd', lr: 1, warmup: 4, stable: 4, decay: 4, down: 'linear' });
    expect([2, 6, 10].map(wsd.lr)).toEqual([0.5, 1, 0.5]);
  });

  test('a cycle has its momentum, a plateau its object', () => {
    const cycle = make({ name: 'one-cycle', momentum: [0.8, 0.9] }, { lr: 1, steps: 100 });
    expect(cycle.momentum?.(29)).toBeCloseTo(0.8);
    const { lr, plateau } = make({ name: 'plateau', patience: 0, factor: 0.5 }, { lr: 1 });
    plateau?.step(1);
    plateau?.step(1);
    expect(lr(7)).toBe(0.5);
  });

  test.each([
    [{ name: 'cosin', lr: 1, steps: 2 }, 'unknown name "cosin" (did you mean "cosine"?)'],
    [{ name: 'cosine', lr: 1, step: 2 }, 'unknown option "step" (did you mean "steps"?)'],
    [{ name: 'cosine', lr: 1, steps: '2' }, 'steps is "2"; expected a number'],
    [{ name: 'cosine', lr: 1 }, 'steps is undefined; expected a number: give it one'],
    [{ name: 'multi-step', lr: 1, milestones: [4, 2] }, 'steps in rising order'],
    [
      { name: 'wsd', lr: 1, stable: 1, decay: 1, down: 'steep' },
      'down is "steep"; expected linear',
    ],
    [{ name: 'plateau', lr: 1, warmup: 3 }, 'warmup is 3; expected no warm-up'],
    [{ name: 'linear', lr: 1, steps: 3, warmup: 3 }, 'fewer steps than all (3)'],
    [{ lr: 1 }, 'name is undefined'],
  ])('refuses %j', (spec, message) => {
    expect(() => make(spec)).toThrow(message);
  });
});
