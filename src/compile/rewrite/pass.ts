import type { Node } from '../../ir/graph/types.ts';

/**
 * A graph-to-graph rewrite: sees each node with its sources already rewritten, and gives what stands
 * in its place. Except for `stability`, `longReductions` and `wideScatters`, whose comments say what
 * they change, rewrites keep every value to the bit, also -0, NaN and infinities (of a NaN, that it
 * is one).
 */
export interface Pass {
  readonly name: string;
  /** Made anew for each run: a pass may remember nodes. */
  readonly start: () => (node: Node) => Node;
}
