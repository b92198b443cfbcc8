import { makeTyped } from './build.ts';
import { topological } from './traverse.ts';
import type { Node } from './types.ts';

/** The same node over other sources of the same types. */
export function withSources(node: Node, src: readonly Node[]): Node {
  if (src.every((s, i) => s === node.src[i])) return node;
  return makeTyped(node.op, node.dtype, node.shape, src, node.arg);
}

/**
 * Copies what the outputs need, replacing nodes: `rule` sees each node with its sources already
 * replaced and gives what stands in its place (or the node itself).
 */
export function rebuild(
  outputs: readonly Node[],
  rule: (node: Node, original: Node) => Node,
): Node[] {
  const replaced = new Map<number, Node>();
  const lookup = (node: Node): Node => replaced.get(node.id) ?? node;
  for (const node of topological(outputs)) {
    replaced.set(node.id, rule(withSources(node, node.src.map(lookup)), node));
  }
  return outputs.map(lookup);
}

/** Copies outputs with other nodes (by the ids of those they replace) in some places. */
export function substitute(outputs: readonly Node[], others: ReadonlyMap<number, Node>): Node[] {
  const replaced = new Map(others);
  const lookup = (node: Node): Node => replaced.get(node.id) ?? node;
  for (const node of topological(outputs, (n) => others.has(n.id))) {
    if (!replaced.has(node.id)) replaced.set(node.id, withSources(node, node.src.map(lookup)));
  }
  return outputs.map(lookup);
}
