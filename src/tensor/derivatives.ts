import { badArgument } from '../base/errors.ts';
import { isFloat } from '../ir/dtype.ts';
import { dropTokens } from '../ir/graph/tokens.ts';
import { formatShape, isStatic, shapesEqual } from '../ir/shape.ts';
import { customGradient } from './custom-gradient.ts';
import { grad, typeText, vjp } from './grad.ts';
import { Lazy } from './lazy.ts';
import { eye, Tensor } from './tensor.ts';
import { requireSync, Tracer } from './trace.ts';
import { type GradientsOf, leafTensors, likeLeaves, mapTensors } from './tree.ts';
import { vmap } from './vmap.ts';

/** A function's value and its derivative in a direction, in the value's structure. */
export interface ValueAndTangent<T> {
  readonly value: T;
  readonly tangent: T;
}

/**
 * The Jacobian-vector product, forward mode: how the function changes when its arguments move along
 * the tangents. The gradient is linear in its upstream; its gradient by that is this product, and of
 * both backward passes only what the product needs is ever computed.
 *
 * @param primals arguments: tensors, models and structures of them
 * @param tangents for each tensor or parameter of the primals one of its shape and type
 * @throws TypeError for results that are no floats, and for a `customGradient` on the way whose
 *   backward function is not linear in its upstream (a clipped gradient has no forward mode)
 */
export function jvp<A extends unknown[], T>(
  f: (...primals: A) => T,
  primals: A,
  tangents: GradientsOf<A>,
): ValueAndTangent<T> {
  // A tensor given twice is two arguments.
  const apart = customGradient(
    (x: Tensor) => x,
    (upstream) => upstream,
  );
  const own = mapTensors(primals, (tensor) => apart(tensor)) as A;
  const inputs = leafTensors(own);
  const directions = leafTensors(tangents);
  requireLike('jvp', 'tangent', directions, inputs);
  const value = requireSync('jvp', f(...own));
  const outputs: Tensor[] = [];
  mapTensors(value, (tensor, path) => {
    if (!isFloat(tensor.dtype)) throw badArgument('jvp', `result${path}`, tensor.dtype, 'floats');
    outputs.push(tensor);
  });
  const tracer = new Tracer('jvp');
  const upstreams = outputs.map(({ device, dtype, shape }) => {
    return new Tensor(new Lazy(device, tracer.standIn(dtype, shape, 'an upstream gradient'), []));
  });
  const transposed = vjp(outputs, upstreams, inputs);
  const found = vjp(transposed, directions, upstreams);
  const { outputs: nodes, reached } = dropTokens(
    found.map((t) => t.node),
    new Set(upstreams.map((u) => u.node.id)),
  );
  if (reached) {
    throw new TypeError(
      'jvp: a customGradient has a backward function that is not linear in its upstream; ' +
        'forward mode needs one that is',
    );
  }
  let next = 0;
  const tangent = mapTensors(value, ({ device }) => {
    const at = next++;
    return new Tensor(new Lazy(device, nodes[at], [found[at].lazy]));
  });
  return { value, tangent: tangent as T };
}

function requireLike(
  where: string,
  name: string,
  given: readonly Tensor[],
  expected: readonly Tensor[],
): void {
  if (given.length !== expected.length) {
    throw badArgument(where, `${name}s`, given.length, `${expected.length}, one for each primal`);
  }
  given.forEach((tensor, i) => {
    const { dtype, shape } = expected[i];
    if (tensor.dtype === dtype && shapesEqual(tensor.shape, shape)) return;
    throw new TypeError(
      `${where}: ${name} ${i} is ${tensor.dtype}${formatShape(tensor.shape)}; ` +
        `expected ${dtype}${formatShape(shape)}`,
    );
  });
}

/**
 * The Hessian times a vector, without the Hessian: the gradient of the gradient's product with it.
 *
 * @param f a scalar function
 * @param vector of the argument's structure and shapes
 */
export function hvp<A>(
  f: (argument: A) => Tensor,
  argument: A,
  vector: GradientsOf<A>,
): GradientsOf<A> {
  const inputs = leafTensors(argument);
  const slopes = leafTensors(grad(f)(argument));
  const directions = leafTensors(vector);
  requireLike('hvp', 'vector', directions, inputs);
  return likeLeaves(argument, vjp(slopes, directions, inputs));
}

/**
 * All derivatives of a function's result by its first argument: for an argument (or a leaf of it) of
 * shape S and a result of shape R the shape is [...R, ...S]. One backward pass over a batch of size(R).
 */
export function jacobian<A, R extends unknown[]>(
  f: (argument: A, ...rest: R) => Tensor,
): (argument: A, ...rest: R) => GradientsOf<A> {
  return (argument, ...rest) => {
    const inputs = leafTensors(argument);
    const output = requireSync('jacobian', f(argument, ...rest));
    if (!(output instanceof Tensor) || !isFloat(output.dtype) || !isStatic(output.shape)) {
      throw new TypeError(
        `jacobian: the function returned ${typeText(output)}; expected a float tensor of fixed shape`,
      );
    }
    const { device, dtype, shape, size } = output;
    const basis = eye(size, { device, dtype }).reshape([size, ...shape]);
    const rows = vmap((upstream: Tensor) => vjp([output], [upstream], inputs))(basis);
    const shaped = rows.map((row, i) => row.reshape([...shape, ...inputs[i].shape]));
    return likeLeaves(argument, shaped);
  };
}

/** The second derivatives of a scalar function by a tensor of shape S: [...S, ...S]. */
export function hessian<R extends unknown[]>(
  f: (x: Tensor, ...rest: R) => Tensor,
): (x: Tensor, ...rest: R) => Tensor {
  const slope = grad(f);
  return (x, ...rest) => {
    if (!(x instanceof Tensor)) throw badArgument('hessian', 'x', x, 'a tensor');
    return jacobian(slope)(x, ...rest);
  };
}
