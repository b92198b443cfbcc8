import { nodeKey } from '../../ir/graph/print.ts';
import { topological } from '../../ir/graph/traverse.ts';
import type { Node } from '../../ir/graph/types.ts';
import type { KernelPlan } from './group-kernel.ts';

/** What a kernel depends on as text, and the nodes in memory that it reads, in order. */
export interface GroupKey {
  readonly key: string;
  /** The stored roots, then what is read, by first occurrence. */
  readonly nodes: readonly Node[];
}

/** Groups of equal keys have the same kernel: each layer's group is lowered once. */
export function groupKey(plan: KernelPlan, hasBuffer: (node: Node) => boolean): GroupKey {
  const own = new Set(plan.roots.map((r) => r.id));
  const isRead = (node: Node) => !own.has(node.id) && hasBuffer(node);
  const order = topological(plan.stored, isRead);
  const numbers = new Map(order.map((node, i) => [node.id, i]));
  const lines = order.map((node) => nodeKey(node, numbers, isRead(node)));
  const roots = (list: readonly Node[]) => list.map((n) => numbers.get(n.id)).join();
  const core = plan.core ? numbers.get(plan.core.id) : '';
  const key = `${lines.join('\n')}\n>${roots(plan.stored)}|${roots(plan.roots)}|${core}`;
  return { key, nodes: [...plan.stored, ...order.filter(isRead)] };
}
