import type { Node } from '../ir/graph/types.ts';
import { Lazy } from './lazy.ts';
import { Tensor } from './tensor.ts';
import { Tracer } from './trace.ts';

/** A function that vmap traces for one member of a batch. */
export class BatchTrace {
  /** Members of the batch. */
  readonly size: number;
  /** For each stand-in of a member (by node id) the node of all members, axis 0 being the batch. */
  readonly wide = new Map<number, Node>();
  readonly #sources: Lazy[] = [];
  readonly #tracer = new Tracer('vmap');

  constructor(size: number) {
    this.size = size;
  }

  /** What the stand-ins were made of: each is retained until `dispose`. */
  get sources(): readonly Lazy[] {
    return this.#sources;
  }

  /** One member of an array whose axis 0 is the batch. */
  member(node: Node, lazy: Lazy, name: string): Tensor {
    lazy.retain();
    this.#sources.push(lazy);
    const single = this.#tracer.standIn(node.dtype, node.shape.slice(1), name);
    this.wide.set(single.id, node);
    return new Tensor(new Lazy(lazy.device, single, []));
  }

  run<T>(body: () => T): T {
    open.push(this);
    try {
      return this.#tracer.run(body);
    } finally {
      open.pop();
    }
  }

  dispose(): void {
    for (const lazy of this.#sources) lazy.release();
  }
}

const open: BatchTrace[] = [];

/** The batches whose members are traced at present, the outermost first. */
export function openBatches(): readonly BatchTrace[] {
  return open;
}

/** An array with an axis for each open batch in front, as the innermost member sees it. */
export function splitAmongMembers(all: Tensor): Tensor {
  return open.reduce((t, batch) => batch.member(t.node, t.lazy, 'a random key'), all);
}
