import { wasmFeatures } from '../../asm/index.ts';
import { FLOPS_PER_TURN, GRAIN, type Loops, makeLoops } from './loops.ts';

const PAGE = 65536;
/** 256 MiB: beyond the last cache of common machines. */
export const DEFAULT_BYTES = 2 ** 28;
/** The engine replaces its first quick code by optimised code while the loops run. */
const WARM_SECONDS = 0.3;
const SAMPLE_SECONDS = 0.1;

export type RateUnit = 'GFLOP/s' | 'GOP/s' | 'GB/s';

/** A limit of the machine, ready to be measured again and again beside what it limits. */
export interface Probe {
  readonly unit: RateUnit;
  /**
   * Measures once, about 0.1 s, and returns the rate in `unit`.
   *
   * @param now another clock than the one on the wall, in milliseconds
   */
  readonly sample: (now?: () => number) => number;
}

/** What one thread of WebAssembly can do at most. */
export interface Probes {
  /** Whether multiply-adds are fused (relaxed SIMD). */
  readonly relaxedSimd: boolean;
  /** f32 multiply-adds on registers, a multiplication and an addition counted as two. */
  readonly peakF32: Probe;
  /** Reading an array once, in 10^9 bytes a second. */
  readonly read: Probe;
  /** Copying an array: bytes read plus bytes written. */
  readonly copy: Probe;
}

/** A rate over several repeats. */
export interface Rate {
  readonly unit: RateUnit;
  readonly median: number;
  readonly best: number;
}

export interface MachineMeasurements {
  readonly relaxedSimd: boolean;
  readonly peakF32: Rate;
  readonly read: Rate;
  readonly copy: Rate;
}

export interface MeasureOptions {
  /** Bytes of the array that is read (default 256 MiB). */
  readonly bytes?: number;
  /** Samples of each limit (default 5). */
  readonly repeats?: number;
  /** Seconds of running before the samples (default 0.3). */
  readonly warmSeconds?: number;
  /** False: do not use relaxed SIMD even where the engine has it. */
  readonly relaxedSimd?: boolean;
}

/** Makes the probes, warm and ready. */
export async function makeProbes(options: MeasureOptions = {}): Promise<Probes> {
  const { bytes: wish = DEFAULT_BYTES, warmSeconds = WARM_SECONDS } = options;
  const bytes = Math.max(1, Math.round(wish / (2 * GRAIN))) * 2 * GRAIN;
  const relaxedSimd = (options.relaxedSimd ?? true) && wasmFeatures().relaxedSimd;
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE), maximum: 65536 });
  // Written once: pages that nobody wrote all lie in one page of zeros.
  new Float32Array(memory.buffer).fill(1);
  const loops: Loops = await makeLoops(memory, relaxedSimd);
  const half = bytes / 2;
  const turns = 2 ** 16;
  return {
    relaxedSimd,
    peakF32: probe('GFLOP/s', turns * FLOPS_PER_TURN, () => loops.multiplyAdd(turns), warmSeconds),
    read: probe('GB/s', bytes, () => loops.read(0, bytes), warmSeconds),
    copy: probe('GB/s', bytes, () => loops.copy(0, half, half), warmSeconds),
  };
}

/** A probe of what does `work` operations or bytes at each call of `run`; warms it. */
export function probe(
  unit: RateUnit,
  work: number,
  run: () => unknown,
  warmSeconds: number,
): Probe {
  const measure = (seconds: number, now = () => performance.now()): number => {
    const start = now();
    let count = 0;
    let milliseconds = 0;
    do {
      run();
      count++;
      milliseconds = now() - start;
    } while (milliseconds < seconds * 1000);
    return (work * count) / milliseconds / 1e6;
  };
  measure(warmSeconds);
  return { unit, sample: (now) => measure(SAMPLE_SECONDS, now) };
}

/**
 * Measures what one thread of WebAssembly can do on this machine: f32 multiply-adds in registers,
 * and bandwidth of reading and copying memory beyond the caches. Takes about three seconds.
 */
export async function measureMachine(options: MeasureOptions = {}): Promise<MachineMeasurements> {
  const { repeats = 5 } = options;
  const { relaxedSimd, peakF32, read, copy } = await makeProbes(options);
  const rate = (probe: Probe) => rateOf(probe, repeats);
  return { relaxedSimd, peakF32: rate(peakF32), read: rate(read), copy: rate(copy) };
}

/** Several samples of a probe, taken one after the other. */
export function rateOf({ unit, sample }: Probe, repeats: number): Rate {
  const values = Array.from({ length: repeats }, () => sample()).sort((a, b) => a - b);
  return { unit, median: values[values.length >> 1], best: values[values.length - 1] };
}
