import type { PackedWeight } from '../nn/index.ts';
import type { QuantSchemeName } from '../tensor/functions/index.ts';
import { type DeviceName, jit, random, type Tensor } from '../tensor/index.ts';
import { withBars } from './bars.ts';
import type { Bench, BenchOptions } from './bench.ts';
import { limiting, race, repeating } from './harness.ts';
import { openLimits } from './limits.ts';
import {
  type Bar,
  LIMIT,
  type Measurement,
  measurement,
  SUBJECT,
  withMore,
} from './measurement.ts';
import { randomWeight } from './random-weights.ts';

/** One row of activations times packed matrices [rows, columns], one after the other. */
export interface GemvCase {
  readonly scheme: QuantSchemeName;
  readonly rows: number;
  readonly columns: number;
  /** Bytes that all matrices have together at least: far more than caches hold. */
  readonly bytes: number;
  readonly bars: readonly Bar[];
}

const BYTES = 2 ** 30;

const CASES: readonly GemvCase[] = [
  { scheme: 'int4-g32', rows: 4096, columns: 4096, bytes: BYTES, bars: share(0.95) },
  { scheme: 'int4-g32', rows: 4096, columns: 14336, bytes: BYTES, bars: share(0.9) },
];

function share(atLeast: number): readonly Bar[] {
  return [{ of: LIMIT, atLeast }];
}

/** Matrices of random weights, as many as reach the bytes. */
async function makeWeights({ scheme, rows, columns, bytes }: GemvCase, device: DeviceName) {
  const weights: PackedWeight[] = [];
  for (let total = 0; total < bytes; total += weights[0].bytes) {
    weights.push(await randomWeight([rows, columns], scheme, weights.length + 1, device));
  }
  return weights;
}

/** Rate at which the weights are read: theirs are nearly all bytes that a product moves. */
export async function* runGemv(
  { device, timing, threads }: BenchOptions,
  cases: readonly GemvCase[] = CASES,
): AsyncGenerator<Measurement> {
  for (const item of cases) {
    const { scheme, rows, columns } = item;
    const weights = await makeWeights(item, device);
    const x = await random.normal([1, columns], { device }).realize();
    // One program for all: what a call costs is no part of a product.
    const step = jit((row: Tensor) => weights.map((weight) => weight.linear(row)));
    const bytes = weights.reduce((sum, weight) => sum + weight.bytes, 0);
    const limits = await openLimits({ device, threads, bytes });
    const once = async () => {
      for (const result of await step(x)) result.dispose();
    };
    try {
      const title = `${scheme} [${rows}, ${columns}] times one row, ${weights.length} matrices`;
      const labels = { bench: 'gemv', case: title, device, threads, unit: 'GB/s' };
      const contestants = [repeating(SUBJECT, once), limiting(LIMIT, limits.read, bytes)];
      const seconds = await race(contestants, timing);
      const rate = measurement(labels, seconds, (s) => bytes / s / 1e9);
      yield withMore(withBars(rate, item.bars), {
        'bits a weight': (8 * bytes) / (weights.length * rows * columns),
      });
    } finally {
      limits.close();
      for (const thing of [step, x, ...weights]) thing.dispose();
    }
  }
}

export const GEMV: Bench = {
  name: 'gemv',
  summary: 'a row times packed matrices of 4 bits beside memory bandwidth',
  run: (options) => runGemv(options),
};
