import { debug, debugging } from '../../base/env.ts';
import { InternalError } from '../../base/errors.ts';
import { arrayClass, DTYPES, type DType, type TypedArray } from '../../ir/dtype.ts';
import { indexOutOfRange } from '../../ir/graph/ops/indexing.ts';
import { type Code, FAILURE_RECORD, type Program, type Target } from '../../ir/program.ts';
import type { Allocation, Device, Executable } from '../types.ts';
import { Heap } from './heap.ts';
import { traceRun } from './trace.ts';

const PAGE = 65536;
/** 4 GiB: what 32-bit addresses reach. */
const MAXIMUM_PAGES = 65536;
/** The first bytes hold the failure record; address 0 stays unused. */
const RESERVED = 1024;

interface WasmAllocation extends Allocation {
  readonly offset: number;
}

/** What a module made by the emitter exports. */
interface Exports {
  readonly run: (table: number) => number;
  readonly [kernel: string]: unknown;
}

/** WebAssembly with SIMD on one thread; all programs share one linear memory. */
export class WasmDevice implements Device {
  readonly name = 'wasm';
  readonly target: Target;
  readonly #memory: WebAssembly.Memory;
  readonly #heap: Heap;
  /** One arena serves all programs, since they run one after the other. */
  #scratch: WasmAllocation | undefined;
  #overhead = 0;

  /** @param relaxedSimd the engine fuses multiply-adds */
  constructor(relaxedSimd: boolean) {
    const initial = 256;
    this.target = { kind: 'wasm', relaxedSimd, maximumPages: MAXIMUM_PAGES };
    this.#memory = new WebAssembly.Memory({ initial, maximum: MAXIMUM_PAGES });
    this.#heap = new Heap(RESERVED, initial * PAGE);
  }

  /** Bytes held by arrays; the programs' own tables and scratch are not counted. */
  get liveBytes(): number {
    return this.#heap.liveBytes - this.#overhead;
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
    const pages = Math.min(wish, MAXIMUM_PAGES - used / PAGE);
    try {
      if (pages < needed) throw new RangeError('beyond 4 GiB');
      this.#memory.grow(pages);
    } catch (cause) {
      throw new RangeError(
        `wasm: no memory for ${(bytes / 2 ** 20).toFixed(1)} MiB more ` +
          `(${(this.#heap.liveBytes / 2 ** 20).toFixed(1)} MiB in use, the limit is 4 GiB); ` +
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
    return new (arrayClass(dtype))(this.#memory.buffer.slice(offset, offset + bytes));
  }

  async load(code: Code): Promise<Executable> {
    if (code.kind !== 'wasm') throw new InternalError(`wasm cannot run ${code.kind}`);
    const { program, bytes } = code;
    const { instance } = await WebAssembly.instantiate(bytes, { env: { memory: this.#memory } });
    const exports = instance.exports as unknown as Exports;
    const { inputs, outputs, vars } = program;
    const slots = inputs.length + outputs.length + 1 + vars.length;
    const table = this.#own(slots * 4);
    return {
      run: (sources, targets, values) => {
        const scratch = this.#reserve(program.scratchBytes);
        const entries = new Int32Array(this.#memory.buffer, table.offset, slots);
        sources.forEach((a, i) => {
          entries[i] = (a as WasmAllocation).offset;
        });
        targets.forEach((a, i) => {
          entries[inputs.length + i] = (a as WasmAllocation).offset;
        });
        entries[inputs.length + outputs.length] = scratch.offset;
        vars.forEach((v, i) => {
          entries[inputs.length + outputs.length + 1 + i] = values.get(v.name) ?? v.max;
        });
        const failed = debugging(2)
          ? traceRun(program, exports, entries, debug, () => this.#failure()[0] !== 0)
          : exports.run(table.offset);
        if (failed > 0) this.#throwFailure(program, failed - 1);
      },
      dispose: () => {
        this.#disown(table);
      },
    };
  }

  #failure(): Int32Array {
    return new Int32Array(this.#memory.buffer, FAILURE_RECORD, 4);
  }

  #throwFailure(program: Program, step: number): never {
    const record = this.#failure();
    const [, check, value, size] = record;
    record.fill(0);
    throw indexOutOfRange(program.kernels[program.steps[step].kernel].checks[check], value, size);
  }

  #reserve(bytes: number): WasmAllocation {
    if (this.#scratch && this.#scratch.bytes >= bytes) return this.#scratch;
    if (this.#scratch) this.#disown(this.#scratch);
    this.#scratch = undefined;
    this.#scratch = this.#own(bytes);
    return this.#scratch;
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
