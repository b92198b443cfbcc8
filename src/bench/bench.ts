import type { DeviceName } from '../tensor/index.ts';
import type { Timing } from './harness.ts';
import type { Measurement } from './measurement.ts';

export interface BenchOptions {
  readonly device: DeviceName;
  readonly timing: Timing;
  /** Threads of the device, of its peers, and of the machine's limit. */
  readonly threads: number;
}

/** A named set of measurements. */
export interface Bench {
  readonly name: string;
  /** What it measures, in a line of the help. */
  readonly summary: string;
  /** Gives each measurement as soon as it is made. */
  readonly run: (options: BenchOptions) => AsyncIterable<Measurement>;
}
