import { badArgument } from '../base/errors.ts';
import { isFloat } from '../ir/dtype.ts';
import * as g from '../ir/graph/build.ts';
import { gradientGraph } from '../ir/graph/gradient.ts';
import { formatShape } from '../ir/shape.ts';
import { whileDifferentiating } from './backward-sources.ts';
import { History, Lazy, leavesOf } from './lazy.ts';
import { Tensor } from './tensor.ts';
import { requireSync } from './trace.ts';
import { type GradientsOf, leafTensors, likeLeaves } from './tree.ts';

/** A scalar function's value and its gradients by the first argument, in that one's structure. */
export interface ValueAndGrad<A> {
  readonly value: Tensor;
  readonly grads: GradientsOf<A>;
}

/** A function's value, and its gradients by all arguments as a function of the upstream gradient. */
export interface Pullback<A> {
  readonly value: Tensor;
  /** May be called several times; the upstream has the value's shape and type. */
  readonly pullback: (upstream: Tensor) => GradientsOf<A>;
}

/**
 * The vector-Jacobian product: gradients of outputs weighted by `upstream`. Of a function it is found
 * in two steps, `vjp(f, ...primals).pullback(upstream)`; of tensors that were computed already in one.
 * The results are ordinary lazy tensors: they can be differentiated again.
 *
 * @param outputs tensors computed from the inputs
 * @param upstreams a weight for each element of each output, of its shape
 */
export function vjp(
  outputs: readonly Tensor[],
  upstreams: readonly Tensor[],
  inputs: readonly Tensor[],
): Tensor[];
export function vjp<A extends unknown[]>(f: (...primals: A) => Tensor, ...primals: A): Pullback<A>;
export function vjp(first: unknown, ...rest: unknown[]): Tensor[] | Pullback<unknown[]> {
  if (typeof first === 'function') return pullbackOf(first as (...p: unknown[]) => Tensor, rest);
  const [upstreams, inputs] = rest as Tensor[][];
  return gradients(first as Tensor[], upstreams, inputs);
}

function pullbackOf(f: (...primals: unknown[]) => Tensor, primals: unknown[]): Pullback<unknown[]> {
  const inputs = leafTensors(primals).map(lazyTwin);
  const value = requireSync('vjp', f(...primals));
  if (!(value instanceof Tensor)) throw badArgument('vjp', 'result', value, 'a tensor');
  const output = lazyTwin(value);
  return {
    value,
    pullback: (upstream) => likeLeaves(primals, gradients([output], [upstream], inputs)),
  };
}

/** A tensor of the same node that stays as it is when the first one is realised. */
function lazyTwin({ lazy, node, device }: Tensor): Tensor {
  return new Tensor(new Lazy(device, node, lazy.storage ? [lazy] : lazy.sources));
}

function gradients(
  outputs: readonly Tensor[],
  upstreams: readonly Tensor[],
  inputs: readonly Tensor[],
): Tensor[] {
  for (const input of inputs) {
    if (!isFloat(input.dtype)) {
      throw new TypeError(`grad: an input is ${input.dtype}; expected floats`);
    }
  }
  // Gradients read what the outputs were computed from, also after an output itself is realised.
  const sources = leavesOf([...outputs, ...upstreams, ...inputs].map((t) => t.lazy));
  const { result: nodes, used } = whileDifferentiating(sources, () =>
    gradientGraph(
      outputs.map((o) => o.node),
      upstreams.map((u) => u.node),
      inputs.map((i) => i.node),
    ),
  );
  const all = [...new Set([...sources, ...used])];
  const results = nodes.map((node, i) => new Tensor(new Lazy(inputs[i].device, node, all)));
  for (const lazy of used) lazy.release();
  return results;
}

type Async<A, R extends unknown[], T> = (argument: A, ...rest: R) => Promise<T>;
type Sync<A, R extends unknown[], T> = (argument: A, ...rest: R) => T;

/**
 * Turns a function with a scalar result into one that also gives the gradients by its first
 * argument: a tensor, a model (by parameter names), or a structure of tensors. Reverse mode.
 *
 * The function may be async and read values on its way, to branch and to loop by them: what depends
 * on the argument then stays in memory until the function is done. A jitted function called in it
 * with what depends on the argument runs as the plain function. What was computed from the argument
 * before the call counts as a constant once it is in memory.
 *
 * @example const { value, grads } = valueAndGrad((m: Llama) => m.loss(tokens))(model)
 */
export function valueAndGrad<A, R extends unknown[]>(
  f: Async<A, R, Tensor>,
): Async<A, R, ValueAndGrad<A>>;
export function valueAndGrad<A, R extends unknown[]>(
  f: Sync<A, R, Tensor>,
): Sync<A, R, ValueAndGrad<A>>;
export function valueAndGrad<A, R extends unknown[]>(
  f: Sync<A, R, Tensor | Promise<Tensor>>,
): Sync<A, R, ValueAndGrad<A> | Promise<ValueAndGrad<A>>> {
  return (argument, ...rest) => {
    const inputs = leafTensors(argument);
    const history = new History();
    for (const input of inputs) input.lazy.differentiate(history);
    let value: Tensor | Promise<Tensor> | undefined;
    try {
      value = f(argument, ...rest);
      if (!(value instanceof Promise)) return differentiate(value, argument, inputs);
    } finally {
      if (!(value instanceof Promise)) history.close();
    }
    return value
      .then((settled) => differentiate(settled, argument, inputs))
      .finally(() => history.close());
  };
}

function differentiate<A>(value: Tensor, argument: A, inputs: readonly Tensor[]): ValueAndGrad<A> {
  if (!(value instanceof Tensor) || value.size !== 1 || !isFloat(value.dtype)) {
    throw new TypeError(
      `grad: the function returned ${typeText(value)}; expected a float scalar tensor`,
    );
  }
  const one = new Tensor(new Lazy(value.device, g.constLike(value.node, 1), []));
  return { value, grads: likeLeaves(argument, gradients([value], [one], inputs)) };
}

/** @internal What a value is, for errors. */
export function typeText(value: unknown): string {
  return value instanceof Tensor ? `${value.dtype}${formatShape(value.shape)}` : typeof value;
}

/** The gradients alone; see `valueAndGrad`. `grad(grad(f))` works. */
export function grad<A, R extends unknown[]>(f: Async<A, R, Tensor>): Async<A, R, GradientsOf<A>>;
export function grad<A, R extends unknown[]>(f: Sync<A, R, Tensor>): Sync<A, R, GradientsOf<A>>;
export function grad<A, R extends unknown[]>(
  f: Sync<A, R, Tensor | Promise<Tensor>>,
): Sync<A, R, GradientsOf<A> | Promise<GradientsOf<A>>> {
  const both = valueAndGrad(f as Sync<A, R, Tensor>) as Sync<
    A,
    R,
    ValueAndGrad<A> | Promise<ValueAndGrad<A>>
  >;
  return (argument, ...rest) => {
    const found = both(argument, ...rest);
    return found instanceof Promise ? found.then((r) => r.grads) : found.grads;
  };
}
