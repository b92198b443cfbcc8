import type { Probe } from '../device/measure/index.ts';
import type { Bench, BenchOptions } from './bench.ts';
import { openLimits } from './limits.ts';
import { type Measurement, measured } from './measurement.ts';

/** The machine's limits, on one thread and on all. */
export async function* runMachine(
  { device, timing, threads }: BenchOptions,
  bytes?: number,
): AsyncGenerator<Measurement> {
  for (const count of new Set([1, threads])) {
    const size = bytes === undefined ? {} : { bytes };
    const limits = await openLimits({ device, threads: count, ...size });
    const probes: readonly (readonly [name: string, probe: Probe | undefined])[] = [
      ['f32 multiply-adds', limits.peakF32],
      ['bf16 multiply-adds', limits.peakBf16],
      ['reading memory', limits.read],
      ['copying memory', limits.copy],
    ];
    try {
      const there = probes.flatMap(([name, probe]) => (probe ? [{ name, probe }] : []));
      const samples = there.map((): number[] => []);
      for (let round = 0; round < timing.rounds; round++) {
        there.forEach(({ probe }, i) => {
          samples[i].push(probe.sample(timing.clock.now));
        });
      }
      for (const [i, { name, probe }] of there.entries()) {
        const labels = { bench: 'machine', case: name, device, threads: count, unit: probe.unit };
        yield measured(labels, samples[i]);
      }
    } finally {
      limits.close();
    }
  }
}

export const MACHINE: Bench = {
  name: 'machine',
  summary: 'what the machine can do at most: multiply-adds and memory, on one thread and on all',
  run: (options) => runMachine(options),
};
