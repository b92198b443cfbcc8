import type { Node, NodeOf } from '../../ir/graph/types.ts';
import { shapesEqual } from '../../ir/shape.ts';
import { sharesKernel, TEMPLATES } from '../kernels/templates.ts';
import { opClass } from '../op-class.ts';
import type { Boundaries } from './boundaries.ts';

export type Core = NodeOf<'dot'> | NodeOf<'call'>;

/** What one kernel computes. */
export interface Group {
  /** Roots in topological order: several calls of one family, or nodes of one shape. */
  readonly roots: readonly Node[];
  /** The contraction or call whose result the roots take in registers, if any. */
  readonly core: Core | undefined;
  /** The roots that must be stored: others use them, or they are outputs. */
  readonly stored: readonly Node[];
}

interface Draft {
  roots: Node[];
  core: Core | undefined;
}

/**
 * Joins roots into kernels: a contraction with the pointwise root that alone uses it (its
 * epilogue), and pointwise roots with the one of the same shape that reads them in place (an
 * optimiser's moments and its new parameter). A join must not close a circle between kernels.
 */
export function joinGroups(
  boundaries: Boundaries,
  outputs: ReadonlySet<number>,
  fuse: boolean,
): Group[] {
  const { roots, reads, withReductions, waits } = boundaries;
  const groupOf = new Map<number, Draft>();
  for (const root of roots) {
    groupOf.set(root.id, { roots: [root], core: coreOf(root) });
  }
  const group = (id: number): Draft => groupOf.get(id) as Draft;
  const readers = invert(reads);
  const sourcesOf = (draft: Draft): Set<Draft> => {
    const set = new Set<Draft>();
    for (const root of draft.roots) {
      for (const id of reads.get(root.id)?.keys() ?? []) set.add(group(id));
      for (const id of waits.get(root.id) ?? []) set.add(group(id));
    }
    set.delete(draft);
    return set;
  };
  /** True when `from` is reached from `to` against the arrows through a third group. */
  const reachedThroughOthers = (from: Draft, to: Draft): boolean => {
    const seen = new Set<Draft>([to]);
    const stack = [...sourcesOf(to)].filter((g) => g !== from);
    while (stack.length > 0) {
      const next = stack.pop() as Draft;
      if (seen.has(next)) continue;
      seen.add(next);
      for (const source of sourcesOf(next)) {
        if (source === from) return true;
        stack.push(source);
      }
    }
    return false;
  };
  const merge = (producer: Node, consumer: Node): void => {
    const [p, c] = [group(producer.id), group(consumer.id)];
    c.roots = [...p.roots, ...c.roots];
    c.core ??= p.core;
    for (const root of p.roots) groupOf.set(root.id, c);
  };
  const join = (producer: Node, consumer: Node): void => {
    const [p, c] = [group(producer.id), group(consumer.id)];
    if (p === c || (p.core && c.core)) return;
    const core = p.core ?? c.core;
    // What a contraction hands over is one element at a time: no reductions beside it.
    if (core && [...p.roots, ...c.roots].some((r) => withReductions.has(r.id))) return;
    if (reachedThroughOthers(p, c)) return;
    merge(producer, consumer);
  };
  const calls = roots.filter((root) => root.op === 'call');
  calls.forEach((call, i) => {
    const sibling = calls.slice(0, i).find((other) => sharesKernel(other, call));
    if (sibling) merge(sibling, call);
  });
  if (fuse) {
    for (const root of roots) {
      if (opClass(root) !== 'pointwise') continue;
      for (const [id, read] of reads.get(root.id) ?? []) {
        const producer = group(id).roots.find((r) => r.id === id);
        if (!producer || read !== 'same place' || !shapesEqual(producer.shape, root.shape))
          continue;
        const alone = readers.get(id)?.size === 1 && !outputs.has(id);
        if (coreOf(producer) ? alone : opClass(producer) === 'pointwise') join(producer, root);
      }
    }
  }
  const position = new Map(roots.map((r, i) => [r.id, i]));
  const drafts = besideSiblings(
    orderGroups([...new Set(roots.map((r) => group(r.id)))], sourcesOf),
    sourcesOf,
  );
  return drafts.map((draft) => {
    const sorted = draft.roots.sort(
      (a, b) => (position.get(a.id) ?? 0) - (position.get(b.id) ?? 0),
    );
    const stored = sorted.filter((root) => {
      const outside = [...(readers.get(root.id) ?? [])].some((id) => group(id) !== draft);
      return outside || outputs.has(root.id);
    });
    return { roots: sorted, core: draft.core, stored };
  });
}

/** A node whose result pointwise work may take before it is stored. */
function coreOf(node: Node): Core | undefined {
  if (node.op === 'call') return TEMPLATES.get(node.arg.name)?.takesEpilogue ? node : undefined;
  return node.op === 'dot' ? node : undefined;
}

function invert(reads: Boundaries['reads']): Map<number, Set<number>> {
  const readers = new Map<number, Set<number>>();
  for (const [reader, sources] of reads) {
    for (const id of sources.keys()) {
      const set = readers.get(id) ?? new Set();
      readers.set(id, set.add(reader));
    }
  }
  return readers;
}

/**
 * Moves calls that read one source (products of the same activations) behind each other, where all
 * that they need is there: threads then do not wait between them.
 */
function besideSiblings(
  ordered: readonly Draft[],
  sourcesOf: (d: Draft) => Set<Draft>,
): readonly Draft[] {
  const result: Draft[] = [];
  /** The last group that reads a shared source, by its node. */
  const siblings = new Map<number, Draft>();
  for (const draft of ordered) {
    const node = sharedSource(draft);
    const sibling = node && siblings.get(node.id);
    const at = sibling ? result.indexOf(sibling) + 1 : result.length;
    const isThere = (source: Draft) => result.indexOf(source) < at;
    const fits = sibling !== undefined && [...sourcesOf(draft)].every(isThere);
    result.splice(fits ? at : result.length, 0, draft);
    if (node) siblings.set(node.id, draft);
  }
  return result;
}

function sharedSource({ roots }: Draft): Node | undefined {
  const call = roots.find((root) => root.op === 'call');
  const number = call && TEMPLATES.get(call.arg.name)?.sharedSource;
  return number === undefined ? undefined : call?.src[number];
}

/** Sources before readers. */
function orderGroups(drafts: readonly Draft[], sourcesOf: (d: Draft) => Set<Draft>): Draft[] {
  const ordered: Draft[] = [];
  const done = new Set<Draft>();
  const stack = [...drafts].reverse();
  while (stack.length > 0) {
    const draft = stack[stack.length - 1];
    const waiting = done.has(draft) ? [] : [...sourcesOf(draft)].filter((s) => !done.has(s));
    if (waiting.length > 0) {
      stack.push(...waiting);
      continue;
    }
    stack.pop();
    if (!done.has(draft)) {
      done.add(draft);
      ordered.push(draft);
    }
  }
  return ordered;
}
