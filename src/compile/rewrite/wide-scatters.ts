import { isSmallFloat } from '../../ir/float-formats.ts';
import { cast, scatter } from '../../ir/graph/build.ts';
import type { Pass } from './pass.ts';

/** Sums of small floats are sums of f32, rounded once; a scatter sums in the memory of its result. */
export const wideScatters: Pass = {
  name: 'wide scatters',
  start: () => (node) => {
    if (node.op !== 'scatter' || node.arg.mode !== 'add' || !isSmallFloat(node.dtype)) return node;
    const [x, index, updates] = node.src;
    const sums = scatter(cast(x, 'f32'), index, cast(updates, 'f32'), node.arg.axis, 'add');
    return cast(sums, node.dtype);
  },
};
