import { isFloat } from '../ir/dtype.ts';
import * as g from '../ir/graph/build.ts';
import { gradientGraph } from '../ir/graph/gradient.ts';
import { formatShape } from '../ir/shape.ts';
import { Lazy } from './lazy.ts';
import { isStopped } from './stop-gradient.ts';
import { Tensor } from './tensor.ts';
import { type GradientsOf, mapLeaves } from './tree.ts';

/** A scalar function's value and its gradients by the first argument, in that one's structure. */
export interface ValueAndGrad<A> {
  readonly value: Tensor;
  readonly grads: GradientsOf<A>;
}

/**
 * Gradients of an output by inputs, weighted by `upstream` (the vector-Jacobian product). The
 * results are ordinary lazy tensors: they can be differentiated again.
 *
 * @param outputs tensors computed from the inputs
 * @param upstreams a weight for each element of each output, of its shape
 */
export function vjp(
  outputs: readonly Tensor[],
  upstreams: readonly Tensor[],
  inputs: readonly Tensor[],
): Tensor[] {
  for (const input of inputs) {
    if (!isFloat(input.dtype)) {
      throw new TypeError(`grad: an input is ${input.dtype}; expected floats`);
    }
  }
  const nodes = gradientGraph(
    outputs.map((o) => o.node),
    upstreams.map((u) => u.node),
    inputs.map((i) => i.node),
    isStopped,
  );
  // Gradients read what the outputs were computed from, also after an output itself is realised.
  const sources = leaves([...outputs, ...upstreams, ...inputs].map((t) => t.lazy));
  return nodes.map((node, i) => new Tensor(new Lazy(inputs[i].device, node, sources)));
}

/** The values in memory that lazies are computed from. */
function leaves(lazies: readonly Lazy[]): Lazy[] {
  const found = new Set<Lazy>();
  const seen = new Set<Lazy>();
  const stack = [...lazies];
  while (stack.length > 0) {
    const lazy = stack.pop() as Lazy;
    if (seen.has(lazy)) continue;
    seen.add(lazy);
    if (lazy.storage) found.add(lazy);
    stack.push(...lazy.sources);
  }
  return [...found];
}

/**
 * Turns a function with a scalar result into one that also gives the gradients by its first
 * argument: a tensor, a model (by parameter names), or a structure of tensors. Reverse mode.
 *
 * @example const { value, grads } = valueAndGrad((m: Llama) => m.loss(tokens))(model)
 */
export function valueAndGrad<A, R extends unknown[]>(
  f: (argument: A, ...rest: R) => Tensor,
): (argument: A, ...rest: R) => ValueAndGrad<A> {
  return (argument, ...rest) => {
    const inputs: Tensor[] = [];
    mapLeaves(argument, (leaf) => {
      inputs.push(leaf);
      return leaf;
    });
    const value = f(argument, ...rest);
    if (!(value instanceof Tensor) || value.size !== 1 || !isFloat(value.dtype)) {
      const got =
        value instanceof Tensor ? `${value.dtype}${formatShape(value.shape)}` : typeof value;
      throw new TypeError(`grad: the function returned ${got}; expected a float scalar tensor`);
    }
    const one = new Tensor(new Lazy(value.device, g.constLike(value.node, 1), []));
    const results = vjp([value], [one], inputs);
    let next = 0;
    const grads = mapLeaves(argument, () => results[next++]) as GradientsOf<A>;
    return { value, grads };
  };
}

/** The gradients alone; see `valueAndGrad`. `grad(grad(f))` works. */
export function grad<A, R extends unknown[]>(
  f: (argument: A, ...rest: R) => Tensor,
): (argument: A, ...rest: R) => GradientsOf<A> {
  const both = valueAndGrad(f);
  return (argument, ...rest) => both(argument, ...rest).grads;
}
