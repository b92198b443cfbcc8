import { debug, debugging } from '../base/env.ts';
import { badArgument, show } from '../base/errors.ts';
import { LruMap } from '../base/lru.ts';
import { compile } from '../compile/index.ts';
import type { Device, Executable } from '../device/index.ts';
import { type BufferNode, bufferNode } from '../ir/graph/build.ts';
import type { Node } from '../ir/graph/types.ts';
import { formatShape, isVar, type Shape, type Var } from '../ir/shape.ts';
import { type Cell, type CellTrace, withCellTrace } from './cell.ts';
import { Lazy } from './lazy.ts';
import { enqueue } from './queue.ts';
import { cutAtMemory, realizeAll } from './realize.ts';
import { collecting, type Disposable } from './scope.ts';
import { allocate, type Storage } from './storage.ts';
import { Tensor } from './tensor.ts';
import { mapTensors } from './tree.ts';

/** A symbolic size with its value for one call: the traced function sees the var. */
export class BoundVar {
  readonly variable: Var;
  readonly value: number;

  constructor(variable: Var, value: number) {
    const { name, min, max } = variable;
    if (!Number.isInteger(value) || value < min || value > max) {
      throw badArgument('bind', name, value, `an integer from ${min} to ${max}`);
    }
    this.variable = variable;
    this.value = value;
  }
}

/** Gives a symbolic size its value for a call of a jitted function. */
export function bind(variable: Var, value: number): BoundVar {
  return new BoundVar(variable, value);
}

/** In the traced function a bound var is the var itself. */
export type Traced<A> = { [K in keyof A]: A[K] extends BoundVar ? Var : A[K] };

export interface Jitted<A extends unknown[], T> {
  (...args: A): Promise<T>;
  /** How often the function was traced and compiled. */
  readonly traces: number;
  /** Frees the compiled programs. */
  dispose(): void;
}

/** Programs kept for one function: one for each set of argument shapes. */
const CACHE_SIZE = 16;

/**
 * Captures a whole step: the function is traced once for each set of argument shapes, compiled to
 * one program with one plan of memory, and run as that from then on. Cells read in it are inputs,
 * cells set in it are updated when the step is done; a step that throws changes nothing. Arguments
 * that are no tensors are constants of the trace.
 *
 * @example
 * const step = jit((x: Tensor, y: Tensor) => {
 *   const { value, grads } = valueAndGrad((m: Model) => m.loss(x, y))(model);
 *   optimizer.update(grads);
 *   return value;
 * });
 * await step(inputs, targets);
 */
export function jit<A extends unknown[], T>(f: (...args: Traced<A>) => T): Jitted<A, T> {
  const programs = new LruMap<string, Promise<Captured>>(CACHE_SIZE, (captured) => {
    captured.then((c) => c.dispose()).catch(() => undefined);
  });
  let traces = 0;
  const call = async (...args: A): Promise<T> => {
    const { key, tensors, vars } = describe(args);
    let captured = programs.get(key);
    if (!captured) {
      traces++;
      if (traces > 1 && debugging(1))
        debug(`jit: trace ${traces} of ${f.name || 'a function'} for ${key}`);
      captured = trace(f, args);
      programs.set(key, captured);
      captured.catch(() => programs.delete(key));
    }
    return (await captured).run(tensors, vars) as Promise<T>;
  };
  return Object.defineProperties(call, {
    traces: { get: () => traces },
    dispose: { value: () => programs.clear() },
  }) as Jitted<A, T>;
}

/** What a program depends on, as text, and what changes from call to call. */
function describe(args: readonly unknown[]) {
  const tensors: Tensor[] = [];
  const vars = new Map<string, number>();
  const key: string[] = [];
  mapTensors(
    args,
    (tensor, path) => {
      tensors.push(tensor);
      key.push(`${path}=${tensor.dtype}${formatShape(tensor.shape)}`);
    },
    (value, path) => {
      if (value instanceof BoundVar) {
        const { name, min, max } = value.variable;
        vars.set(name, value.value);
        key.push(`${path}=${name}<${min},${max}>`);
      } else if (
        value === null ||
        ['number', 'string', 'boolean', 'undefined'].includes(typeof value)
      ) {
        key.push(`${path}=${show(value)}`);
      } else {
        throw badArgument('jit', `argument ${path}`, value, 'tensors, bound vars and plain values');
      }
    },
  );
  return { key: key.join(' '), tensors, vars };
}

/** Cells during a trace: each is an input when read, an output when set. */
class Recorder implements CellTrace {
  readonly inputs = new Map<Cell, Tensor>();
  readonly outputs = new Map<Cell, Tensor>();

  read(cell: Cell): Tensor {
    const written = this.outputs.get(cell);
    if (written) return written;
    let input = this.inputs.get(cell);
    if (!input) {
      const { held } = cell;
      input = placeholder(held.device, held.dtype, held.shape, cell.name);
      this.inputs.set(cell, input);
    }
    return input;
  }

  write(cell: Cell, value: Tensor): void {
    this.outputs.set(cell, value);
  }
}

function placeholder(device: Device, dtype: Tensor['dtype'], shape: Shape, name: string): Tensor {
  return new Tensor(new Lazy(device, bufferNode(dtype, shape, name), []));
}

async function trace<A extends unknown[], T>(
  f: (...args: Traced<A>) => T,
  args: A,
): Promise<Captured> {
  // The program needs no handle of the trace once it is compiled, but for the shapes of its results.
  const made = new Set<Disposable>();
  try {
    return await Captured.make(collecting(() => runTraced(f, args), made));
  } finally {
    for (const handle of made) handle.dispose();
  }
}

function runTraced<A extends unknown[], T>(f: (...args: Traced<A>) => T, args: A): Trace {
  const places: Tensor[] = [];
  const inputs = mapTensors(
    args,
    ({ device, dtype, shape }) => {
      const place = placeholder(device, dtype, shape, `argument ${places.length}`);
      places.push(place);
      return place;
    },
    (value) => (value instanceof BoundVar ? value.variable : value),
  ) as Traced<A>;
  const recorder = new Recorder();
  const result = withCellTrace(recorder, () => f(...inputs));
  if (result instanceof Promise) {
    throw new TypeError(
      'jit: the traced function is async; it must build its result without waiting',
    );
  }
  const results: Tensor[] = [];
  mapTensors(result, (tensor) => results.push(tensor));
  return { places, recorder, result, results };
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

interface Trace {
  readonly places: readonly Tensor[];
  readonly recorder: Recorder;
  readonly result: unknown;
  readonly results: readonly Tensor[];
}

/** Where an input of the program comes from. */
type Source =
  | { readonly kind: 'argument'; readonly index: number }
  | { readonly kind: 'cell'; readonly cell: Cell }
  | { readonly kind: 'captured'; readonly storage: Storage };

/** A traced and compiled step. */
class Captured {
  readonly #device: Device;
  readonly #executable: Executable;
  readonly #trace: Trace;
  readonly #sources: readonly Source[];
  readonly #written: readonly Cell[];
  /** For each output, the input whose memory it may take over. */
  readonly #reuse: readonly (number | undefined)[];

  private constructor(
    device: Device,
    executable: Executable,
    trace: Trace,
    sources: readonly Source[],
    written: readonly Cell[],
    reuse: readonly (number | undefined)[],
  ) {
    this.#device = device;
    this.#executable = executable;
    this.#trace = trace;
    this.#sources = sources;
    this.#written = written;
    this.#reuse = reuse;
  }

  static async make(trace: Trace): Promise<Captured> {
    const { places, recorder, results } = trace;
    const device = deviceOf([...places, ...results, ...recorder.inputs.values()]);
    const cellOf = new Map([...recorder.inputs].map(([cell, t]) => [t.node.id, cell]));
    const argumentOf = new Map(places.map((t, i) => [t.node.id, i]));
    const isBound = (node: Node) => cellOf.has(node.id) || argumentOf.has(node.id);
    const written = [...recorder.outputs.keys()];
    const wanted = [...results, ...recorder.outputs.values()].map((t) => t.node);
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
    for (const [cell, t] of recorder.inputs) {
      if (t.node.op === 'buffer') addInput(t.node, { kind: 'cell', cell });
    }
    cut.inputs.forEach((node, i) => {
      const storage = cut.storages[i];
      storage.retain();
      addInput(node, { kind: 'captured', storage });
    });
    const donations = new Map<number, number>();
    written.forEach((cell, i) => {
      const input = sources.findIndex((s) => s.kind === 'cell' && s.cell === cell);
      if (input >= 0) donations.set(results.length + i, input);
    });
    const { code, reuse } = compile(device.target, cut.outputs, nodes, { donations });
    const executable = await device.load(code);
    return new Captured(device, executable, trace, sources, written, reuse);
  }

  async run(args: readonly Tensor[], vars: ReadonlyMap<string, number>): Promise<unknown> {
    const lazies = args.map((t) => t.lazy);
    for (const source of this.#sources) {
      if (source.kind === 'cell') lazies.push(source.cell.held.lazy);
    }
    for (const lazy of lazies) lazy.retain();
    try {
      await realizeAll(lazies);
      return await enqueue(this.#device, async () => this.#runNow(args, vars));
    } finally {
      for (const lazy of lazies) lazy.release();
    }
  }

  async #runNow(args: readonly Tensor[], vars: ReadonlyMap<string, number>): Promise<unknown> {
    const inputs = this.#sources.map((source) => this.#storageOf(source, args));
    const { results } = this.#trace;
    const made: Storage[] = [];
    const targets: Storage[] = [];
    try {
      for (const tensor of results) {
        const shape = tensor.shape.map((d) => (isVar(d) ? (vars.get(d.name) ?? d.max) : d));
        const storage = allocate(this.#device, tensor.dtype, shape, 'result');
        made.push(storage);
        targets.push(storage);
      }
      this.#written.forEach((cell, i) => {
        const reused = this.#reuse[results.length + i];
        if (reused !== undefined && isOwnedByCell(cell)) {
          targets.push(inputs[reused]);
          return;
        }
        const storage = allocate(this.#device, cell.dtype, cell.shape, cell.name);
        made.push(storage);
        targets.push(storage);
      });
      await this.#executable.run(
        inputs.map((s) => s.allocation),
        targets.map((s) => s.allocation),
        vars,
      );
    } catch (error) {
      for (const storage of made) storage.release();
      throw error;
    }
    this.#written.forEach((cell, i) => {
      const storage = targets[results.length + i];
      if (!made.includes(storage)) return;
      const value = new Tensor(new Lazy(this.#device, storage.node, [], storage));
      cell.set(value);
      value.dispose();
    });
    let next = 0;
    return mapTensors(this.#trace.result, () => {
      const storage = targets[next++];
      return new Tensor(new Lazy(this.#device, storage.node, [], storage));
    });
  }

  #storageOf(source: Source, args: readonly Tensor[]): Storage {
    if (source.kind === 'captured') return source.storage;
    const lazy = source.kind === 'cell' ? source.cell.held.lazy : args[source.index].lazy;
    if (!lazy.storage)
      throw new TypeError('jit: an argument was disposed of while the step waited');
    return lazy.storage;
  }

  dispose(): void {
    this.#executable.dispose();
    for (const source of this.#sources) if (source.kind === 'captured') source.storage.release();
  }
}

/** Beside the cell only the run in progress holds the value: nobody else can see it. */
function isOwnedByCell(cell: Cell): boolean {
  return cell.held.lazy.sharers <= 1;
}
