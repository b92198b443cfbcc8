import { badArgument } from '../../base/errors.ts';
import { isFloat } from '../../ir/dtype.ts';
import * as g from '../../ir/graph/build.ts';
import type { Node } from '../../ir/graph/types.ts';
import type { Tensor } from '../tensor.ts';
import { maxPooled, sumPooled } from './pooling-graph.ts';
import { asBatch, type PerAxis, perAxis } from './spatial.ts';
import type { Span } from './windows.ts';

export interface PoolOptions {
  /** Places from one window to the next (default: the kernel's size, so that none overlap). */
  readonly stride?: PerAxis;
  /** Places at both ends of each axis that belong to no image, at most half a kernel (default 0). */
  readonly padding?: PerAxis;
  /** Count also a last window that begins inside the image but ends beyond it. */
  readonly ceilMode?: boolean;
}

export interface MaxPoolOptions extends PoolOptions {
  /** Places from one element of a window to the next (default 1). */
  readonly dilation?: PerAxis;
}

export interface AveragePoolOptions extends PoolOptions {
  /** Padded places count as zeros (default), or do not count. */
  readonly countIncludePad?: boolean;
  /** What sums are divided by instead of the number of places. */
  readonly divisorOverride?: number;
}

/**
 * Largest elements and their places in the image (row by row), as i32. A window of nothing but
 * padding, which dilation can make, is -infinity; its place means nothing.
 */
export interface WithIndices {
  readonly values: Tensor;
  readonly indices: Tensor;
}

/**
 * The largest element of each window (torch.nn.functional.max_pool1d). NaN wins; the gradient goes to
 * the first of equal ones.
 *
 * @param x [n, c, length] or [c, length], floats
 */
export function maxPool1d(x: Tensor, kernelSize: PerAxis, options: MaxPoolOptions = {}): Tensor {
  return maxPool('maxPool1d', 1, x, kernelSize, options).values;
}

/**
 * The largest element of each window (torch.nn.functional.max_pool2d). NaN wins; the gradient goes to
 * the first of equal ones, row by row.
 *
 * @param x [n, c, height, width] or [c, height, width], floats
 */
export function maxPool2d(x: Tensor, kernelSize: PerAxis, options: MaxPoolOptions = {}): Tensor {
  return maxPool('maxPool2d', 2, x, kernelSize, options).values;
}

/** `maxPool1d` with the places of the maxima (torch's return_indices). */
export function maxPool1dWithIndices(
  x: Tensor,
  kernelSize: PerAxis,
  options: MaxPoolOptions = {},
): WithIndices {
  return maxPool('maxPool1dWithIndices', 1, x, kernelSize, options);
}

/** `maxPool2d` with the places of the maxima (torch's return_indices): row times width + column. */
export function maxPool2dWithIndices(
  x: Tensor,
  kernelSize: PerAxis,
  options: MaxPoolOptions = {},
): WithIndices {
  return maxPool('maxPool2dWithIndices', 2, x, kernelSize, options);
}

/**
 * The mean of each window (torch.nn.functional.avg_pool1d).
 *
 * @param x [n, c, length] or [c, length], floats
 */
export function avgPool1d(
  x: Tensor,
  kernelSize: PerAxis,
  options: AveragePoolOptions = {},
): Tensor {
  return averagePool('avgPool1d', 1, x, kernelSize, options);
}

/**
 * The mean of each window (torch.nn.functional.avg_pool2d).
 *
 * @param x [n, c, height, width] or [c, height, width], floats
 */
export function avgPool2d(
  x: Tensor,
  kernelSize: PerAxis,
  options: AveragePoolOptions = {},
): Tensor {
  return averagePool('avgPool2d', 2, x, kernelSize, options);
}

function maxPool(
  where: string,
  axes: number,
  x: Tensor,
  kernelSize: PerAxis,
  options: MaxPoolOptions,
): WithIndices {
  const { batch, shape, back } = asBatch(where, requireFloats(where, x), axes);
  const spans = spansOf(where, shape, kernelSize, options);
  const { values, indices } = maxPooled(batch.node, spans);
  return { values: back(values), indices: back(indices) };
}

function averagePool(
  where: string,
  axes: number,
  x: Tensor,
  kernelSize: PerAxis,
  options: AveragePoolOptions,
): Tensor {
  const { batch, shape, back } = asBatch(where, requireFloats(where, x), axes);
  const spans = spansOf(where, shape, kernelSize, options);
  const { divisorOverride: override, countIncludePad = true } = options;
  if (override === 0 || (override !== undefined && !Number.isFinite(override))) {
    throw badArgument(where, 'divisorOverride', override, 'a finite number, not 0');
  }
  const sums = sumPooled(batch.node, spans);
  const divisor =
    override === undefined ? counts(sums, spans, countIncludePad) : g.constLike(sums, override);
  return back(g.binary('div', sums, divisor));
}

function requireFloats(where: string, x: Tensor): Tensor {
  if (!isFloat(x.dtype)) throw badArgument(where, 'the type of x', x.dtype, 'a float type');
  return x;
}

function spansOf(
  where: string,
  shape: readonly number[],
  kernelSize: PerAxis,
  options: MaxPoolOptions,
): Span[] {
  const axes = shape.length - 2;
  const kernel = perAxis(where, 'kernelSize', kernelSize, axes, 1);
  const stride = perAxis(where, 'stride', options.stride ?? kernel, axes, 1);
  const padding = perAxis(where, 'padding', options.padding ?? 0, axes, 0);
  const dilation = perAxis(where, 'dilation', options.dilation ?? 1, axes, 1);
  return shape.slice(2).map((image, i): Span => {
    const reach = (kernel[i] - 1) * dilation[i] + 1;
    const [step, before] = [stride[i], padding[i]];
    if (2 * before > reach) {
      throw badArgument(
        where,
        'padding',
        options.padding,
        `at most half the window's ${reach} places`,
      );
    }
    const room = (image + 2 * before - reach) / step;
    let result = (options.ceilMode ? Math.ceil(room) : Math.floor(room)) + 1;
    // The last window must begin inside the image or the padding before it.
    if (options.ceilMode && (result - 1) * step >= image + before) result--;
    if (result < 1) {
      const most = `windows of at most ${image + 2 * before} places, the padded image`;
      throw badArgument(where, 'kernelSize', kernelSize, most);
    }
    const [size, apart] = [kernel[i], dilation[i]];
    return { image, result, kernel: size, stride: step, dilation: apart, before };
  });
}

/** The number of places in each window, as a float of the sums' shape. */
function counts(sums: Node, spans: readonly Span[], includePad: boolean): Node {
  const along = spans.map((span) => {
    const { image, result, kernel, stride, before } = span;
    const outer = includePad ? before : 0;
    return Array.from({ length: result }, (_, i) => {
      const start = i * stride - before;
      return Math.min(start + kernel, image + outer) - Math.max(start, -outer);
    });
  });
  if (along.every((list) => list.every((n) => n === list[0]))) {
    return g.constLike(
      sums,
      along.reduce((n, list) => n * list[0], 1),
    );
  }
  return spans.reduce<Node>(
    (product, span, i) => {
      const shape = sums.shape.map((_, axis) => (axis === 2 + i ? span.result : 1));
      const count = g.reshape(countNode(span, includePad), shape);
      return g.binary('mul', product, g.expand(g.cast(count, sums.dtype), sums.shape));
    },
    g.constLike(sums, 1),
  );
}

/** The same along one axis as a graph: i32 [result]. */
function countNode(span: Span, includePad: boolean): Node {
  const { image, result, kernel, stride, before } = span;
  const outer = includePad ? before : 0;
  const number = g.iota(result);
  const like = (value: number) => g.constLike(number, value);
  const start = g.binary('sub', g.binary('mul', number, like(stride)), like(before));
  const end = g.binary('min', g.binary('add', start, like(kernel)), like(image + outer));
  return g.binary('sub', end, g.binary('max', start, like(-outer)));
}
