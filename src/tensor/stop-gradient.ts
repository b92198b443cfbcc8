import { makeTyped } from '../ir/graph/build.ts';
import type { Node } from '../ir/graph/types.ts';
import type { Handle } from './handle.ts';
import { Lazy } from './lazy.ts';

/** Nodes through which gradients do not flow. Weak: a node that is gone needs no entry. */
const stopped = new WeakSet<Node>();

/** @internal The same value behind a wall for gradients. */
export function stopGradient<H extends Handle>(handle: H, wrap: (lazy: Lazy) => H): H {
  const { node } = handle;
  // A copy of the node, so that the original's own gradient is left alone; the compiler's common
  // subexpressions join the two again.
  const copy =
    node.op === 'buffer'
      ? makeTyped('cast', node.dtype, node.shape, [node], { to: node.dtype })
      : makeTyped(node.op, node.dtype, node.shape, node.src, node.arg);
  stopped.add(copy);
  return wrap(new Lazy(handle.device, copy, [handle.lazy]));
}

/** @internal */
export function isStopped(node: Node): boolean {
  return stopped.has(node);
}
