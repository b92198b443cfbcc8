import { constantValue } from './constants.ts';
import type { Pass } from './pass.ts';

/** Marks have done their work when a graph is compiled, and constants can be had at any time. */
export const unmarked: Pass = {
  name: 'marks left out',
  start: () => (node) => {
    const isNoBarrier = node.op === 'after' && constantValue(node.src[0]) !== undefined;
    return node.op === 'mark' || isNoBarrier ? node.src[0] : node;
  },
};
