import { rebuild } from '../../ir/graph/rebuild.ts';
import { topological } from '../../ir/graph/traverse.ts';
import type { Node } from '../../ir/graph/types.ts';

/** For nodes that are held back (by id), what must be known before they are computed. */
export type Waits = ReadonlyMap<number, readonly Node[]>;

/**
 * Takes the `after` nodes out of a graph and remembers who stood behind them. Comes after the last
 * pass that joins equal nodes: `after` is what tells a second computation from the first.
 */
export function dropWaits(outputs: readonly Node[]): { outputs: Node[]; waits: Waits } {
  const tokensOf = new Map<number, readonly Node[]>();
  const waits = new Map<number, readonly Node[]>();
  const bare = rebuild(outputs, (node, original) => {
    const held = original.src.flatMap((source) => tokensOf.get(source.id) ?? []);
    if (original.op === 'after') {
      tokensOf.set(original.id, [...held, ...node.src.slice(1)]);
      return node.src[0];
    }
    if (held.length > 0) waits.set(node.id, held);
    return node;
  });
  return { outputs: bare, waits };
}

/**
 * The waits of nodes as an order of roots: a root waits where a node that is computed inside its
 * kernel does, and it waits for the roots that hold or feed what is waited for.
 *
 * @param roots nodes that get memory
 */
export function rootWaits(
  roots: readonly Node[],
  waits: Waits,
): ReadonlyMap<number, ReadonlySet<number>> {
  const found = new Map<number, ReadonlySet<number>>();
  if (waits.size === 0) return found;
  const isRoot = new Set(roots.map((r) => r.id));
  const feeding = new Map<number, readonly number[]>();
  const rootsBelow = (token: Node): readonly number[] => {
    let known = feeding.get(token.id);
    if (!known) {
      const cone = topological([token], (n) => isRoot.has(n.id));
      known = cone.filter((n) => isRoot.has(n.id)).map((n) => n.id);
      feeding.set(token.id, known);
    }
    return known;
  };
  for (const root of roots) {
    const isOwn = (node: Node) => node === root || !isRoot.has(node.id);
    const own = topological([root], (node) => !isOwn(node)).filter(isOwn);
    const before = new Set(own.flatMap((n) => waits.get(n.id) ?? []).flatMap(rootsBelow));
    if (before.size > 0) found.set(root.id, before);
  }
  return found;
}
