import { availableParallelism } from 'node:os';
import {
  type DeviceChoice,
  type DeviceName,
  device as deviceOf,
  setThreads,
} from '../device/index.ts';
import type { Clock } from './clock.ts';

/** What the bars are meant for; more threads would be those of another machine. */
const USUAL_THREADS = 2;

/** A device that is ready to be measured. */
export interface Chosen {
  readonly device: DeviceName;
  /** Threads that it has: one where it knows no others. */
  readonly threads: number;
}

/**
 * Sets the threads of a device before its first use.
 *
 * @param wish undefined: two, or what the machine has; one where processor time of a thread counts
 */
export function useThreads(name: DeviceChoice, clock: Clock, wish: number | undefined): Chosen {
  if (clock.name === 'thread' && (wish ?? 1) > 1) {
    throw new RangeError(
      `--clock thread counts the time of one thread; with --threads ${wish} use the clock on the wall`,
    );
  }
  if (name === 'cpu' || name === 'wasm' || name === 'native') {
    const usual = clock.name === 'thread' ? 1 : Math.min(USUAL_THREADS, availableParallelism());
    setThreads(wish ?? usual);
  }
  const device = deviceOf(name);
  const { target } = device;
  return { device: device.name, threads: 'threads' in target ? target.threads : 1 };
}
