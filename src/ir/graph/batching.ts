import { build } from './build.ts';
import { OPS } from './ops/table.ts';
import { topological } from './traverse.ts';
import type { Node, OpName, OpRule } from './types.ts';

/**
 * The graph over a whole batch at once (what vmap does): every node that depends on a batched input
 * gets one more axis in front.
 *
 * @param outputs nodes of the graph for one member
 * @param batched for inputs (by node id) the node that holds all members, axis 0 being the batch
 * @param size members of the batch
 * @returns outputs of shape [size, ...]; those that depend on no batched input are repeated
 */
export function batchGraph(
  outputs: readonly Node[],
  batched: ReadonlyMap<number, Node>,
  size: number,
): Node[] {
  const replaced = new Map<number, Node>(batched);
  const lift = (node: Node): Node => {
    const known = replaced.get(node.id);
    if (known) return known;
    const single = build.reshape(node, [1, ...node.shape]);
    return build.expand(single, [size, ...node.shape]);
  };
  for (const node of topological(outputs)) {
    if (replaced.has(node.id) || !node.src.some((s) => replaced.has(s.id))) continue;
    const rule = OPS[node.op] as OpRule<OpName>;
    replaced.set(node.id, rule.batch(build, node, node.src.map(lift), size));
  }
  return outputs.map(lift);
}
