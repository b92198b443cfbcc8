import { jit, random, type Tensor } from '../tensor/index.ts';
import { withBars } from './bars.ts';
import type { BenchOptions } from './bench.ts';
import { limiting, race, repeating } from './harness.ts';
import { fasterOfBf16, openLimits } from './limits.ts';
import { LIMIT, type Measurement, measurement, SUBJECT } from './measurement.ts';
import { ifThere } from './peers/absent.ts';
import { openPyTorchMatmul, PYTORCH } from './peers/pytorch.ts';

const SIZE = 2048;
const BARS = [{ of: LIMIT, atLeast: 0.75 }];

/** A square product of bf16 matrices, sums in f32 and the result rounded once, beside PyTorch. */
export async function* runGemmBf16(
  { device, timing, threads }: BenchOptions,
  size = SIZE,
): AsyncGenerator<Measurement> {
  const limits = await openLimits({ device, threads, bytes: 2 ** 20 });
  const peer = await ifThere(() => openPyTorchMatmul({ size, dtype: 'bfloat16', threads }));
  const matrix = async () => {
    using wide = random.normal([size, size], { device });
    return wide.cast('bf16').realize();
  };
  const [x, y] = [await matrix(), await matrix()];
  const step = jit((p: Tensor, q: Tensor) => p.matmul(q));
  const flops = 2 * size ** 3;
  const contestants = [repeating(SUBJECT, async () => (await step(x, y)).dispose())];
  const peak = fasterOfBf16(limits);
  if (peak) contestants.push(limiting(LIMIT, peak, flops));
  if (peer) contestants.push(peer.contestant(PYTORCH));
  try {
    const title = `bf16 ${size}x${size}x${size}`;
    const labels = { bench: 'gemm', case: title, device, threads, unit: 'GFLOP/s' };
    const seconds = await race(contestants, timing);
    yield withBars(
      measurement(labels, seconds, (s) => flops / s / 1e9),
      BARS,
    );
  } finally {
    peer?.close();
    limits.close();
    step.dispose();
    for (const tensor of [x, y]) tensor.dispose();
  }
}
