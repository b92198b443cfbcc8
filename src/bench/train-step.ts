import type { Precision } from '../tensor/index.ts';
import { withBars } from './bars.ts';
import type { Bench, BenchOptions } from './bench.ts';
import { limiting, race, repeating } from './harness.ts';
import { fasterOfBf16, openLimits } from './limits.ts';
import { type Bar, LIMIT, type Measurement, measurement, SUBJECT } from './measurement.ts';
import { ifThere } from './peers/absent.ts';
import type { Child } from './peers/child.ts';
import { COMPILED, openPyTorch, PYTORCH } from './peers/pytorch.ts';
import {
  flopsPerToken,
  makeTrainingStep,
  REFERENCE,
  type Reference,
  WIDE_REFERENCE,
} from './reference-model.ts';

/** Seconds that a peer may take until its first step is done. */
const PATIENCE = 60;
/** A step is many kernels, each of which the engine finds hot in its own time. */
const WARMING = 4;

/** A model to train, and how much faster than compiled PyTorch it must be. */
interface Case {
  readonly reference: Reference;
  readonly bar: number;
}

const CASES: readonly Case[] = [
  { reference: REFERENCE, bar: 1.2 },
  { reference: WIDE_REFERENCE, bar: 1.15 },
  { reference: { ...REFERENCE, precision: 'bf16' }, bar: 1.2 },
  { reference: { ...WIDE_REFERENCE, precision: 'bf16' }, bar: 1.2 },
];

function describe({ config, batch, time, precision = 'f32' }: Reference, parameters: number) {
  const { hidden_size: d, num_hidden_layers: layers } = config;
  return `${precision} ${parameters} parameters, d ${d}, ${layers} layers, batch ${batch}x${time}`;
}

async function openPeers(
  reference: Reference,
  threads: number,
): Promise<[name: string, child: Child][]> {
  const precision: Precision = reference.precision ?? 'f32';
  const peers: [string, Child][] = [];
  for (const compile of [false, true]) {
    const options = { threads, precision, compile, patienceSeconds: PATIENCE };
    const peer = await ifThere(() => openPyTorch(reference, options));
    // What is not there as it is, is not there compiled.
    if (!peer) break;
    peers.push([compile ? COMPILED : PYTORCH, peer]);
  }
  return peers;
}

export async function* runTrainStep(
  { device, timing, threads }: BenchOptions,
  reference: Reference,
  bars: readonly Bar[] = [],
): AsyncGenerator<Measurement> {
  const training = await makeTrainingStep(reference, device);
  const peers = await openPeers(reference, threads);
  const limits = await openLimits({ device, threads, bytes: 2 ** 20 });
  try {
    const { parameters } = training;
    const wrong = peers.find(([, { about }]) => about['parameters'] !== parameters);
    if (wrong) {
      const [name, { about }] = wrong;
      throw new Error(
        `train-step: ${name} has ${about['parameters']} parameters; expected ${parameters}`,
      );
    }
    const tokens = reference.batch * reference.time;
    const flops = tokens * flopsPerToken(reference, parameters);
    const peak = reference.precision === 'bf16' ? fasterOfBf16(limits) : limits.peakF32;
    const seconds = await race(
      [
        repeating(SUBJECT, async () => (await training.step()).dispose()),
        ...(peak ? [limiting(LIMIT, peak, flops)] : []),
        ...peers.map(([name, child]) => child.contestant(name)),
      ],
      { ...timing, warmSeconds: timing.warmSeconds * WARMING },
    );
    const title = describe(reference, parameters);
    const labels = { bench: 'train-step', case: title, device, threads };
    const rate = measurement({ ...labels, unit: 'tokens/s' }, seconds, (s) => tokens / s);
    yield withBars(rate, bars);
    yield measurement({ ...labels, unit: 'GFLOP/s' }, seconds, (s) => flops / s / 1e9);
  } finally {
    limits.close();
    for (const [, child] of peers) child.close();
    training.dispose();
  }
}

export const TRAIN_STEP: Bench = {
  name: 'train-step',
  summary: 'training steps of two llamas in f32 and bf16 beside PyTorch, as it is and compiled',
  run: async function* (options) {
    for (const { reference, bar } of CASES) {
      yield* runTrainStep(options, reference, [{ of: COMPILED, atLeast: bar }]);
    }
  },
};
