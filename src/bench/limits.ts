import { makeNativeProbes, makeThreadProbes, type Probe } from '../device/measure/index.ts';
import type { DeviceName } from '../tensor/index.ts';

/** What the machine can do at most, ready to be measured beside what it limits. */
export interface Limits {
  /** f32 multiply-adds on registers. */
  readonly peakF32: Probe;
  /** The same of bf16 with sums in f32; undefined where no loop measures it. */
  readonly peakBf16?: Probe | undefined;
  /** Reading memory beyond the caches. */
  readonly read: Probe;
  /** Copying it: bytes read plus bytes written. */
  readonly copy: Probe;
  readonly close: () => void;
}

export interface LimitOptions {
  readonly device: DeviceName;
  readonly threads: number;
  /** Bytes that are read (default 256 MiB); half of them are copied. */
  readonly bytes?: number;
}

type MakeLimits = (threads: number, options: { readonly bytes?: number }) => Promise<Limits>;

/**
 * The loops that tell a device's limits. A device without loops of its own is held to those of
 * WebAssembly: 128-bit vectors, which wider ones pass.
 */
const LOOPS: { readonly [D in DeviceName]?: MakeLimits } = {
  native: async (threads, options) => makeNativeProbes(threads, options),
};

/** The limits of a device on so many threads at once, to be closed. */
export function openLimits({ device, threads, bytes }: LimitOptions): Promise<Limits> {
  const make: MakeLimits = LOOPS[device] ?? makeThreadProbes;
  return make(threads, bytes === undefined ? {} : { bytes });
}

/**
 * The limit of products of bf16: by tiles where there are some; else some processors widen to f32 and
 * multiply those faster than they take pairs of bf16. Undefined where no loop measures it.
 */
export function fasterOfBf16({ peakF32, peakBf16 }: Limits): Probe | undefined {
  return peakBf16 && (peakBf16.sample() > peakF32.sample() ? peakBf16 : peakF32);
}
