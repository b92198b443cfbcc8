import { badArgument } from '../../base/errors.ts';
import * as g from '../../ir/graph/build.ts';
import { withGradient } from '../../ir/graph/gradient.ts';
import type { Node } from '../../ir/graph/types.ts';
import { formatShape, isStatic, maxDim } from '../../ir/shape.ts';
import type { Tensor } from '../tensor.ts';
import { asBatch, type PerAxis, perAxis } from './spatial.ts';
import { gathered, patches, type Span } from './windows.ts';

export interface PatchOptions {
  readonly stride?: PerAxis;
  readonly padding?: PerAxis;
  readonly dilation?: PerAxis;
}

/**
 * The patches of images as columns (torch.nn.functional.unfold). Convolutions do not need them: they
 * read windows in place.
 *
 * @param x [n, c, height, width]
 * @returns [n, c kernel height kernel width, patches], patches row by row
 */
export function im2col(x: Tensor, kernelSize: PerAxis, options: PatchOptions = {}): Tensor {
  const { batch, shape, back } = asBatch('im2col', x, 2);
  const spans = spansOf('im2col', shape.slice(2), kernelSize, options);
  const columns = toColumns(patches(batch.node, spans));
  return back(withGradient(columns, [batch.node], (up) => [gathered(toPatches(up, spans), spans)]));
}

/**
 * The sum of patches where they overlap, the transpose of `im2col` (torch.nn.functional.fold).
 *
 * @param columns [n, c kernel height kernel width, patches]
 * @param outputSize [height, width] of the images
 * @returns [n, c, height, width]
 */
export function col2im(
  columns: Tensor,
  outputSize: PerAxis,
  kernelSize: PerAxis,
  options: PatchOptions = {},
): Tensor {
  const sizes = perAxis('col2im', 'outputSize', outputSize, 2, 1);
  const spans = spansOf('col2im', sizes, kernelSize, options);
  const [patch, count] = [spans[0].kernel * spans[1].kernel, spans[0].result * spans[1].result];
  const { shape } = columns;
  const fits = columns.rank === 3 && shape[2] === count && maxDim(shape[1]) % patch === 0;
  if (!fits || !isStatic(shape)) {
    throw new TypeError(
      `col2im: columns is ${formatShape(shape)}; expected [n, a multiple of ${patch}, ${count}]`,
    );
  }
  return columns.derive(gathered(toPatches(columns.node, spans), spans));
}

/** [n, c, rows, columns, kh, kw] to [n, c kh kw, rows columns]. */
function toColumns(seen: Node): Node {
  const [n, c, rows, columns, kh, kw] = seen.shape.map(maxDim);
  return g.reshape(g.permute(seen, [0, 1, 4, 5, 2, 3]), [n, c * kh * kw, rows * columns]);
}

function toPatches(columns: Node, [h, w]: readonly Span[]): Node {
  const [n, depth] = columns.shape.map(maxDim);
  const c = depth / (h.kernel * w.kernel);
  const apart = g.reshape(columns, [n, c, h.kernel, w.kernel, h.result, w.result]);
  return g.permute(apart, [0, 1, 4, 5, 2, 3]);
}

function spansOf(
  where: string,
  sizes: readonly number[],
  kernelSize: PerAxis,
  options: PatchOptions,
): Span[] {
  const kernel = perAxis(where, 'kernelSize', kernelSize, 2, 1);
  const stride = perAxis(where, 'stride', options.stride ?? 1, 2, 1);
  const padding = perAxis(where, 'padding', options.padding ?? 0, 2, 0);
  const dilation = perAxis(where, 'dilation', options.dilation ?? 1, 2, 1);
  return sizes.map((image, i): Span => {
    const reach = (kernel[i] - 1) * dilation[i] + 1;
    const result = Math.floor((image + 2 * padding[i] - reach) / stride[i]) + 1;
    if (result < 1) {
      const expected = `patches of at most ${image + 2 * padding[i]} places, the padded image`;
      throw badArgument(where, 'kernelSize', kernelSize, expected);
    }
    const [size, step, apart] = [kernel[i], stride[i], dilation[i]];
    return { image, result, kernel: size, stride: step, dilation: apart, before: padding[i] };
  });
}
