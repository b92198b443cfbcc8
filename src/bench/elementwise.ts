import { makeThreadProbes, type Probe, type Probes } from '../device/measure/index.ts';
import { jit, random, type Tensor } from '../tensor/index.ts';
import type { Bench, BenchOptions } from './bench.ts';
import type { Clock } from './clock.ts';
import { type Contestant, race, repeating } from './harness.ts';
import { LIMIT, type Measurement, measurement, SUBJECT } from './measurement.ts';

/** 64 MiB an array: beyond the caches, so that memory is the limit. */
const ELEMENTS = 2 ** 24;
const ROW = 1024;

interface Case {
  readonly name: string;
  readonly inputs: number;
  /** Whether the result is an array of the same size; else it is a scalar. */
  readonly writes: boolean;
  readonly compute: (x: Tensor, y: Tensor) => Tensor;
}

const CASES: readonly Case[] = [
  { name: 'add', inputs: 2, writes: true, compute: (x, y) => x.add(y) },
  { name: 'exp', inputs: 1, writes: true, compute: (x) => x.exp() },
  { name: `softmax of rows of ${ROW}`, inputs: 1, writes: true, compute: (x) => x.softmax(-1) },
  { name: 'sum', inputs: 1, writes: false, compute: (x) => x.sum() },
];

/**
 * The least time for the bytes: one array read and one written at the rate of a copy, the others at
 * that of reading.
 */
function memoryLimit(probes: Probes, { inputs, writes }: Case, bytes: number): Contestant {
  const reads = writes ? inputs - 1 : inputs;
  const run = (count: number, { now }: Clock) => {
    const seconds = (work: number, probe: Probe) => work / (probe.sample(now) * 1e9);
    const copying = writes ? seconds(2 * bytes, probes.copy) : 0;
    const reading = reads > 0 ? seconds(reads * bytes, probes.read) : 0;
    return count * (copying + reading);
  };
  return { name: LIMIT, run };
}

export async function* runElementwise(
  { device, timing, threads }: BenchOptions,
  elements = ELEMENTS,
): AsyncGenerator<Measurement> {
  const bytes = elements * 4;
  const probes = await makeThreadProbes(threads, { bytes: 2 * bytes });
  const shape = [elements / ROW, ROW];
  const x = await random.normal(shape, { device }).realize();
  const y = await random.normal(shape, { device }).realize();
  for (const item of CASES) {
    const step = jit((p: Tensor, q: Tensor) => item.compute(p, q));
    const own = repeating(SUBJECT, async () => (await step(x, y)).dispose());
    const moved = (item.inputs + (item.writes ? 1 : 0)) * bytes;
    const size = bytes >= 2 ** 20 ? `${bytes / 2 ** 20} MiB` : `${bytes / 2 ** 10} KiB`;
    const title = `f32 ${item.name}, ${size}`;
    const labels = { bench: 'elementwise', case: title, device, threads, unit: 'GB/s' };
    const seconds = await race([own, memoryLimit(probes, item, bytes)], timing);
    yield measurement(labels, seconds, (s) => moved / s / 1e9);
    step.dispose();
  }
  probes.close();
  x.dispose();
  y.dispose();
}

export const ELEMENTWISE: Bench = {
  name: 'elementwise',
  summary: 'add, exp, softmax and sum over 64 MiB beside memory bandwidth',
  run: (options) => runElementwise(options),
};
