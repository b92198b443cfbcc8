import type { Node } from './types.ts';

/**
 * All nodes that the outputs need, sources before users. Iterative: graphs may be deep.
 *
 * @param isLeaf nodes below which the walk does not go
 */
export function topological(
  outputs: readonly Node[],
  isLeaf: (node: Node) => boolean = () => false,
): Node[] {
  const order: Node[] = [];
  const state = new Map<number, 'open' | 'done'>();
  const stack = [...outputs].reverse();
  while (stack.length > 0) {
    const node = stack[stack.length - 1];
    const seen = state.get(node.id);
    if (seen === undefined) {
      state.set(node.id, 'open');
      if (isLeaf(node)) continue;
      for (let i = node.src.length - 1; i >= 0; i--) {
        if (!state.has(node.src[i].id)) stack.push(node.src[i]);
      }
      continue;
    }
    stack.pop();
    if (seen === 'open') {
      state.set(node.id, 'done');
      order.push(node);
    }
  }
  return order;
}
