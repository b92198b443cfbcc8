import { nextNodeId } from '../ir/graph/build.ts';
import { checkpointRegion } from '../ir/graph/checkpoint.ts';
import type { Tensor } from './tensor.ts';
import { requireSync } from './trace.ts';
import { mapTensors } from './tree.ts';

/**
 * The same function, whose intermediates are computed again when its gradients are, instead of being
 * kept from the forward pass (Chen et al. 2016): less memory for one more forward computation. Worth
 * it in a jitted step, around each block of a deep model; all tensors and parameters that the function
 * reads get their gradients as without it. Values keep every bit, and so do the gradients of a function
 * with one result.
 *
 * @param f from anything to a tensor or a structure of tensors; called once for each call
 * @example const h = blocks.reduce((x, block) => checkpoint((y: Tensor) => block.forward(y))(x), x0);
 */
export function checkpoint<A extends unknown[], T>(f: (...args: A) => T): (...args: A) => T {
  return (...args) => {
    const start = nextNodeId();
    const result = requireSync('checkpoint', f(...args));
    const outputs: Tensor[] = [];
    mapTensors(result, (tensor) => outputs.push(tensor));
    const marked = checkpointRegion(
      outputs.map((tensor) => tensor.node),
      start,
    );
    let next = 0;
    return mapTensors(result, (tensor) => tensor.derive(marked[next++])) as T;
  };
}
