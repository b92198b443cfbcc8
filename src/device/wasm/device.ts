import { debug, debugging } from '../../base/env.ts';
import { InternalError } from '../../base/errors.ts';
import { arrayClass, DTYPES, type DType, type TypedArray } from '../../ir/dtype.ts';
import { indexOutOfRange } from '../../ir/graph/ops/indexing.ts';
import {
  type Code,
  FAILURE_RECORD,
  type RunPlan,
  type Target,
  tableSlots,
} from '../../ir/program.ts';
import { Heap } from '../heap.ts';
import { runInSlices } from '../slices.ts';
import type { Allocation, Device, Executable } from '../types.ts';
import { CONTROL_BYTES, MAX_THREADS } from './control.ts';
import { Pool } from './pool.ts';
import { traceRun } from './trace.ts';

const PAGE = 65536;
/** 4 GiB: what 32-bit addresses reach. */
const MAXIMUM_PAGES = 65536;
/**
 * Programs of fewer instructions run on the calling thread: waking others takes some 50
 * microseconds.
 */
const WORTH_THREADS = 400_000;

interface WasmAllocation extends Allocation {
  readonly offset: number;
}

/** What a module made by the emitter exports. */
interface Exports {
  readonly run: (
    table: number,
    thread: number,
    threads: number,
    from: number,
    to: number,
  ) => number;
  readonly [kernel: string]: unknown;
}

export interface WasmDeviceOptions {
  /** The engine fuses multiply-adds. */
  readonly relaxedSimd: boolean;
  /** Threads that run long programs; 1: all runs on the calling thread, and memory is its own. */
  readonly threads: number;
  /** Instructions from which on a program goes to the threads. */
  readonly worthThreads?: number;
}

/** A memory that may grow to 4 GiB, or as far as the engine reserves address space for it. */
function makeMemory(initial: number, shared: boolean) {
  for (let maximum = MAXIMUM_PAGES; ; maximum /= 2) {
    try {
      return { memory: new WebAssembly.Memory({ initial, maximum, shared }), maximum };
    } catch (error) {
      // Browsers reserve all that a shared memory may become, and some have less to give.
      if (maximum / 2 < initial) throw error;
    }
  }
}

/**
 * WebAssembly with SIMD; all programs share one linear memory. With several threads that memory is
 * shared with workers, which run long programs together while the calling thread stays free.
 */
export class WasmDevice implements Device {
  readonly name = 'wasm';
  readonly target: Target & { readonly kind: 'wasm' };
  readonly #memory: WebAssembly.Memory;
  readonly #heap: Heap;
  /** One arena serves all programs, since they run one after the other. */
  #scratch: WasmAllocation | undefined;
  /** The threads' own arenas, one after the other. */
  #locals: WasmAllocation | undefined;
  #overhead = 0;
  #pool: Pool | undefined;
  #programs = 0;
  readonly #worthThreads: number;

  constructor(options: WasmDeviceOptions) {
    const { relaxedSimd, worthThreads = WORTH_THREADS } = options;
    const threads = Math.min(options.threads, MAX_THREADS);
    const initial = 256;
    const { memory, maximum: maximumPages } = makeMemory(initial, threads > 1);
    this.#memory = memory;
    this.target = { kind: 'wasm', relaxedSimd, maximumPages, threads };
    this.#worthThreads = worthThreads;
    this.#heap = new Heap(CONTROL_BYTES, initial * PAGE);
  }

  /** Bytes held by arrays; the programs' own tables and scratch are not counted. */
  get liveBytes(): number {
    return this.#heap.liveBytes - this.#overhead;
  }

  get runsAside(): boolean {
    return this.target.threads > 1;
  }

  get capacity(): number {
    return this.target.maximumPages * PAGE;
  }

  allocate(bytes: number): WasmAllocation {
    let offset = this.#heap.allocate(bytes);
    if (offset === undefined) {
      this.#grow(bytes);
      offset = this.#heap.allocate(bytes);
    }
    if (offset === undefined) throw new InternalError('memory grew but has no room');
    return { bytes, offset };
  }

  #grow(bytes: number): void {
    const used = this.#memory.buffer.byteLength;
    const needed = Math.ceil(this.#heap.shortfall(bytes) / PAGE);
    // Growing by a quarter at least keeps the number of (slow) growths small.
    const wish = Math.max(needed, Math.ceil(used / PAGE / 4));
    const { maximumPages } = this.target;
    const pages = Math.min(wish, maximumPages - used / PAGE);
    try {
      if (pages < needed) throw new RangeError('beyond the limit');
      this.#memory.grow(pages);
    } catch (cause) {
      throw new RangeError(
        `wasm: no memory for ${(bytes / 2 ** 20).toFixed(1)} MiB more ` +
          `(${(this.#heap.liveBytes / 2 ** 20).toFixed(1)} MiB in use, the limit is ${maximumPages / 16384} GiB); ` +
          'dispose of tensors, or make batch or model smaller',
        { cause },
      );
    }
    this.#heap.extend(pages * PAGE);
  }

  free(allocation: Allocation): void {
    this.#heap.free((allocation as WasmAllocation).offset);
  }

  write(allocation: Allocation, data: TypedArray): void {
    const { offset, bytes } = allocation as WasmAllocation;
    if (data.byteLength > bytes) throw new InternalError('more data than memory');
    const source = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    new Uint8Array(this.#memory.buffer, offset, bytes).set(source);
  }

  read(allocation: Allocation, dtype: DType, size: number): TypedArray {
    const { offset } = allocation as WasmAllocation;
    const bytes = size * DTYPES[dtype].bytes;
    const copy = new Uint8Array(bytes);
    copy.set(new Uint8Array(this.#memory.buffer, offset, bytes));
    return new (arrayClass(dtype))(copy.buffer);
  }

  async load(code: Code): Promise<Executable> {
    if (code.kind !== 'wasm') throw new InternalError(`wasm cannot run ${code.kind}`);
    const { plan, bytes, sharedLoops } = code;
    const module = await WebAssembly.compile(bytes);
    const { exports } = await WebAssembly.instantiate(module, { env: { memory: this.#memory } });
    const own = exports as unknown as Exports;
    const id = this.#programs++;
    const slots = tableSlots(plan);
    const { threads } = this.target;
    const together = threads > 1 && plan.instructions >= this.#worthThreads;
    const table = this.#own((slots.count + sharedLoops) * 4);
    const counters = table.offset + slots.count * 4;
    return {
      run: (sources, targets, values, signal) => {
        const entries = this.#fill(plan, slots, table, sources, targets, values);
        new Int32Array(this.#memory.buffer, counters, sharedLoops).fill(0);
        this.#failure().fill(0);
        const check = (failed: number) => {
          if (failed > 0) this.#throwFailure(plan, failed - 1);
        };
        if (debugging(2)) {
          const failed = () => this.#failure()[0] !== 0;
          return check(traceRun(plan, own, entries, debug, failed));
        }
        const run = (from: number, to: number) => {
          if (!together) return own.run(table.offset, 0, 1, from, to);
          this.#pool ??= new Pool(this.#memory, threads);
          this.#pool.load(id, module);
          return this.#pool.run({ executable: id, table: table.offset, from, to });
        };
        if (signal) return runInSlices(plan, run, signal).then(check);
        const done = run(0, plan.steps.length);
        return typeof done === 'number' ? check(done) : done.then(check);
      },
      dispose: () => {
        this.#pool?.unload(id);
        this.#disown(table);
      },
    };
  }

  /** Writes the table of a run. */
  #fill(
    plan: RunPlan,
    slots: ReturnType<typeof tableSlots>,
    table: WasmAllocation,
    sources: readonly Allocation[],
    targets: readonly Allocation[],
    values: ReadonlyMap<string, number>,
  ): Int32Array {
    this.#scratch = this.#reserve(this.#scratch, plan.scratchBytes);
    this.#locals = this.#reserve(this.#locals, plan.localBytes * this.target.threads);
    // Views are made anew: memory may just have grown.
    const entries = new Int32Array(this.#memory.buffer, table.offset, slots.count);
    sources.forEach((a, i) => {
      entries[i] = (a as WasmAllocation).offset;
    });
    targets.forEach((a, i) => {
      entries[plan.inputs.length + i] = (a as WasmAllocation).offset;
    });
    entries[slots.scratch] = this.#scratch.offset;
    entries[slots.local] = this.#locals.offset;
    entries[slots.counters] = table.offset + slots.count * 4;
    plan.vars.forEach((v, i) => {
      entries[slots.vars + i] = values.get(v.name) ?? v.max;
    });
    return entries;
  }

  /** Ends the device's threads; nothing may run on it afterwards. */
  async dispose(): Promise<void> {
    await this.#pool?.dispose();
  }

  #failure(): Int32Array {
    return new Int32Array(this.#memory.buffer, FAILURE_RECORD, 4);
  }

  #throwFailure(plan: RunPlan, step: number): never {
    const record = this.#failure();
    const [, check, value, size] = record;
    record.fill(0);
    throw indexOutOfRange(plan.kernels[plan.steps[step].kernel].checks[check], value, size);
  }

  /** The arena itself where it is large enough, else a larger one in its place. */
  #reserve(arena: WasmAllocation | undefined, bytes: number): WasmAllocation {
    if (arena && arena.bytes >= bytes) return arena;
    const larger = this.#own(bytes);
    if (arena) this.#disown(arena);
    return larger;
  }

  #own(bytes: number): WasmAllocation {
    const before = this.#heap.liveBytes;
    const allocation = this.allocate(bytes);
    this.#overhead += this.#heap.liveBytes - before;
    return allocation;
  }

  #disown(allocation: WasmAllocation): void {
    const before = this.#heap.liveBytes;
    this.free(allocation);
    this.#overhead -= before - this.#heap.liveBytes;
  }
}
