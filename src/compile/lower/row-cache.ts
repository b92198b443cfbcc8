import type { DType } from '../../ir/dtype.ts';
import { topological } from '../../ir/graph/traverse.ts';
import type { Node, NodeOf } from '../../ir/graph/types.ts';
import { atomIndex, type Index, ZERO } from '../../ir/kernel/index-expr.ts';
import { maxDim } from '../../ir/shape.ts';
import { opClass } from '../op-class.ts';
import { fusedCosts } from '../schedule/cost.ts';
import { dimIndex, pushIndex } from './movement.ts';
import { quantizedReads } from './quantization.ts';

/** A value of which a kernel keeps one row: the reduction that computes it first, and its axis. */
export interface RowCache {
  readonly filler: NodeOf<'reduce'>;
  readonly axis: number;
  readonly dtype: DType;
}

/** Values of fewer instructions are computed again. */
const WORTH_KEEPING = 8;
/** Elements of a row that still lie in a near cache. */
const LONGEST_ROW = 2 ** 16;

/**
 * Finds what a kernel would compute several times for each row: inside a reduction along the row,
 * and again in another one or in the result (the exponentials of a softmax). The first reduction
 * keeps such values in a local buffer of one row.
 */
export function findRowCaches(
  roots: readonly Node[],
  hasBuffer: (node: Node) => boolean,
): ReadonlyMap<number, RowCache> {
  return new RowSearch(roots, hasBuffer).run();
}

interface Use {
  readonly node: Node;
  /** Loops along the row in which the value is wanted. */
  readonly loops: Set<string>;
  /** Reductions that want it at just the place that they reduce. */
  readonly fillers: Map<NodeOf<'reduce'>, number>;
}

/** The reduction whose elements are being looked at. */
interface Inside {
  readonly reduce: NodeOf<'reduce'>;
  readonly place: string;
  readonly axis: number;
}

class RowSearch {
  readonly #roots: readonly Node[];
  readonly #costs: ReadonlyMap<number, number>;
  readonly #hasBuffer: (node: Node) => boolean;
  readonly #uses = new Map<string, Use>();
  readonly #visited = new Set<string>();
  /** Keys of the loops that run along a row. */
  readonly #rowLoops = new Set<string>();
  #nextLoop = 0;

  constructor(roots: readonly Node[], hasBuffer: (node: Node) => boolean) {
    const inMemory = (node: Node) => hasBuffer(node) && !roots.includes(node);
    this.#roots = roots;
    this.#hasBuffer = inMemory;
    this.#costs = fusedCosts(topological(roots, inMemory), inMemory);
  }

  run(): ReadonlyMap<number, RowCache> {
    const [{ shape }] = this.#roots;
    const last = shape.length - 1;
    const domain = shape.map((dim, axis) => (dim === 1 ? ZERO : this.#loop(dim, axis === last)));
    for (const root of this.#roots) this.#visit(root, domain, undefined);
    const shared = [...this.#uses.values()].filter((u) => u.loops.size > 1 && u.fillers.size > 0);
    const found = new Map<number, RowCache>();
    for (const { node, fillers } of shared) {
      // The same value of several rows would need several buffers.
      if (shared.filter((u) => u.node === node).length > 1) continue;
      // The first reduction depends on none of the others.
      const [filler] = [...fillers.keys()].sort((a, b) => a.id - b.id);
      const axis = fillers.get(filler) as number;
      found.set(node.id, { filler, axis, dtype: node.dtype });
    }
    return outermost(found, this.#roots);
  }

  #loop(dim: Node['shape'][number], alongRow: boolean): Index {
    const id = this.#nextLoop++;
    const key = `row${id}`;
    if (alongRow) this.#rowLoops.add(key);
    return atomIndex({ kind: 'loop', id, extent: dimIndex(dim), key });
  }

  #visit(node: Node, index: readonly Index[], inside: Inside | undefined): void {
    const key = `${node.id}@${index.map((i) => i.key).join()}`;
    if (this.#visited.has(key)) return;
    this.#visited.add(key);
    if (this.#hasBuffer(node)) return;
    switch (opClass(node)) {
      case 'move':
        this.#visit(node.src[0], pushIndex(node, index).index, inside);
        return;
      case 'reduce':
        this.#visitReduce(node as NodeOf<'reduce'>, index);
        return;
      case 'pointwise':
        if (node.op === 'gather') return;
        this.#note(node, index, inside);
        if (node.op === 'quantize' || node.op === 'dequantize') {
          for (const read of quantizedReads(node, index)) {
            this.#visit(read.source, read.index, inside);
          }
          return;
        }
        for (const source of node.src) this.#visit(source, index, inside);
        return;
      default:
        return;
    }
  }

  #visitReduce(node: NodeOf<'reduce'>, index: readonly Index[]): void {
    const [x] = node.src;
    const { axes } = node.arg;
    if (axes.length !== 1) return;
    const [axis] = axes;
    const at = index.map((i, a) => (a === axis ? this.#loop(x.shape[axis], true) : i));
    this.#visit(x, at, { reduce: node, place: this.#placeOf(at), axis });
  }

  /** The index with every loop along a row written alike. */
  #placeOf(index: readonly Index[]): string {
    return index.map((i) => (this.#rowLoops.has(i.key) ? '*' : i.key)).join();
  }

  #note(node: Node, index: readonly Index[], inside: Inside | undefined): void {
    if ((this.#costs.get(node.id) ?? 0) < WORTH_KEEPING) return;
    const rows = index.filter((i) => this.#rowLoops.has(i.key));
    if (rows.length !== 1) return;
    const place = this.#placeOf(index);
    const key = `${node.id}@${place}`;
    const use = this.#uses.get(key) ?? { node, loops: new Set(), fillers: new Map() };
    this.#uses.set(key, use);
    use.loops.add(rows[0].key);
    const long = maxDim(node.shape[index.indexOf(rows[0])]) > LONGEST_ROW;
    if (inside && inside.place === place && !long) use.fillers.set(inside.reduce, inside.axis);
  }
}

/** Without values that are only wanted inside other kept ones. */
function outermost(
  found: ReadonlyMap<number, RowCache>,
  roots: readonly Node[],
): ReadonlyMap<number, RowCache> {
  const wanted = new Map<number, RowCache>();
  const seen = new Set<number>();
  const visit = (node: Node): void => {
    if (seen.has(node.id)) return;
    seen.add(node.id);
    const cache = found.get(node.id);
    if (cache) wanted.set(node.id, cache);
    else node.src.forEach(visit);
  };
  roots.forEach(visit);
  return wanted;
}
