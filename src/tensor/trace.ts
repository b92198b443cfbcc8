import type { DType } from '../ir/dtype.ts';
import { type BufferNode, bufferNode } from '../ir/graph/build.ts';
import { topological } from '../ir/graph/traverse.ts';
import type { Node } from '../ir/graph/types.ts';
import type { Shape } from '../ir/shape.ts';
import type { Lazy } from './lazy.ts';
import { storageOf } from './storage.ts';

/** Stand-ins for arguments of functions that are traced, with who traces. */
const standIns = new WeakMap<Node, Tracer>();
let running = 0;

/** Runs a function once to see what it computes: its arguments are arrays without values. */
export class Tracer {
  /** The transform, for messages. */
  readonly what: string;

  constructor(what: string) {
    this.what = what;
  }

  standIn(dtype: DType, shape: Shape, name: string): BufferNode {
    const node = bufferNode(dtype, shape, name);
    standIns.set(node, this);
    return node;
  }

  /** @throws TypeError when the function is async */
  run<T>(body: () => T): T {
    running++;
    try {
      return requireSync(this.what, body());
    } finally {
      running--;
    }
  }
}

/** A result that is there at once; of an async function nothing could be traced after its first wait. */
export function requireSync<T>(what: string, result: T): T {
  if (!(result instanceof Promise)) return result;
  // Whatever it still throws is a consequence of this error.
  result.catch(() => undefined);
  throw new TypeError(
    `${what}: the function is async; it must build its result without waiting; ` +
      `leave out ${what} where values are read on the way, and put jit outermost`,
  );
}

/** @throws TypeError for a value that depends on arguments of a function being traced */
export function refuseReading(where: string, handle: { readonly lazy: Lazy }): void {
  if (running === 0) return;
  const { lazy } = handle;
  const inMemory = (node: Node) => storageOf(node.id) !== undefined;
  for (const node of topological([lazy.node], inMemory)) {
    const tracer = standIns.get(node);
    if (!tracer || node.op !== 'buffer') continue;
    throw new TypeError(
      `${where}: the value depends on ${node.arg.name} of a function that ${tracer.what} traces, ` +
        'and is not known yet; return the tensor and read it outside, choose between values by ' +
        `where(), or leave out ${tracer.what}`,
    );
  }
}
