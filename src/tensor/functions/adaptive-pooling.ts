import { badArgument } from '../../base/errors.ts';
import { isFloat } from '../../ir/dtype.ts';
import * as g from '../../ir/graph/build.ts';
import type { Node } from '../../ir/graph/types.ts';
import { maxDim } from '../../ir/shape.ts';
import type { Tensor } from '../tensor.ts';
import { asBatch, type PerAxis, perAxis } from './spatial.ts';
import { around } from './windows.ts';

/**
 * Means of `outputSize` windows that cover an axis evenly (torch.nn.functional.adaptive_avg_pool1d):
 * window i holds the places from floor(i length / size) to ceil((i + 1) length / size).
 *
 * @param x [n, c, length] or [c, length], floats
 */
export function adaptiveAvgPool1d(x: Tensor, outputSize: PerAxis): Tensor {
  return adaptive('adaptiveAvgPool1d', 1, x, outputSize);
}

/**
 * `adaptiveAvgPool1d` along both axes of images (torch.nn.functional.adaptive_avg_pool2d).
 *
 * @param x [n, c, height, width] or [c, height, width], floats
 * @param outputSize [height, width], or one number for both
 */
export function adaptiveAvgPool2d(x: Tensor, outputSize: PerAxis): Tensor {
  return adaptive('adaptiveAvgPool2d', 2, x, outputSize);
}

function adaptive(where: string, axes: number, x: Tensor, outputSize: PerAxis): Tensor {
  if (!isFloat(x.dtype)) throw badArgument(where, 'the type of x', x.dtype, 'a float type');
  const sizes = perAxis(where, 'outputSize', outputSize, axes, 1);
  const { batch, back } = asBatch(where, x, axes);
  return back(sizes.reduce((y, size, i) => averaged(y, 2 + i, size), batch.node));
}

function averaged(x: Node, axis: number, size: number): Node {
  const length = maxDim(x.shape[axis]);
  if (length % size === 0) return evenly(x, axis, size);
  // Each place written `size` times makes an axis that `size` windows cut into equal parts: a window
  // of `length` copies holds just the places that it touches. Of each place the first copy counts.
  const single = g.reshape(x, around(x.shape, axis, [length, 1]));
  const copies = g.expand(single, around(x.shape, axis, [length, size]));
  const parts = g.reshape(copies, around(x.shape, axis, [size, length]));
  const number = g.reshape(g.iota(size * length), [size, length]);
  const like = (value: number) => g.constLike(number, value);
  const isFirst = g.binary(
    'or',
    g.compare('eq', g.binary('rem', number, like(size)), like(0)),
    g.compare('eq', g.binary('rem', number, like(length)), like(0)),
  );
  const beside = (node: Node): Node => {
    const shape = parts.shape.map((dim, i) => (i === axis || i === axis + 1 ? dim : 1));
    return g.expand(g.reshape(node, shape), parts.shape);
  };
  const counted = g.where(beside(isFirst), parts, g.constLike(parts, 0));
  const sums = g.reduce('sum', counted, [axis + 1]);
  const lengths = g.reduce('sum', g.cast(isFirst, 'i32'), [1]);
  const divisor = g.cast(
    g.reshape(
      lengths,
      around(
        x.shape.map(() => 1),
        axis,
        [size, 1],
      ),
    ),
    x.dtype,
  );
  const mean = g.binary('div', sums, g.expand(divisor, sums.shape));
  return g.reshape(mean, around(x.shape, axis, [size]));
}

function evenly(x: Node, axis: number, size: number): Node {
  const length = maxDim(x.shape[axis]) / size;
  const parts = g.reshape(x, around(x.shape, axis, [size, length]));
  const sums = g.reduce('sum', parts, [axis + 1]);
  return g.reshape(g.binary('div', sums, g.constLike(sums, length)), around(x.shape, axis, [size]));
}
