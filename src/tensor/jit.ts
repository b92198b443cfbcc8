import { badArgument, show } from '../base/errors.ts';
import { LruMap } from '../base/lru.ts';
import type { Device } from '../device/index.ts';
import { formatShape, type Shape, type Var } from '../ir/shape.ts';
import { Captured, type ProgramMemory, type Trace } from './captured.ts';
import { type Cell, type CellTrace, own, share, withCellTrace } from './cell.ts';
import { type Flag, type FlagReadings, flagsStillHold, withFlagReadings } from './flag.ts';
import { Lazy } from './lazy.ts';
import { type Signature, TraceLog } from './retrace.ts';
import { collecting, type Disposable } from './scope.ts';
import { Tensor } from './tensor.ts';
import { requireSync, Tracer } from './trace.ts';
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

/** What a traced function is called with: where it takes a var, a var bound to its value. */
export type Bound<A extends unknown[]> = { [K in keyof A]: A[K] extends Var ? BoundVar : A[K] };

/** How one call of a jitted function is made. */
export interface CallOptions {
  /**
   * Cancels the call: while it waits at once, while it runs between kernels. The call then rejects
   * with the signal's reason and has changed nothing. Once the step has begun to write its results
   * over cells it runs to its end, and succeeds. Where the function runs as it is, since gradients
   * are wanted of what it reads, the signal is looked at once, before it begins.
   */
  readonly signal?: AbortSignal | undefined;
}

export interface Jitted<A extends unknown[], T> {
  (...args: A): Promise<T>;
  /** The same function, called with options: `step.with({ signal })(x, y)`. */
  with(options: CallOptions): (...args: A) => Promise<T>;
  /**
   * Bytes that a call with such arguments takes, before anything is computed: it traces and compiles,
   * and the next call with arguments of these shapes finds its program made.
   */
  memory(...args: A): ProgramMemory;
  /** How often the function was traced and compiled. */
  readonly traces: number;
  /** Frees the compiled programs; those of calls that wait or run go when these are done. */
  dispose(): void;
}

/** Programs kept for one function: one for each set of argument shapes and values of flags. */
const CACHE_SIZE = 16;

interface Program {
  readonly key: string;
  readonly flags: FlagReadings;
  readonly captured: Captured;
}

/**
 * Captures a whole step: the function is traced once for each set of argument shapes, compiled to
 * one program with one plan of memory, and run as that from then on. Cells read in it are inputs,
 * cells set in it are updated when the step is done; a step that throws changes nothing. Arguments
 * that are no tensors are constants of the trace; so are flags (the mode of a module), each value of
 * which gets a program of its own. Calls run in the order in which they are made.
 * Inside an async function that is differentiated by what it reads, the plain function runs.
 *
 * @example
 * const step = jit((x: Tensor, y: Tensor) => {
 *   const { value, grads } = valueAndGrad((m: Model) => m.loss(x, y))(model);
 *   optimizer.update(grads);
 *   return value;
 * });
 * await step(inputs, targets);
 */
export function jit<A extends unknown[], T>(f: (...args: A) => T): Jitted<Bound<A>, T> {
  const programs = new LruMap<number, Program>(CACHE_SIZE, ({ captured }) => captured.dispose());
  const log = new TraceLog(f.name || 'a function', CACHE_SIZE);
  const programFor = (args: Bound<A>, signature: Signature): Captured => {
    const key = signature.map(([path, what]) => `${path}=${what}`).join(' ');
    const known = programs.find((p) => p.key === key && flagsStillHold(p.flags));
    if (known) return known.captured;
    const { captured, flags } = trace(f, args);
    log.add(reasons(signature, flags));
    const id = log.traces;
    programs.set(id, { key, flags, captured });
    captured.loaded.catch(() => {
      programs.delete(id);
      captured.dispose();
    });
    return captured;
  };
  // Nothing is awaited before the call has its place in the queue: calls keep their order.
  const call = async ({ signal }: CallOptions, args: Bound<A>): Promise<T> => {
    signal?.throwIfAborted();
    const { signature, tensors, vars } = describe(args);
    const captured = programFor(args, signature);
    if (tensors.some((t) => t.lazy.isDifferentiated) || captured.readsDifferentiated) {
      return runPlain(f, args, vars);
    }
    return captured.run(tensors, { vars, signal }) as Promise<T>;
  };
  return Object.defineProperties((...args: Bound<A>) => call({}, args), {
    with: {
      value:
        (options: CallOptions = {}) =>
        (...args: Bound<A>) =>
          call(checked(options), args),
    },
    memory: { value: (...args: Bound<A>) => programFor(args, describe(args).signature).memory },
    traces: { get: () => log.traces },
    dispose: { value: () => programs.clear() },
  }) as Jitted<Bound<A>, T>;
}

function checked(options: CallOptions): CallOptions {
  const { signal } = options;
  if (signal === undefined || signal instanceof AbortSignal) return options;
  throw badArgument('jit', 'signal', signal, 'an AbortSignal');
}

/** A program has no history: where gradients are wanted of what it reads, the function itself runs. */
function runPlain<A extends unknown[], T>(
  f: (...args: A) => T,
  args: Bound<A>,
  vars: ReadonlyMap<string, number>,
): T {
  const [symbolic] = vars.keys();
  if (symbolic !== undefined) {
    throw new TypeError(
      `jit: called with the symbolic size ${symbolic} on tensors that are differentiated by; ` +
        'pass a fixed size, or differentiate inside: jit(grad(f))',
    );
  }
  return requireSync('jit', f(...(args as unknown as A)));
}

/** What a program depends on, as text, and what changes from call to call. */
function describe(args: readonly unknown[]) {
  const tensors: Tensor[] = [];
  const vars = new Map<string, number>();
  const signature: [string, string][] = [];
  mapTensors(
    args,
    (tensor, path) => {
      tensors.push(tensor);
      signature.push([path, `${tensor.dtype}${formatShape(tensor.shape)}`]);
    },
    (value, path) => {
      if (value instanceof BoundVar) {
        const { name, min, max } = value.variable;
        vars.set(name, value.value);
        signature.push([path, `${name}<${min},${max}>`]);
      } else if (
        value === null ||
        ['number', 'string', 'boolean', 'undefined'].includes(typeof value)
      ) {
        signature.push([path, show(value)]);
      } else {
        throw badArgument('jit', `argument ${path}`, value, 'tensors, bound vars and plain values');
      }
    },
  );
  return { signature, tensors, vars };
}

/** Cells during a trace: each is an input when read, an output when set. */
class Recorder implements CellTrace {
  readonly inputs = new Map<Cell, Tensor>();
  readonly outputs = new Map<Cell, Tensor>();
  readonly #tracer: Tracer;
  readonly #made: Set<Disposable>;

  /** @param made takes the recorder's own handles, which must outlive scopes in the function */
  constructor(tracer: Tracer, made: Set<Disposable>) {
    this.#tracer = tracer;
    this.#made = made;
  }

  read(cell: Cell): Tensor {
    const written = this.outputs.get(cell);
    if (written) return share(written);
    let input = this.inputs.get(cell);
    if (!input) {
      const { held } = cell;
      input = this.#own(placeholder(held.device, held.dtype, held.shape, cell.name, this.#tracer));
      this.inputs.set(cell, input);
    }
    return share(input);
  }

  write(cell: Cell, value: Tensor): void {
    this.outputs.set(cell, this.#own(value));
  }

  #own(value: Tensor): Tensor {
    const handle = own(value);
    this.#made.add(handle);
    return handle;
  }
}

function placeholder(
  device: Device,
  dtype: Tensor['dtype'],
  shape: Shape,
  name: string,
  tracer: Tracer,
): Tensor {
  return new Tensor(new Lazy(device, tracer.standIn(dtype, shape, name), []));
}

function trace<A extends unknown[], T>(f: (...args: A) => T, args: Bound<A>) {
  // The program needs no handle of the trace once it is compiled, but for the shapes of its results.
  const made = new Set<Disposable>();
  const flags = new Map<Flag<unknown>, unknown>();
  try {
    const traced = withFlagReadings(flags, () => collecting(() => runTraced(f, args, made), made));
    return { flags, captured: new Captured(traced) };
  } finally {
    for (const handle of made) handle.dispose();
  }
}

/** All that a program is for, as text. */
function reasons(signature: Signature, flags: FlagReadings): Signature {
  return [
    ...signature.map(([path, what]) => [`argument ${path}`, what] as const),
    ...[...flags].map(([flag, value]) => [flag.name, show(value)] as const),
  ];
}

function runTraced<A extends unknown[], T>(
  f: (...args: A) => T,
  args: Bound<A>,
  made: Set<Disposable>,
): Trace {
  const tracer = new Tracer('jit');
  const places: Tensor[] = [];
  const inputs = mapTensors(
    args,
    ({ device, dtype, shape }) => {
      const place = placeholder(device, dtype, shape, `argument ${places.length}`, tracer);
      places.push(place);
      return place;
    },
    (value) => (value instanceof BoundVar ? value.variable : value),
  ) as A;
  const recorder = new Recorder(tracer, made);
  const result = tracer.run(() => withCellTrace(recorder, () => f(...inputs)));
  const results: Tensor[] = [];
  mapTensors(result, (tensor) => results.push(tensor));
  const { inputs: cellsRead, outputs: cellsWritten } = recorder;
  return { places, cellsRead, cellsWritten, result, results };
}
