import { unreachable } from '../base/errors.ts';
import { compile } from '../compile/index.ts';
import type { Device, Executable } from '../device/index.ts';
import { DTYPES } from '../ir/dtype.ts';
import type { BufferNode } from '../ir/graph/build.ts';
import type { Node } from '../ir/graph/types.ts';
import type { Code, Target } from '../ir/program.ts';
import { formatShape, isVar, type Shape, sizeOf } from '../ir/shape.ts';
import type { Cell } from './cell.ts';
import { Lazy, leavesOf } from './lazy.ts';
import { enqueue } from './queue.ts';
import { computeNow, cutAtMemory } from './realize.ts';
import { allocate, type Storage } from './storage.ts';
import { Tensor } from './tensor.ts';
import { mapTensors } from './tree.ts';

/** What a traced function did: placeholders of its arguments, cells, and its result. */
export interface Trace {
  readonly places: readonly Tensor[];
  readonly cellsRead: ReadonlyMap<Cell, Tensor>;
  readonly cellsWritten: ReadonlyMap<Cell, Tensor>;
  readonly result: unknown;
  readonly results: readonly Tensor[];
}

/** Where an input of the program comes from. */
type Source =
  | { readonly kind: 'argument'; readonly index: number }
  | { readonly kind: 'cell'; readonly cell: Cell }
  | { readonly kind: 'captured'; readonly storage: Storage };

/** A cell that the program writes, and the memory that its new value may take. */
interface Written {
  readonly cell: Cell;
  /** The input whose memory it may take over. */
  readonly reuse: number | undefined;
  /** The program writes only what changes: the memory must hold the old value. */
  readonly keeps: boolean;
}

/** What one run may be given beside its arguments. */
export interface Call {
  readonly vars: ReadonlyMap<string, number>;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes that one run of a program takes beside its arguments and the cells it reads. */
export interface ProgramMemory {
  /** What the compiler's plan of memory holds at once: intermediates, of all threads together. */
  readonly scratchBytes: number;
  /** Results, and new values of cells that cannot be written in place. */
  readonly resultBytes: number;
}

/** A traced and compiled step. */
export class Captured {
  readonly #device: Device;
  readonly #trace: Trace;
  readonly #sources: readonly Source[];
  readonly #written: readonly Written[];
  /** Values beside arguments and cells that the function has used. */
  readonly #used: readonly Lazy[];
  readonly memory: ProgramMemory;
  /** Rejects when the device refuses the code. */
  readonly loaded: Promise<Executable>;
  /** Calls that wait or run. */
  #calls = 0;
  #disposed = false;

  /** Compiles at once; the device loads the code while the first call waits in the queue. */
  constructor(trace: Trace) {
    const { places, cellsRead, cellsWritten, results } = trace;
    for (const { shape } of results) requireLeadingVars(shape);
    const device = deviceOf([...places, ...results, ...cellsRead.values()]);
    const cellOf = new Map([...cellsRead].map(([cell, t]) => [t.node.id, cell]));
    const argumentOf = new Map(places.map((t, i) => [t.node.id, i]));
    const isBound = (node: Node) => cellOf.has(node.id) || argumentOf.has(node.id);
    const wanted = [...results, ...cellsWritten.values()].map((t) => t.node);
    const cut = cutAtMemory(wanted, isBound);
    const nodes: BufferNode[] = [];
    const sources: Source[] = [];
    const addInput = (node: BufferNode, source: Source) => {
      nodes.push(node);
      sources.push(source);
    };
    places.forEach((t, index) => {
      if (t.node.op === 'buffer') addInput(t.node, { kind: 'argument', index });
    });
    for (const [cell, t] of cellsRead) {
      if (t.node.op === 'buffer') addInput(t.node, { kind: 'cell', cell });
    }
    cut.inputs.forEach((node, i) => {
      addInput(node, { kind: 'captured', storage: cut.storages[i] });
    });
    const donations = new Map<number, number>();
    const cells = [...cellsWritten.keys()];
    cells.forEach((cell, i) => {
      const input = sources.findIndex((s) => s.kind === 'cell' && s.cell === cell);
      if (input >= 0) donations.set(results.length + i, input);
    });
    const { code, reuse, keeps } = compile(device.target, cut.outputs, nodes, { donations });
    for (const storage of cut.storages) storage.retain();
    this.#device = device;
    this.#trace = trace;
    this.#used = leavesOf([...results, ...cellsWritten.values()].map((t) => t.lazy));
    this.#sources = sources;
    this.#written = cells.map((cell, i) => {
      const output = results.length + i;
      return { cell, reuse: reuse[output], keeps: keeps[output] };
    });
    const fresh = this.#written.filter(({ reuse }) => reuse === undefined).map(({ cell }) => cell);
    this.memory = {
      scratchBytes: scratchOf(code, device.target),
      resultBytes: [...results, ...fresh].reduce((n, { dtype, shape }) => {
        return n + sizeOf(shape) * DTYPES[dtype].bytes;
      }, 0),
    };
    this.loaded = device.load(code);
    this.loaded.catch(() => undefined);
  }

  /** True when a function is being differentiated by what the program reads beside its arguments. */
  get readsDifferentiated(): boolean {
    const cells = this.#sources.flatMap((s) => (s.kind === 'cell' ? [s.cell.held.lazy] : []));
    return [...cells, ...this.#used].some((lazy) => lazy.isDifferentiated);
  }

  /**
   * Takes its place in the device's queue at once. Arguments may be disposed of after the call;
   * cells are read when the run begins.
   */
  async run(args: readonly Tensor[], call: Call): Promise<unknown> {
    const lazies = args.map((t) => t.lazy);
    for (const { device } of lazies) this.#requireDevice(device);
    for (const lazy of lazies) lazy.retain();
    this.#calls++;
    try {
      return await enqueue(this.#device, () => this.#runNow(lazies, call), call.signal);
    } finally {
      for (const lazy of lazies) lazy.release();
      this.#calls--;
      this.#freeWhenUnused();
    }
  }

  #requireDevice(device: Device): void {
    if (device === this.#device) return;
    throw new TypeError(
      `jit: an argument or cell is on ${device.name}; expected the device of the trace, ` +
        this.#device.name,
    );
  }

  async #runNow(args: readonly Lazy[], call: Call): Promise<unknown> {
    const executable = await this.loaded;
    // The values of cells must outlive the run, whatever is put into the cells meanwhile.
    const held = this.#sources.map((source): Lazy | undefined => {
      if (source.kind === 'captured') return undefined;
      return source.kind === 'cell' ? source.cell.held.lazy : args[source.index];
    });
    const lazies = held.filter((lazy) => lazy !== undefined);
    for (const lazy of lazies) lazy.retain();
    try {
      for (const { device } of lazies) this.#requireDevice(device);
      await computeNow(this.#device, lazies);
      const inputs = this.#sources.map((source, i) =>
        source.kind === 'captured' ? source.storage : (held[i]?.storage as Storage),
      );
      return await this.#runOn(executable, inputs, call);
    } finally {
      for (const lazy of lazies) lazy.release();
    }
  }

  async #runOn(executable: Executable, inputs: readonly Storage[], call: Call): Promise<unknown> {
    const { results } = this.#trace;
    const { vars, signal } = call;
    const made = new Set<Storage>();
    const allocated = (dtype: Tensor['dtype'], shape: Shape, name: string): Storage => {
      const storage = allocate(this.#device, dtype, shape, name);
      made.add(storage);
      return storage;
    };
    const targets: Storage[] = [];
    try {
      for (const { dtype, shape } of results) {
        const sizes = shape.map((d) => (isVar(d) ? (vars.get(d.name) ?? d.max) : d));
        targets.push(allocated(dtype, sizes, 'result'));
      }
      for (const { cell, reuse, keeps } of this.#written) {
        if (reuse !== undefined && isOwnedByCell(cell, inputs[reuse])) {
          targets.push(inputs[reuse]);
          continue;
        }
        const storage = allocated(cell.dtype, cell.shape, cell.name);
        targets.push(storage);
        if (keeps && reuse !== undefined) this.#copy(inputs[reuse], storage, cell);
      }
      await executable.run(
        inputs.map((s) => s.allocation),
        targets.map((s) => s.allocation),
        vars,
        signal,
      );
    } catch (error) {
      for (const storage of made) storage.release();
      throw error;
    }
    this.#written.forEach(({ cell }, i) => {
      const storage = targets[results.length + i];
      commit(cell, storage, made.has(storage));
    });
    let next = 0;
    return mapTensors(this.#trace.result, () => {
      const storage = targets[next++];
      return new Tensor(new Lazy(this.#device, storage.node, [], storage));
    });
  }

  #copy(from: Storage, to: Storage, { dtype, size }: Cell): void {
    const device = this.#device;
    device.write(to.allocation, device.read(from.allocation, dtype, size));
  }

  /** Frees the program once no call waits for it or runs it. */
  dispose(): void {
    this.#disposed = true;
    this.#freeWhenUnused();
  }

  #freeWhenUnused(): void {
    if (!this.#disposed || this.#calls > 0) return;
    // Two calls that end together must not free twice.
    this.#calls = Number.POSITIVE_INFINITY;
    for (const source of this.#sources) if (source.kind === 'captured') source.storage.release();
    this.loaded.then((executable) => executable.dispose()).catch(() => undefined);
  }
}

/** The graph interpreter makes no plan: it frees nothing before a run ends. */
function scratchOf(code: Code, target: Target): number {
  switch (code.kind) {
    case 'graph':
      return 0;
    case 'kernels':
      return code.program.scratchBytes + code.program.localBytes;
    case 'wasm':
    case 'x64': {
      const threads = target.kind === code.kind ? target.threads : 1;
      return code.plan.scratchBytes + code.plan.localBytes * threads;
    }
    default:
      return unreachable(code);
  }
}

/** Beside the cell only the run in progress holds the value: nobody else can see it. */
function isOwnedByCell(cell: Cell, storage: Storage): boolean {
  const { lazy } = cell.held;
  return lazy.storage === storage && lazy.sharers <= 1;
}

/** Puts a step's new value into a cell, also where the cell has got another one meanwhile. */
function commit(cell: Cell, storage: Storage, isNew: boolean): void {
  if (cell.held.isDisposed) {
    if (isNew) storage.release();
    return;
  }
  if (cell.held.lazy.storage === storage) return;
  if (!isNew) storage.retain();
  const value = new Tensor(new Lazy(storage.device, storage.node, [], storage));
  cell.set(value);
  value.dispose();
}

/** Kernels leave room for the maximum of a symbolic axis: only in front does that leave no gaps. */
function requireLeadingVars(shape: Shape): void {
  const at = shape.findLastIndex(isVar);
  if (at < 0 || sizeOf(shape.slice(0, at)) === 1) return;
  throw new TypeError(
    `jit: a result has shape ${formatShape(shape)}; expected symbolic axes in front only: ` +
      'return it transposed, or reduced',
  );
}

function deviceOf(tensors: readonly Tensor[]): Device {
  const [first] = tensors;
  if (!first) throw new TypeError('jit: the function has neither tensors nor cells');
  for (const other of tensors) {
    if (other.device !== first.device) {
      throw new TypeError(
        `jit: tensors are on ${first.device.name} and ${other.device.name}; expected one device`,
      );
    }
  }
  return first.device;
}
