import type { DType, TypedArray } from '../ir/dtype.ts';
import type { Code, Target } from '../ir/program.ts';

export type DeviceName = 'interpret' | 'interpret-kernels' | 'wasm' | 'native';

/** A piece of a device's memory. Only the device that made it looks inside. */
export interface Allocation {
  readonly bytes: number;
}

/** A program made ready to run. */
export interface Executable {
  /**
   * Runs once, to the end; one run at a time on a device. Inputs and outputs may share memory where
   * the program allows it. What is short is done when the call returns.
   *
   * @param vars values of symbolic sizes by name
   * @param signal looked at between steps, before the first that may write over an input
   * @throws RangeError for an index out of range, with no output that replaces an input written
   * @throws the signal's reason, likewise
   */
  run(
    inputs: readonly Allocation[],
    outputs: readonly Allocation[],
    vars: ReadonlyMap<string, number>,
    signal?: AbortSignal,
  ): void | Promise<void>;
  dispose(): void;
}

export interface Device {
  readonly name: DeviceName;
  /** What the compiler makes for this device. */
  readonly target: Target;
  /** Long programs run beside the calling thread, which stays free meanwhile. */
  readonly runsAside: boolean;
  /** Bytes of all allocations that are not freed. */
  readonly liveBytes: number;
  /**
   * Bytes that all allocations together can have, by what is known now; Infinity where nothing is.
   * Asking may take some milliseconds.
   */
  readonly capacity: number;
  /** @throws RangeError when memory is exhausted */
  allocate(bytes: number): Allocation;
  free(allocation: Allocation): void;
  write(allocation: Allocation, data: TypedArray): void;
  /** A copy of the first `size` elements. */
  read(allocation: Allocation, dtype: DType, size: number): TypedArray;
  load(code: Code): Promise<Executable>;
  /**
   * A piece of a file as memory, where the device can: read as it is used, never written back, at
   * any alignment. The file may be closed and unlinked, but must not be cut short: what uses the
   * piece then fails, naming the file.
   *
   * @throws Error naming the file that cannot be mapped
   */
  map?(path: string, offset: number, bytes: number): Allocation;
}
