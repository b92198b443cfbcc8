import type { Probe } from '../device/measure/index.ts';
import { AdamW } from '../optim/index.ts';
import { rmsNorm } from '../tensor/functions/index.ts';
import { type DeviceName, jit, Parameter, random, type Tensor } from '../tensor/index.ts';
import { withBars } from './bars.ts';
import type { Bench, BenchOptions } from './bench.ts';
import type { Clock } from './clock.ts';
import { type Contestant, race, repeating } from './harness.ts';
import { type Limits, openLimits } from './limits.ts';
import {
  type Bar,
  LIMIT,
  type Measurement,
  measurement,
  SUBJECT,
  withMore,
} from './measurement.ts';

/** 64 MiB an array: beyond the caches, so that memory is the limit. */
const ELEMENTS = 2 ** 24;
const ROW = 1024;

interface Running {
  readonly once: () => Promise<void>;
  readonly dispose: () => void;
}

interface Case {
  readonly name: string;
  /** Arrays that are read, and those that are written. */
  readonly reads: number;
  readonly writes: number;
  readonly bars?: readonly Bar[];
  readonly make: (x: Tensor, y: Tensor, device: DeviceName) => Promise<Running> | Running;
}

/** A function of the arrays as a jitted step. */
function jitted(compute: (x: Tensor, y: Tensor) => Tensor): Case['make'] {
  return (x, y) => {
    const step = jit((p: Tensor, q: Tensor) => compute(p, q));
    return { once: async () => (await step(x, y)).dispose(), dispose: () => step.dispose() };
  };
}

/** An update of a parameter, both moments and all, by a gradient. */
async function adamW(x: Tensor, gradient: Tensor): Promise<Running> {
  const weight = new Parameter(x.mul(1), 'weight');
  const optimizer = new AdamW(new Map([['weight', weight]]), { lr: 1e-3 });
  for (const cell of [weight, ...optimizer.state().values()]) await cell.held.realize();
  const step = jit((g: Tensor) => {
    optimizer.update(new Map([['weight', g]]));
    // A step gives something: one number of the gradient.
    return g.narrow(0, 0, 1).narrow(1, 0, 1);
  });
  return {
    once: async () => (await step(gradient)).dispose(),
    dispose: () => {
      for (const thing of [step, optimizer, weight]) thing.dispose();
    },
  };
}

const BARS: readonly Bar[] = [{ of: LIMIT, atLeast: 0.8 }];

const CASES: readonly Case[] = [
  { name: 'add', reads: 2, writes: 1, bars: BARS, make: jitted((x, y) => x.add(y)) },
  { name: 'exp', reads: 1, writes: 1, make: jitted((x) => x.exp()) },
  {
    name: `softmax of rows of ${ROW}`,
    reads: 1,
    writes: 1,
    bars: BARS,
    make: jitted((x) => x.softmax(-1)),
  },
  {
    name: `rmsnorm of rows of ${ROW}`,
    reads: 1,
    writes: 1,
    bars: BARS,
    make: jitted((x, y) => rmsNorm(x, { weight: y.narrow(0, 0, 1).reshape([ROW]), eps: 1e-5 })),
  },
  { name: 'sum', reads: 1, writes: 0, make: jitted((x) => x.sum()) },
  { name: 'AdamW update', reads: 4, writes: 3, bars: BARS, make: adamW },
];

/**
 * The least time for the bytes: arrays read and written in pairs at the rate of a copy, the others
 * at that of reading.
 */
function memoryLimit(limits: Limits, { reads, writes }: Case, bytes: number): Contestant {
  const run = (count: number, { now }: Clock) => {
    const seconds = (work: number, probe: Probe) => work / (probe.sample(now) * 1e9);
    const copying = writes > 0 ? seconds(2 * writes * bytes, limits.copy) : 0;
    const reading = reads > writes ? seconds((reads - writes) * bytes, limits.read) : 0;
    return count * (copying + reading);
  };
  return { name: LIMIT, run };
}

/** What reads alone could do in the same time: a number beside the measurement, not its limit. */
const READING = 'of reading alone';

export async function* runElementwise(
  { device, timing, threads }: BenchOptions,
  elements = ELEMENTS,
): AsyncGenerator<Measurement> {
  const bytes = elements * 4;
  const limits = await openLimits({ device, threads, bytes: 2 * bytes });
  const shape = [elements / ROW, ROW];
  const x = await random.normal(shape, { device }).realize();
  const y = await random.normal(shape, { device }).realize();
  try {
    for (const item of CASES) {
      const { once, dispose } = await item.make(x, y, device);
      const moved = (item.reads + item.writes) * bytes;
      const size = bytes >= 2 ** 20 ? `${bytes / 2 ** 20} MiB` : `${bytes / 2 ** 10} KiB`;
      const title = `f32 ${item.name}, ${size}`;
      const labels = { bench: 'elementwise', case: title, device, threads, unit: 'GB/s' };
      try {
        const seconds = await race(
          [repeating(SUBJECT, once), memoryLimit(limits, item, bytes)],
          timing,
        );
        const rate = measurement(labels, seconds, (s) => moved / s / 1e9);
        const result = item.bars ? withBars(rate, item.bars) : rate;
        yield withMore(result, { [READING]: rate.value / limits.read.sample(timing.clock.now) });
      } finally {
        dispose();
      }
    }
  } finally {
    limits.close();
    x.dispose();
    y.dispose();
  }
}

export const ELEMENTWISE: Bench = {
  name: 'elementwise',
  summary: 'add, exp, softmax, rmsnorm, sum and AdamW over 64 MiB beside memory bandwidth',
  run: (options) => runElementwise(options),
};
