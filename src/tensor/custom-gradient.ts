import { badArgument } from '../base/errors.ts';
import { isFloat } from '../ir/dtype.ts';
import * as g from '../ir/graph/build.ts';
import type { Backward, Node } from '../ir/graph/types.ts';
import { formatShape, shapesEqual } from '../ir/shape.ts';
import { autocast, presentPrecision } from './autocast.ts';
import { differentiatedSources, useInGradients } from './backward-sources.ts';
import { Lazy } from './lazy.ts';
import { Tensor } from './tensor.ts';
import { requireSync } from './trace.ts';
import { mapTensors } from './tree.ts';

/**
 * Gradients of the inputs: one tensor for each, of its shape and type; null where there is none. Of
 * a single input the tensor itself will do.
 */
export type InputGradients = Tensor | readonly (Tensor | null)[];

/**
 * A function of tensors whose gradient is given, not derived: straight-through estimators, clipped
 * or reversed gradients, a formula that is more exact than the derived one. `backward` is written
 * in tensors, so it can be differentiated, batched and compiled itself.
 *
 * @param f from input tensors to one tensor; nothing else that it uses gets a gradient
 * @param backward gets the upstream gradient (of the output's shape), the inputs and the output
 * @throws TypeError from differentiation, where f uses a tensor beside its inputs that is
 *   differentiated by, or a gradient has another shape or type than its input
 *
 * @example
 * const roundThrough = customGradient((x: Tensor) => x.round(), (upstream) => upstream);
 */
export function customGradient<A extends Tensor[]>(
  f: (...inputs: A) => Tensor,
  backward: (upstream: Tensor, inputs: A, output: Tensor) => InputGradients,
): (...inputs: A) => Tensor {
  return (...inputs) => {
    inputs.forEach((input, i) => {
      if (!(input instanceof Tensor))
        throw badArgument('customGradient', `input ${i}`, input, 'a tensor');
    });
    const output = requireSync('customGradient', f(...inputs));
    if (!(output instanceof Tensor))
      throw badArgument('customGradient', 'result', output, 'a tensor');
    const { device } = output;
    const precision = presentPrecision();
    const tensorOf = (node: Node) => new Tensor(new Lazy(device, node, differentiatedSources()));
    const rule: Backward = (upstream, sources, result) => {
      const found = requireSync(
        'customGradient',
        autocast(precision, () =>
          backward(tensorOf(upstream), sources.map(tensorOf) as A, tensorOf(result)),
        ),
      );
      const list = found instanceof Tensor ? [found] : found;
      if (!Array.isArray(list) || list.length !== sources.length) {
        const expected = `${sources.length} gradients, one for each input`;
        throw badArgument('customGradient', 'what backward returned', found, expected);
      }
      return sources.map((source, i) => gradientNode(list[i], source, i, precision !== 'f32'));
    };
    const nodes = inputs.map((input) => input.node);
    const marked = g.mark(output.node, nodes, { kind: 'custom', backward: rule });
    return output.derive(marked, ...inputs);
  };
}

/** @param casts whether floats of another type are meant: in autocast products have types of their own */
function gradientNode(gradient: unknown, input: Node, i: number, casts: boolean): Node | null {
  if (gradient === null) return null;
  if (!(gradient instanceof Tensor))
    throw badArgument('customGradient', `gradient ${i}`, gradient, 'a tensor or null');
  const { lazy } = gradient;
  const node =
    casts && isFloat(gradient.dtype) ? g.cast(gradient.node, input.dtype) : gradient.node;
  if (node.dtype !== input.dtype || !shapesEqual(node.shape, input.shape)) {
    throw new TypeError(
      `customGradient: gradient ${i} is ${node.dtype}${formatShape(node.shape)}; ` +
        `expected ${input.dtype}${formatShape(input.shape)}, as its input`,
    );
  }
  useInGradients(lazy);
  return node;
}

/**
 * The same values behind a wall: no gradient flows back through them. Of one tensor this is
 * `detach()`; here also of structures.
 */
export function stopGradient<T>(tree: T): T {
  return mapTensors(tree, (tensor) => tensor.detach()) as T;
}
