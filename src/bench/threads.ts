import { availableParallelism } from 'node:os';
import { type DeviceName, device as deviceOf, setThreads } from '../device/index.ts';
import type { Clock } from './clock.ts';

/**
 * Sets the threads of a device before its first use.
 *
 * @param wish undefined: all that the machine has, but one where processor time of a thread counts
 * @returns the threads that the device has: one where it knows no others
 */
export function useThreads(name: DeviceName, clock: Clock, wish: number | undefined): number {
  if (clock.name === 'thread' && (wish ?? 1) > 1) {
    throw new RangeError(
      `--clock thread counts the time of one thread; with --threads ${wish} use the clock on the wall`,
    );
  }
  if (name === 'wasm') setThreads(wish ?? (clock.name === 'thread' ? 1 : availableParallelism()));
  const { target } = deviceOf(name);
  return target.kind === 'wasm' ? target.threads : 1;
}
