import * as g from '../ir/graph/build.ts';
import type { Handle } from './handle.ts';
import { Lazy } from './lazy.ts';

/** @internal The same value behind a wall for gradients. */
export function stopGradientOf<H extends Handle>(handle: H, wrap: (lazy: Lazy) => H): H {
  const node = g.mark(handle.node, [], { kind: 'stop' });
  return wrap(new Lazy(handle.device, node, [handle.lazy]));
}
