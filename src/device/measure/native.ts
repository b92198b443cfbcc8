import { CONTROL, CONTROL_BYTES, type ControlView } from '../native/control.ts';
import { HUGE_PAGE } from '../native/libc.ts';
import { startThreads } from '../native/pool.ts';
import { Region } from '../native/region.ts';
import type { RunFunction, Runtime } from '../native/runtime.ts';
import { nativeRuntime, nativeSupport } from '../native/support.ts';
import { mapPages, pagesOf } from '../native/system.ts';
import {
  DEFAULT_BYTES,
  type MeasureOptions,
  type Probe,
  probe,
  type Rate,
  rateOf,
} from './machine.ts';
import {
  type Arithmetic,
  arithmeticLoop,
  copyLoop,
  type MeasuringLoop,
  NATIVE_GRAIN,
  readLoop,
  tileLoop,
} from './native-loops.ts';

/** What machine code can do at most on this machine, on one thread or several at once. */
export interface NativeProbes {
  readonly isa: 'avx2' | 'avx512';
  /** f32 multiply-adds on registers, a multiplication and an addition counted as two. */
  readonly peakF32: Probe;
  /** Products of bf16 by tiles (AMX) or else by pairs, counted likewise, where there are such. */
  readonly peakBf16: Probe | undefined;
  /** Dot products of four bytes, counted likewise, where the processor has them. */
  readonly peakInt8: Probe | undefined;
  /** Reading an array once, from several far-apart places, in 10^9 bytes a second. */
  readonly read: Probe;
  /** Copying an array past the caches: bytes read plus bytes written. */
  readonly copy: Probe;
  /** Ends the threads and frees the memory. */
  readonly close: () => void;
}

export interface NativeMeasureOptions extends Omit<MeasureOptions, 'relaxedSimd'> {
  /** Default: the best that the machine has. */
  readonly isa?: 'avx2' | 'avx512';
}

/** Turns of an arithmetic loop in one call: some milliseconds. */
const TURNS = 2 ** 17;

/**
 * Makes the probes of device native. The calling thread is one of the threads.
 *
 * @throws Error with the reason where this machine cannot have the device
 */
export function makeNativeProbes(
  threads: number,
  options: NativeMeasureOptions = {},
): NativeProbes {
  const runtime = nativeRuntime();
  const support = nativeSupport();
  if ('reason' in support) throw new Error(support.reason);
  const { bytes: wish = DEFAULT_BYTES, warmSeconds = 0.1, isa = support.isa } = options;
  const { features } = support;
  const wide = isa === 'avx512';
  const bits = wide ? 512 : 256;
  // Halves of a part go through several places each.
  const grain = 2 * NATIVE_GRAIN;
  const part = Math.max(1, Math.round(wish / threads / grain)) * grain;
  const bench = new Bench(runtime, threads, part);
  const arithmetic = (kind: Arithmetic, unit: 'GFLOP/s' | 'GOP/s'): Probe => {
    const { run, operations } = bench.load(arithmeticLoop(kind, bits), TURNS, 0);
    return probe(unit, threads * TURNS * operations, run, warmSeconds);
  };
  const memory = (loop: MeasuringLoop): Probe => {
    const { run } = bench.load(loop, bench.address, part);
    return probe('GB/s', threads * part, run, warmSeconds);
  };
  const bf16Probe = (): Probe | undefined => {
    if (!wide || !features.avx512Bf16) return undefined;
    if (!(features.amxTile && features.amxBf16)) return arithmetic('bf16', 'GFLOP/s');
    const { run, operations } = bench.load(tileLoop(), TURNS, 0);
    return probe('GFLOP/s', threads * TURNS * operations, run, warmSeconds);
  };
  return {
    isa,
    peakF32: arithmetic('fma', 'GFLOP/s'),
    peakBf16: bf16Probe(),
    peakInt8: (wide ? features.avx512Vnni : features.avxVnni)
      ? arithmetic('int8', 'GOP/s')
      : undefined,
    read: memory(readLoop(bits)),
    copy: memory(copyLoop(bits)),
    close: () => bench.close(),
  };
}

/** The limits of device native over several samples. */
export interface NativeMeasurements {
  readonly isa: 'avx2' | 'avx512';
  readonly threads: number;
  readonly peakF32: Rate;
  readonly peakBf16: Rate | undefined;
  readonly peakInt8: Rate | undefined;
  readonly read: Rate;
  readonly copy: Rate;
}

/** Measures what device native can do on this machine; takes some seconds. */
export function measureNative(
  threads: number,
  options: NativeMeasureOptions = {},
): NativeMeasurements {
  const { repeats = 5 } = options;
  const { isa, peakF32, peakBf16, peakInt8, read, copy, close } = makeNativeProbes(
    threads,
    options,
  );
  try {
    return {
      isa,
      threads,
      peakF32: rateOf(peakF32, repeats),
      peakBf16: peakBf16 && rateOf(peakBf16, repeats),
      peakInt8: peakInt8 && rateOf(peakInt8, repeats),
      read: rateOf(read, repeats),
      copy: rateOf(copy, repeats),
    };
  } finally {
    close();
  }
}

/** Threads and memory for loops; the calling thread waits, and does its part meanwhile. */
class Bench {
  readonly #runtime: Runtime;
  readonly #threads: number;
  readonly #region: Region;
  readonly #control: ControlView;
  readonly #tables: number;
  #loops = 0;
  readonly #code: number[] = [];

  constructor(runtime: Runtime, threads: number, part: number) {
    this.#runtime = runtime;
    this.#threads = threads;
    const { system } = runtime;
    const bytes = Math.ceil((threads * part) / HUGE_PAGE) * HUGE_PAGE;
    this.#region = new Region(system, bytes);
    this.#region.grow(bytes);
    // Written once: pages that nobody wrote all lie in one page of zeros.
    system.libc.fill(this.address, 0, bytes);
    const address = mapPages(system, pagesOf(CONTROL_BYTES));
    const view = system.koffi.view(address, CONTROL_BYTES);
    this.#control = { address, i32: new Int32Array(view), u64: new BigUint64Array(view) };
    this.#tables = mapPages(system, pagesOf(1));
    // No pipe: the calling thread looks for itself.
    this.#control.i32[CONTROL.pipe / 4] = -1;
    if (threads > 1) startThreads(system, this.#control, runtime.threads, threads - 1);
  }

  get address(): number {
    return this.#region.base;
  }

  /** A loop with its table, ready to run on all threads. */
  load({ bytes, operations }: MeasuringLoop, first: number, second: number) {
    const { code, system } = this.#runtime;
    const entry = code.install(bytes);
    this.#code.push(entry);
    const table = this.#tables + 16 * this.#loops++;
    system.libc.copyIn(table, new BigUint64Array([BigInt(first), BigInt(second)]), 16);
    const call = this.#runtime.runAt(entry);
    return { operations, run: () => this.#run(call, entry, table) };
  }

  #run(call: RunFunction, entry: number, table: number): void {
    const others = this.#threads - 1;
    this.#send(entry, table);
    call(table, others, this.#threads, 0, 0);
    this.#await();
  }

  #send(entry: number, table: number): void {
    if (this.#threads === 1) return;
    const { address, i32, u64 } = this.#control;
    i32[CONTROL.finished / 4] = 0;
    u64[CONTROL.entry / 8] = BigInt(entry);
    u64[CONTROL.table / 8] = BigInt(table);
    this.#runtime.threads.post(address);
  }

  #await(): void {
    const { i32 } = this.#control;
    while (Atomics.load(i32, CONTROL.finished / 4) < this.#threads - 1);
  }

  close(): void {
    const { code, system } = this.#runtime;
    this.#send(0, 0);
    // The count is a thread's last look at the control block.
    if (this.#threads > 1) this.#await();
    for (const address of this.#code) code.remove(address);
    this.#region.dispose();
    system.libc.munmap(this.#tables, pagesOf(1));
    system.libc.munmap(this.#control.address, pagesOf(CONTROL_BYTES));
  }
}
