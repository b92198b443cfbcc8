import { badArgument } from '../../../base/errors.ts';
import { formatShape, isVar, sizeOf, stridesOf } from '../../shape.ts';
import type { AxisSteps, Build, NdArray, Node, OpRule } from '../types.ts';

/**
 * Sliding windows as movements. `window` and `spread` are transposes of each other, so each is the
 * other's gradient. A window of an axis that all places of the last axis see alike comes from an
 * expansion of x along a new last axis.
 */

const isPositive = (n: number) => Number.isInteger(n) && n > 0;

/** Checks what both share; gives the distance between the first and the last place of a window. */
function reachOf(what: string, x: Node, { axis, size, stride, dilation }: AxisSteps): number {
  const last = x.shape.length - 1;
  const [dim, places] = [x.shape[axis], x.shape[last]];
  if (!(axis >= 0 && axis < last) || isVar(dim)) {
    throw badArgument(what, 'axis', axis, `a static axis of ${formatShape(x.shape)}, not the last`);
  }
  if (isVar(places) || places === 0) {
    throw badArgument(what, 'the last axis', formatShape([places]), 'a static size > 0');
  }
  if (!isPositive(stride)) throw badArgument(what, 'stride', stride, 'an integer > 0');
  if (!isPositive(dilation)) throw badArgument(what, 'dilation', dilation, 'an integer > 0');
  if (!isPositive(size)) throw badArgument(what, 'size', size, 'an integer > 0');
  return (places - 1) * dilation;
}

function resized(x: Node, { axis, size }: AxisSteps) {
  return { dtype: x.dtype, shape: x.shape.map((dim, i) => (i === axis ? size : dim)) };
}

/** The other op's argument: it leads back to the shape of x. */
function back(x: Node, steps: AxisSteps): AxisSteps {
  return { ...steps, size: x.shape[steps.axis] as number };
}

const deeper = (steps: AxisSteps): AxisSteps => ({ ...steps, axis: steps.axis + 1 });

/** Reads x at the place along the axis that `at` gives for a place and k; 0 for undefined. */
function along(
  x: NdArray,
  shape: readonly number[],
  axis: number,
  at: (place: number, k: number) => number | undefined,
): Float64Array {
  const out = new Float64Array(sizeOf(shape));
  const strides = stridesOf(shape);
  const inner = strides[axis];
  const places = shape[shape.length - 1];
  const outer = x.shape[axis] * inner;
  for (let i = 0; i < out.length; i++) {
    const place = Math.floor(i / inner) % shape[axis];
    const from = at(place, i % places);
    if (from === undefined) continue;
    const before = Math.floor(i / (inner * shape[axis]));
    out[i] = x.data[before * outer + from * inner + (i % inner)];
  }
  return out;
}

export const window: OpRule<'window'> = {
  infer([x], steps) {
    const reach = reachOf('window', x, steps);
    const needed = (steps.size - 1) * steps.stride + reach + 1;
    if (needed > (x.shape[steps.axis] as number)) {
      const expected = `at most the windows that lie within ${formatShape(x.shape)}`;
      throw badArgument('window', 'size', steps.size, expected);
    }
    return resized(x, steps);
  },
  gradient: (b: Build, node, g) => [b.spread(g, back(node.src[0], node.arg))],
  batch: (b, node, [x]) => b.window(x, deeper(node.arg)),
  interpret(node, [x], shape) {
    const { axis, stride, dilation } = node.arg;
    return along(x, shape, axis, (place, k) => place * stride + k * dilation);
  },
};

export const spread: OpRule<'spread'> = {
  infer([x], steps) {
    const reach = reachOf('spread', x, steps);
    const needed = ((x.shape[steps.axis] as number) - 1) * steps.stride + reach + 1;
    if (needed > steps.size) {
      const expected = `at least ${needed}, where the last window of ${formatShape(x.shape)} ends`;
      throw badArgument('spread', 'size', steps.size, expected);
    }
    return resized(x, steps);
  },
  gradient: (b, node, g) => [b.window(g, back(node.src[0], node.arg))],
  batch: (b, node, [x]) => b.spread(x, deeper(node.arg)),
  interpret(node, [x], shape) {
    const { axis, stride, dilation } = node.arg;
    return along(x, shape, axis, (place, k) => {
      const from = (place - k * dilation) / stride;
      return Number.isInteger(from) && from >= 0 && from < x.shape[axis] ? from : undefined;
    });
  },
};
