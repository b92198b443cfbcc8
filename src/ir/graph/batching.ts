import { bufferNode, build } from './build.ts';
import { OPS } from './ops/table.ts';
import { topological } from './traverse.ts';
import type { Backward, BatchBuild, Node, NodeOf, OpName, OpRule } from './types.ts';

const rules: BatchBuild = { ...build, batched: batchGraph };

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
  const wide = batchDependents(outputs, batched, size);
  return outputs.map((node, i) => wide[i] ?? repeat(node, size));
}

/** As `batchGraph`, but undefined for outputs that depend on no batched input. */
export function batchDependents(
  outputs: readonly Node[],
  batched: ReadonlyMap<number, Node>,
  size: number,
): (Node | undefined)[] {
  const replaced = new Map<number, Node>(batched);
  const lift = (node: Node): Node => replaced.get(node.id) ?? repeat(node, size);
  for (const node of topological(outputs)) {
    if (replaced.has(node.id) || !node.src.some((s) => replaced.has(s.id))) continue;
    if (node.op === 'mark') {
      replaced.set(node.id, batchMark(node, replaced, size));
      continue;
    }
    const rule = OPS[node.op] as OpRule<OpName>;
    replaced.set(node.id, rule.batch(rules, node, node.src.map(lift), size));
  }
  return outputs.map((node) => replaced.get(node.id));
}

/** The same value for every member. */
export function repeat(node: Node, size: number): Node {
  const single = build.reshape(node, [1, ...node.shape]);
  return build.expand(single, [size, ...node.shape]);
}

function batchMark(node: NodeOf<'mark'>, replaced: Map<number, Node>, size: number): Node {
  const { rule } = node.arg;
  const [value, ...inputs] = node.src;
  const lift = (source: Node): Node => replaced.get(source.id) ?? repeat(source, size);
  if (rule.kind === 'custom') {
    const backward = batchBackward(rule.backward, replaced, size);
    return build.mark(lift(value), inputs.map(lift), { kind: 'custom', backward });
  }
  // The inputs are where a region ends: a repeated one would be another node than the value reads.
  const bounds = inputs.map((source) => replaced.get(source.id) ?? source);
  return build.mark(lift(value), bounds, rule);
}

/** A rule for one member as a rule for all: built for stand-ins of one member, then batched. */
function batchBackward(
  backward: Backward,
  replaced: ReadonlyMap<number, Node>,
  size: number,
): Backward {
  return (upstream, inputs, output) => {
    const known = new Map(replaced);
    const member = (wide: Node): Node => {
      const single = bufferNode(wide.dtype, wide.shape.slice(1), 'member of a batch');
      known.set(single.id, wide);
      return single;
    };
    const parts = backward(member(upstream), inputs.map(member), member(output));
    const present = parts.filter((part) => part !== null);
    const wide = batchGraph(present, known, size);
    let next = 0;
    return parts.map((part) => (part ? wide[next++] : null));
  };
}
