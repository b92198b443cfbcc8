import { makeThreadProbes } from '../device/measure/index.ts';
import type { Bench, BenchOptions } from './bench.ts';
import { limiting, race, repeating } from './harness.ts';
import { LIMIT, type Measurement, measurement, SUBJECT } from './measurement.ts';
import { openPyTorch, type PyTorch } from './peers/pytorch.ts';
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

function describe({ config, batch, time }: Reference, parameters: number): string {
  const { hidden_size: d, num_hidden_layers: layers } = config;
  return `f32 ${parameters} parameters, d ${d}, ${layers} layers, batch ${batch}x${time}`;
}

async function openPeers(reference: Reference, threads: number): Promise<PyTorch[]> {
  const peers: PyTorch[] = [];
  for (const compile of [false, true]) {
    const options = { threads, compile, patienceSeconds: PATIENCE };
    const peer = await openPyTorch(reference, options);
    if (peer) peers.push(peer);
    else break;
  }
  return peers;
}

export async function* runTrainStep(
  { device, timing, threads }: BenchOptions,
  reference: Reference,
): AsyncGenerator<Measurement> {
  const training = await makeTrainingStep(reference, device);
  const peers = await openPeers(reference, threads);
  const { peakF32, close } = await makeThreadProbes(threads, { bytes: 2 ** 20 });
  try {
    const wrong = peers.find((peer) => peer.parameters !== training.parameters);
    if (wrong) {
      throw new Error(
        `train-step: ${wrong.contestant.name} has ${wrong.parameters} parameters; ` +
          `expected ${training.parameters}`,
      );
    }
    const tokens = reference.batch * reference.time;
    const flops = tokens * flopsPerToken(reference, training.parameters);
    const seconds = await race(
      [
        repeating(SUBJECT, async () => (await training.step()).dispose()),
        limiting(LIMIT, peakF32, flops),
        ...peers.map((peer) => peer.contestant),
      ],
      { ...timing, warmSeconds: timing.warmSeconds * WARMING },
    );
    const title = describe(reference, training.parameters);
    const labels = { bench: 'train-step', case: title, device, threads };
    yield measurement({ ...labels, unit: 'tokens/s' }, seconds, (s) => tokens / s);
    yield measurement({ ...labels, unit: 'GFLOP/s' }, seconds, (s) => flops / s / 1e9);
  } finally {
    close();
    for (const peer of peers) peer.close();
    training.dispose();
  }
}

export const TRAIN_STEP: Bench = {
  name: 'train-step',
  summary: 'training steps of the reference llama, and of one twice as wide, beside PyTorch',
  run: async function* (options) {
    for (const reference of [REFERENCE, WIDE_REFERENCE]) yield* runTrainStep(options, reference);
  },
};
