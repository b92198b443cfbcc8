import { breadcrumbFile, debug, debugging } from '../../base/env.ts';
import { InternalError } from '../../base/errors.ts';
import { arrayClass, DTYPES, type DType, type TypedArray } from '../../ir/dtype.ts';
import { indexOutOfRange } from '../../ir/graph/ops/indexing.ts';
import type { Code, RunPlan, Target } from '../../ir/program.ts';
import { runInSlices } from '../slices.ts';
import type { Allocation, Device, Executable } from '../types.ts';
import { Arena } from './arena.ts';
import { Breadcrumb } from './breadcrumb.ts';
import { CONTROL, CONTROL_BYTES, type ControlView, MAX_THREADS } from './control.ts';
import { os, textOf, workerThreads } from './host.ts';
import { MappedFiles, type MappedPiece, truncatedError } from './mapped-files.ts';
import { NativePool } from './pool.ts';
import { Region } from './region.ts';
import type { RunFunction, Runtime } from './runtime.ts';
import { type Call, callsOf } from './steps.ts';
import { mapPages, pagesOf } from './system.ts';
import { RunTable } from './table.ts';
import { traceCalls } from './trace.ts';

/** Programs of fewer instructions run on the calling thread: waking others takes microseconds. */
const WORTH_THREADS = 400_000;
/** With a single thread nothing is faster there; it keeps the event loop free for a millisecond. */
const WORTH_ONE_THREAD = 4_000_000;
/** Where the record of a kernel that is called by itself lies. */
const RECORD_BYTES = 8192;

interface NativeAllocation extends Allocation {
  readonly address: number;
  readonly piece?: MappedPiece;
}

export interface NativeDeviceOptions {
  readonly target: Target & { readonly kind: 'x64' };
  /** Instructions from which on a program goes to the threads. */
  readonly worthThreads?: number;
  /** Most bytes of arrays (default: four times the memory of the machine, as address space). */
  readonly maximumBytes?: number;
}

/**
 * Machine code for x86-64. Long programs run on threads of their own while the calling thread stays
 * free, short ones at once where they are called.
 */
export class NativeDevice implements Device {
  readonly name = 'native';
  /** Also with one thread: it is then not the calling one. */
  readonly runsAside = true;
  readonly target: Target & { readonly kind: 'x64' };
  readonly #runtime: Runtime;
  readonly #region: Region;
  readonly #arena: Arena;
  readonly #control: ControlView;
  readonly #worthThreads: number;
  /** One arena serves all programs, since they run one after the other. */
  #scratch: NativeAllocation | undefined;
  /** The threads' own arenas, one after the other. */
  #locals: NativeAllocation | undefined;
  #overhead = 0;
  #pool: NativePool | undefined;
  #files: MappedFiles | undefined;
  #breadcrumb: Breadcrumb | undefined;
  /** True while the threads run. */
  #busy = false;
  /** What was disposed of meanwhile: its code and table are freed when they are done. */
  #late: (() => void)[] = [];

  constructor(runtime: Runtime, options: NativeDeviceOptions) {
    const threads = Math.min(options.target.threads, MAX_THREADS);
    this.target = { ...options.target, threads };
    this.#worthThreads = options.worthThreads ?? (threads > 1 ? WORTH_THREADS : WORTH_ONE_THREAD);
    this.#runtime = runtime;
    const { system } = runtime;
    const physical = os().totalmem();
    this.#region = new Region(system, options.maximumBytes ?? 4 * physical);
    this.#arena = new Arena(this.#region, textOf);
    const address = mapPages(system, pagesOf(CONTROL_BYTES + RECORD_BYTES));
    const view = system.koffi.view(address, CONTROL_BYTES);
    const [i32, u64] = [new Int32Array(view), new BigUint64Array(view)];
    this.#control = { address, i32, u64 };
    this.#leaveBehind();
    const file = breadcrumbFile();
    if (file !== undefined) this.#breadcrumb = new Breadcrumb(file);
    // Workers can end at any moment without a word; only threads of ours can clean up after them.
    if (inWorker()) this.#threads();
  }

  /** Writes down what threads free if this thread of JavaScript ends without a word. */
  #leaveBehind(): void {
    const { i32, u64, address } = this.#control;
    const { whole } = this.#region;
    const pieces = [whole.address, whole.bytes, address, pagesOf(CONTROL_BYTES + RECORD_BYTES)];
    pieces.forEach((value, i) => {
      u64[CONTROL.legacy / 8 + i] = BigInt(value);
    });
    i32[CONTROL.legacyCount / 4] = pieces.length / 2;
  }

  #threads(): NativePool {
    const { system, threads } = this.#runtime;
    const count = this.target.threads;
    this.#pool ??= new NativePool(system, this.#control, threads, count, inWorker());
    return this.#pool;
  }

  /** Bytes held by arrays, mapped files among them; tables and scratch of programs are not counted. */
  get liveBytes(): number {
    return this.#arena.liveBytes - this.#overhead + (this.#files?.liveBytes ?? 0);
  }

  get capacity(): number {
    return this.#arena.capacity;
  }

  allocate(bytes: number): NativeAllocation {
    return { bytes, address: this.#arena.allocate(bytes) };
  }

  map(path: string, offset: number, bytes: number): NativeAllocation {
    const piece = this.#mappedFiles().map(path, offset, bytes);
    return { bytes, address: piece.address, piece };
  }

  #mappedFiles(): MappedFiles {
    if (!this.#files) {
      this.#files = new MappedFiles(this.#runtime.system, this.#runtime.code);
      const { i32, u64 } = this.#control;
      i32[CONTROL.owner / 4] = this.#files.owner;
      u64[CONTROL.faults / 8] = BigInt(this.#files.table);
    }
    return this.#files;
  }

  free(allocation: Allocation): void {
    const { address, piece } = allocation as NativeAllocation;
    if (piece) this.#files?.unmap(piece);
    else this.#arena.free(address);
  }

  write(allocation: Allocation, data: TypedArray): void {
    const { address, bytes } = allocation as NativeAllocation;
    if (data.byteLength > bytes) throw new InternalError('more data than memory');
    // As bytes: koffi does not know every class of arrays.
    const source = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.#runtime.system.libc.copyIn(address, source, source.length);
    this.#requireWhole(allocation as NativeAllocation);
  }

  read(allocation: Allocation, dtype: DType, size: number): TypedArray {
    const { address, bytes: held } = allocation as NativeAllocation;
    const bytes = size * DTYPES[dtype].bytes;
    if (bytes > held) throw new InternalError('more to read than memory');
    const copy = new Uint8Array(bytes);
    this.#runtime.system.libc.copyOut(copy, address, bytes);
    this.#requireWhole(allocation as NativeAllocation);
    return new (arrayClass(dtype))(copy.buffer);
  }

  #requireWhole({ piece }: NativeAllocation): void {
    if (piece && this.#files?.truncated(piece)) throw truncatedError(piece);
  }

  async load(code: Code): Promise<Executable> {
    if (code.kind !== 'x64') throw new InternalError(`native cannot run ${code.kind}`);
    const { plan, bytes, entry, kernelEntries, sharedLoops } = code;
    const runtime = this.#runtime;
    const address = runtime.code.install(bytes);
    const run = runtime.runAt(address + entry);
    const table = new RunTable(plan, sharedLoops);
    const memory = this.#own(table.bytes);
    const kernels = kernelEntries.map((offset) => runtime.callAt(address + offset));
    let disposed = false;
    return {
      run: (sources, targets, values, signal) => {
        if (disposed) throw new InternalError('a program runs that was disposed of');
        this.#fill(plan, table, memory, sources, targets, values);
        const check = (failed: number) => {
          for (const a of sources) this.#requireWhole(a as NativeAllocation);
          if (failed > 0) this.#throwFailure(plan, failed - 1);
        };
        if (debugging(2) || this.#breadcrumb) {
          return check(this.#runByKernels(plan, table, kernels));
        }
        const part = (from: number, to: number) =>
          this.#runPart(plan, run, address + entry, memory.address, from, to);
        if (signal) return runInSlices(plan, part, signal).then(check);
        const done = part(0, plan.steps.length);
        return typeof done === 'number' ? check(done) : done.then(check);
      },
      dispose: () => {
        if (disposed) return;
        disposed = true;
        const remove = () => {
          runtime.code.remove(address);
          this.#disown(memory);
        };
        if (this.#busy) this.#late.push(remove);
        else remove();
      },
    };
  }

  /** Runs some steps, here or on the threads; gives the step (from 1) that failed, or 0. */
  #runPart(
    plan: RunPlan,
    run: RunFunction,
    entry: number,
    table: number,
    from: number,
    to: number,
  ): number | Promise<number> {
    if (plan.instructions < this.#worthThreads) {
      this.#control.i32[CONTROL.arrivals / 4] = 0;
      return run(table, 0, 1, from, to);
    }
    this.#busy = true;
    return this.#threads()
      .run({ entry, table, from, to })
      .finally(() => {
        this.#busy = false;
        for (const remove of this.#late.splice(0)) remove();
      });
  }

  #runByKernels(
    plan: RunPlan,
    table: RunTable,
    kernels: readonly ((record: number) => void)[],
  ): number {
    const { libc } = this.#runtime.system;
    const { address, i32 } = this.#control;
    const record = address + CONTROL_BYTES;
    const call = (step: Call) => {
      if (step.record.byteLength > RECORD_BYTES) {
        throw new InternalError(`kernel ${step.name} has more arguments than there is room for`);
      }
      this.#breadcrumb?.before(step);
      libc.copyIn(record, step.record, step.record.byteLength);
      kernels[step.kernel](record);
    };
    const failed = () => i32[CONTROL.failure / 4] !== 0;
    const write = debugging(2) ? debug : () => undefined;
    const stopped = traceCalls(callsOf(plan, table, address), { call, failed, write });
    this.#breadcrumb?.clear();
    return stopped;
  }

  /** Writes the table of a run, and clears counters and the record of failures. */
  #fill(
    plan: RunPlan,
    table: RunTable,
    memory: NativeAllocation,
    sources: readonly Allocation[],
    targets: readonly Allocation[],
    values: ReadonlyMap<string, number>,
  ): void {
    this.#scratch = this.#reserve(this.#scratch, plan.scratchBytes);
    this.#locals = this.#reserve(this.#locals, plan.localBytes * this.target.threads);
    const { slots } = table;
    sources.forEach((a, i) => {
      this.#requireWhole(a as NativeAllocation);
      table.set(i, (a as NativeAllocation).address);
    });
    targets.forEach((a, i) => {
      table.set(plan.inputs.length + i, (a as NativeAllocation).address);
    });
    table.set(slots.scratch, this.#scratch.address);
    table.set(slots.local, this.#locals.address);
    table.set(slots.counters, memory.address + table.countersOffset);
    table.setVars(values);
    table.set(slots.count, this.#control.address);
    this.#runtime.system.libc.copyIn(memory.address, table.content, table.bytes);
    this.#control.i32.fill(0, CONTROL.failure / 4, CONTROL.failure / 4 + 4);
  }

  #throwFailure(plan: RunPlan, step: number): never {
    const [, check, value, size] = this.#control.i32.slice(CONTROL.failure / 4);
    throw indexOutOfRange(plan.kernels[plan.steps[step].kernel].checks[check], value, size);
  }

  /** Ends the device's threads and frees its memory; nothing may run on it afterwards. */
  async dispose(): Promise<void> {
    await this.#pool?.dispose();
    this.#pool = undefined;
    this.#breadcrumb?.close();
    this.#breadcrumb = undefined;
    this.#files?.dispose();
    this.#region.dispose();
    const { libc } = this.#runtime.system;
    libc.munmap(this.#control.address, pagesOf(CONTROL_BYTES + RECORD_BYTES));
  }

  /** The arena itself where it is large enough, else a larger one in its place. */
  #reserve(arena: NativeAllocation | undefined, bytes: number): NativeAllocation {
    if (arena && arena.bytes >= bytes) return arena;
    if (arena) this.#disown(arena);
    return this.#own(bytes);
  }

  #own(bytes: number): NativeAllocation {
    const before = this.#arena.liveBytes;
    const allocation = this.allocate(bytes);
    this.#overhead += this.#arena.liveBytes - before;
    return allocation;
  }

  #disown(allocation: NativeAllocation): void {
    const before = this.#arena.liveBytes;
    this.free(allocation);
    this.#overhead -= before - this.#arena.liveBytes;
  }
}

function inWorker(): boolean {
  return !workerThreads().isMainThread;
}
