import { topological } from '../../ir/graph/traverse.ts';
import type { Node } from '../../ir/graph/types.ts';
import { atomIndex, type Index, visitAtoms, ZERO } from '../../ir/kernel/index-expr.ts';
import { maxDim, sizeOf } from '../../ir/shape.ts';
import { TEMPLATES } from '../kernels/templates.ts';
import { dimIndex, hasMask, pushIndex } from '../lower/movement.ts';
import { quantizedReads } from '../lower/quantization.ts';
import { hasFewRows, opClass } from '../op-class.ts';
import { constantValue } from '../rewrite/constants.ts';
import { fusedCosts } from './cost.ts';
import { rootWaits, type Waits } from './waits.ts';

/** How one root reads another: element by element at its own place, or in any other way. */
export type Read = 'same place' | 'elsewhere';

export interface Boundaries {
  /** Nodes that get memory, in topological order. */
  readonly roots: readonly Node[];
  /** For each root, the roots that it reads. */
  readonly reads: ReadonlyMap<number, ReadonlyMap<number, Read>>;
  /** Roots whose kernel computes reductions on its way. */
  readonly withReductions: ReadonlySet<number>;
  /** For each root that is held back (see `after` in the graph), the roots to compute before it. */
  readonly waits: ReadonlyMap<number, ReadonlySet<number>>;
}

/** An expression of at least this many instructions is not computed twice. */
const WORTH_STORING = 2;
/** Nor is one of this many repeated over rows, unless all repetitions are few. */
const WORTH_STORING_REPEATED = 4;
const FEW_INSTRUCTIONS = 2 ** 17;

/**
 * Decides which nodes get memory. All others are computed inside the kernels that use them:
 * pointwise chains always, reductions where the using kernel needs each of their results once.
 */
export function chooseBoundaries(
  order: readonly Node[],
  outputs: readonly Node[],
  fuse: boolean,
  waits: Waits = new Map(),
): Boundaries {
  const roots = firstRoots(order, outputs, fuse);
  const reads = new Map<number, ReadonlyMap<number, Read>>();
  const withReductions = new Set<number>();
  // Users come before their sources: a reduction that becomes a root is visited later.
  for (const node of [...order].reverse()) {
    if (!roots.has(node.id)) continue;
    const seen = inspect(node, roots);
    reads.set(node.id, seen.reads);
    if (seen.reductions) withReductions.add(node.id);
  }
  const stored = order.filter((n) => roots.has(n.id));
  return { roots: stored, reads, withReductions, waits: rootWaits(stored, waits) };
}

function firstRoots(order: readonly Node[], outputs: readonly Node[], fuse: boolean): Set<number> {
  const roots = new Set(outputs.map((n) => n.id));
  const consumers = new Map<number, Set<number>>();
  const users = new Map<number, number>();
  /** Elements that repetitions ask for, by node. */
  const repeated = new Map<number, number>();
  const operands = new Set<number>();
  const costs = fusedCosts(order);
  const consumersOf = (node: Node) => {
    let set = consumers.get(node.id);
    if (!set) {
      set = new Set();
      consumers.set(node.id, set);
    }
    return set;
  };
  for (const node of order) for (const s of node.src) users.set(s.id, (users.get(s.id) ?? 0) + 1);
  const soleDot = (node: Node) => node.src.some((s) => s.op === 'dot' && users.get(s.id) === 1);
  for (const node of [...order].reverse()) {
    const kind = opClass(node);
    const shared = consumersOf(node).size > 1;
    const cost = costs.get(node.id) ?? 0;
    const worthwhile =
      kind === 'template' ||
      (kind === 'reduce' && shared) ||
      (kind === 'pointwise' &&
        (shared || operands.has(node.id)) &&
        (cost >= WORTH_STORING || soleDot(node))) ||
      (kind === 'pointwise' &&
        cost >= WORTH_STORING_REPEATED &&
        cost * (repeated.get(node.id) ?? 0) >= FEW_INSTRUCTIONS) ||
      (!fuse && (kind === 'pointwise' || kind === 'reduce'));
    if (worthwhile && !(fuse && isLimited(node))) roots.add(node.id);
    const through = roots.has(node.id) ? [node.id] : [...consumersOf(node)];
    for (const source of node.src) for (const id of through) consumersOf(source).add(id);
    if (node.op === 'expand' && repeatsRows(node)) {
      const source = belowMoves(node);
      repeated.set(source.id, Math.max(repeated.get(source.id) ?? 0, sizeOf(node.shape)));
    }
    // A template reads its operands block by block, some of them several times.
    if (kind === 'template') {
      for (const s of readOften(node)) operands.add(operandOf(s).id);
      for (const padded of node.src.map(operandOf)) {
        if (opClass(padded) === 'move') roots.add(padded.id);
      }
    }
    // Windows that overlap read what lies below them several times.
    if ((node.op === 'window' || node.op === 'spread') && node.src[0].op === 'expand') {
      operands.add(belowMoves(node).id);
    }
    if (node.op === 'gather') markGathered(node.src[0], roots);
  }
  return roots;
}

/** An integer limited by a constant: the bounds of an index are known where they are computed. */
function isLimited(node: Node): boolean {
  if (node.op !== 'binary' || node.dtype !== 'i32') return false;
  const { fn } = node.arg;
  if (fn !== 'min' && fn !== 'max') return false;
  return node.src.some((source) => constantValue(source) !== undefined);
}

/**
 * What a template reads several times: not the weights of few rows, nor what is scanned or sorted,
 * of which each element is read but once.
 */
function readOften(node: Node): readonly Node[] {
  if (node.op === 'scan' || node.op === 'sort') return [];
  if (node.op === 'call' && TEMPLATES.get(node.arg.name)?.readsOnce) return [];
  return node.op === 'dot' && hasFewRows(node) ? node.src.slice(0, 1) : node.src;
}

/** An expansion of an outer axis computes its source again for every row. */
function repeatsRows(node: Node): boolean {
  const from = node.src[0].shape;
  const expanded = from.findIndex((dim, axis) => dim === 1 && node.shape[axis] !== 1);
  return expanded >= 0 && from.slice(expanded).some((dim) => dim !== 1);
}

/**
 * What a template reads: what is below an operand's movements, or padding under a window. That one
 * is stored (a border more than its source): its masks would be asked at every place of the window.
 */
function operandOf(node: Node): Node {
  let source = node;
  let windowed = false;
  while (opClass(source) === 'move' && !(windowed && hasMask(source))) {
    windowed ||= source.op === 'window';
    source = source.src[0];
  }
  return source;
}

function belowMoves(node: Node): Node {
  let source = node;
  while (opClass(source) === 'move') source = source.src[0];
  return source;
}

/** What is gathered from may be read many times: reductions in it must not be repeated. */
function markGathered(source: Node, roots: Set<number>): void {
  const reaches = topological([source], (n) => roots.has(n.id) || opClass(n) === 'reduce');
  for (const node of reaches) if (opClass(node) === 'reduce') roots.add(node.id);
}

/** The index of a whole shape: one loop an axis, none for axes of size 1. */
export function domainIndex(node: Node, firstId: number): Index[] {
  return node.shape.map((dim, axis) => {
    if (dim === 1) return ZERO;
    const id = firstId + axis;
    return atomIndex({ kind: 'loop', id, extent: dimIndex(dim), key: `i${id}` });
  });
}

/**
 * Walks from a root down to what it reads, pushing its index through. Reductions that would be
 * computed more often than once for each result become roots themselves.
 */
function inspect(
  root: Node,
  roots: Set<number>,
): { reads: Map<number, Read>; reductions: boolean } {
  const reads = new Map<number, Read>();
  const visited = new Set<string>();
  const evaluated = new Map<number, string>();
  let reductions = false;
  let nextId = root.shape.length;
  const domain = domainIndex(root, 0);
  const domainKey = domain.map((i) => i.key).join();
  const mayReduce = opClass(root) !== 'template';

  /** A summand has become a root: what was found below it is another kernel's. */
  let again = false;

  const visit = (node: Node, index: readonly Index[], around?: Node): void => {
    const where = index.map((i) => i.key).join();
    const key = `${node.id}@${where}`;
    if (visited.has(key)) return;
    visited.add(key);
    if (node !== root && roots.has(node.id)) {
      const same = where === domainKey && node.shape.length === root.shape.length;
      if (!same || reads.get(node.id) === 'elsewhere') reads.set(node.id, 'elsewhere');
      else reads.set(node.id, 'same place');
      return;
    }
    switch (opClass(node)) {
      case 'leaf':
        return;
      case 'move':
        visit(node.src[0], pushIndex(node, index).index, around);
        return;
      case 'pointwise':
        if (node.op === 'gather') visitGather(node, index, around);
        else if (node.op === 'quantize' || node.op === 'dequantize') {
          for (const read of quantizedReads(node, index)) visit(read.source, read.index, around);
        } else for (const source of node.src) visit(source, index, around);
        return;
      case 'reduce':
        if (node !== root) {
          const once =
            mayReduce &&
            oncePerResult(root, node, index) &&
            (evaluated.get(node.id) ?? where) === where;
          const summand = around && summandToStore(around, node);
          if (!once && summand) {
            roots.add(summand.id);
            again = true;
            return;
          }
          if (!once) {
            roots.add(node.id);
            reads.set(node.id, 'elsewhere');
            return;
          }
          evaluated.set(node.id, where);
          reductions = true;
        }
        visitReduce(node, index);
        return;
      case 'template':
        visitTemplate(node);
        return;
    }
  };
  const fresh = (dim: Node['shape'][number]): Index => {
    const id = nextId++;
    return atomIndex({ kind: 'loop', id, extent: dimIndex(dim), key: `i${id}` });
  };
  const visitReduce = (node: Node, index: readonly Index[]) => {
    if (node.op !== 'reduce') return;
    const [x] = node.src;
    visit(
      x,
      x.shape.map((dim, axis) => (node.arg.axes.includes(axis) ? fresh(dim) : index[axis])),
      node,
    );
  };
  const visitGather = (node: Node, index: readonly Index[], around?: Node) => {
    if (node.op !== 'gather') return;
    visit(node.src[1], index, around);
    const data = atomIndex({
      kind: 'data',
      value: node.id,
      size: maxDim(node.src[0].shape[node.arg.axis]),
      key: `d${node.id}`,
    });
    visit(
      node.src[0],
      index.map((i, axis) => (axis === node.arg.axis ? data : i)),
      around,
    );
  };
  /** A template reads its sources over their own domains. */
  const visitTemplate = (node: Node) => {
    for (const source of node.src) {
      const at = source.shape.map((dim) => (dim === 1 ? ZERO : fresh(dim)));
      visit(source, at);
    }
  };
  visit(root, domain);
  return again ? inspect(root, roots) : { reads, reductions };
}

/**
 * A mean of what is itself made of reductions (of losses): storing each summand takes one kernel and
 * one array, where storing the reductions below it would take several. Undefined where summands are
 * more than the results below.
 */
function summandToStore(outer: Node, inner: Node): Node | undefined {
  const summand = belowMoves(outer.src[0]);
  const fits = sizeOf(outer.src[0].shape) <= sizeOf(inner.shape);
  return fits && opClass(summand) === 'pointwise' ? summand : undefined;
}

/** True when a reduction's index uses just the outer axes of the root: one result for each turn. */
function oncePerResult(root: Node, node: Node, index: readonly Index[]): boolean {
  let last = -1;
  let foreign = false;
  for (const i of index) {
    visitAtoms(i, (atom) => {
      if (atom.kind === 'loop' && atom.id < root.shape.length) last = Math.max(last, atom.id);
      else if (atom.kind === 'loop' || atom.kind === 'data') foreign = true;
    });
  }
  return !foreign && sizeOf(root.shape.slice(0, last + 1)) === sizeOf(node.shape);
}
