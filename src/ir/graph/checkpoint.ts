import { after, mark } from './build.ts';
import { substitute } from './rebuild.ts';
import { topological } from './traverse.ts';
import type { Node, NodeOf } from './types.ts';

let nextRegion = 1;

/**
 * Marks nodes as the results of a region whose intermediates are not kept for its gradients.
 *
 * @param start the id of the first node that belongs to the region; older nodes are its inputs
 */
export function checkpointRegion(outputs: readonly Node[], start: number): Node[] {
  const isInput = (node: Node) => node.id < start || node.op === 'buffer';
  const inputs = topological(outputs, isInput).filter(isInput);
  const region = nextRegion++;
  return outputs.map((output) => mark(output, inputs, { kind: 'checkpoint', region }));
}

/** Results of one region over the same inputs have equal keys. */
export function regionKey({ arg, src }: NodeOf<'mark'>): string {
  const region = arg.rule.kind === 'checkpoint' ? arg.rule.region : '';
  return `${region}:${src
    .slice(1)
    .map((s) => s.id)
    .join()}`;
}

/**
 * A region computed once more, from inputs that wait for the upstream gradients: so no pass takes
 * the copy for the original, and it is not computed before its gradients are.
 *
 * @returns the copies of the results, and the inputs they were computed from
 */
export function recompute(
  results: readonly NodeOf<'mark'>[],
  upstreams: readonly Node[],
): { values: Node[]; inputs: Node[] } {
  const [, ...bounds] = results[0].src;
  const inputs = bounds.map((bound) => after(bound, upstreams));
  const others = new Map(bounds.map((bound, i) => [bound.id, inputs[i]]));
  const values = substitute(
    results.map((r) => r.src[0]),
    others,
  );
  return { values, inputs };
}
