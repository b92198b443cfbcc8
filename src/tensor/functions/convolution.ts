import { badArgument } from '../../base/errors.ts';
import { formatShape, isStatic } from '../../ir/shape.ts';
import { productOperands } from '../autocast.ts';
import type { Tensor } from '../tensor.ts';
import { convolve, type Geometry, imageGradient } from './convolution-graph.ts';
import { asBatch, type PerAxis, perAxis } from './spatial.ts';
import type { Span } from './windows.ts';

export interface ConvolutionOptions {
  /** [o], added to every place of output channel o. */
  readonly bias?: Tensor | undefined;
  /** Places from one window to the next (default 1). */
  readonly stride?: PerAxis;
  /**
   * Zeros at both ends of each axis (default 0); 'valid' is 0, 'same' keeps the image's size and
   * needs stride 1.
   */
  readonly padding?: PerAxis | 'same' | 'valid';
  /** Places from one element of the kernel to the next (default 1). */
  readonly dilation?: PerAxis;
  /** Output channels of a group see the input channels of theirs alone (default 1). */
  readonly groups?: number;
}

export interface TransposedConvolutionOptions extends Omit<ConvolutionOptions, 'padding'> {
  /** Places that are cut off at both ends of each axis (default 0). */
  readonly padding?: PerAxis;
  /** Places more at the end of each axis (default 0): the size that a stride leaves open. */
  readonly outputPadding?: PerAxis;
}

/**
 * Cross-correlation along one axis (torch.nn.functional.conv1d).
 *
 * @param x [n, c, length] or [c, length]
 * @param weight [o, c / groups, kernel]
 * @returns [n, o, (length + 2 padding - dilation (kernel - 1) - 1) / stride + 1], rounded down
 */
export function conv1d(x: Tensor, weight: Tensor, options: ConvolutionOptions = {}): Tensor {
  return convolution('conv1d', 1, x, weight, options);
}

/**
 * Cross-correlation of images (torch.nn.functional.conv2d).
 *
 * @param x [n, c, height, width] or [c, height, width]
 * @param weight [o, c / groups, kernel height, kernel width]
 * @returns [n, o, ...]; sizes as in `conv1d`
 */
export function conv2d(x: Tensor, weight: Tensor, options: ConvolutionOptions = {}): Tensor {
  return convolution('conv2d', 2, x, weight, options);
}

/**
 * The transpose of `conv1d`: the gradient of its image (torch.nn.functional.conv_transpose1d).
 *
 * @param x [n, c, length] or [c, length]
 * @param weight [c, o / groups, kernel]
 * @returns [n, o, (length - 1) stride - 2 padding + dilation (kernel - 1) + outputPadding + 1]
 */
export function convTranspose1d(
  x: Tensor,
  weight: Tensor,
  options: TransposedConvolutionOptions = {},
): Tensor {
  return transposed('convTranspose1d', 1, x, weight, options);
}

/**
 * The transpose of `conv2d` (torch.nn.functional.conv_transpose2d).
 *
 * @param x [n, c, height, width] or [c, height, width]
 * @param weight [c, o / groups, kernel height, kernel width]
 * @returns [n, o, ...]; sizes as in `convTranspose1d`
 */
export function convTranspose2d(
  x: Tensor,
  weight: Tensor,
  options: TransposedConvolutionOptions = {},
): Tensor {
  return transposed('convTranspose2d', 2, x, weight, options);
}

function convolution(
  where: string,
  axes: number,
  image: Tensor,
  kernels: Tensor,
  options: ConvolutionOptions,
): Tensor {
  const given = [image, kernels, ...(options.bias ? [options.bias] : [])];
  const [x, weight, bias] = productOperands(...given);
  const { batch, shape, back } = asBatch(where, x, axes);
  const { groups, kernel, stride, dilation } = common(where, axes, x, weight, options);
  const [outputs, depth] = weight.shape as readonly number[];
  if (shape[1] % groups !== 0) {
    throw badArgument(where, 'groups', groups, `a divisor of the ${shape[1]} channels`);
  }
  if (depth * groups !== shape[1] || outputs % groups !== 0) {
    throw new TypeError(
      `${where}: weight is ${formatShape(weight.shape)}; expected [o, ${shape[1] / groups}, ...kernel] ` +
        `with o a multiple of groups ${groups}, for ${shape[1]} channels`,
    );
  }
  requireBias(where, bias, outputs, x);
  const spans = shape.slice(2).map((image, i): Span => {
    const reach = (kernel[i] - 1) * dilation[i];
    const [before, after] = padOf(where, options.padding ?? 0, i, axes, reach, stride[i]);
    const result = Math.floor((image + before + after - reach - 1) / stride[i]) + 1;
    if (result < 1) {
      const room = `at most ${image + before + after}, the padded image`;
      throw badArgument(where, `the reach of the kernel on axis ${i}`, reach + 1, room);
    }
    return { image, result, kernel: kernel[i], stride: stride[i], dilation: dilation[i], before };
  });
  const node = convolve(batch.node, weight.node, { spans, groups }, bias?.node);
  return back(node, weight, ...(bias ? [bias] : []));
}

function transposed(
  where: string,
  axes: number,
  image: Tensor,
  kernels: Tensor,
  options: TransposedConvolutionOptions,
): Tensor {
  const given = [image, kernels, ...(options.bias ? [options.bias] : [])];
  const [x, weight, bias] = productOperands(...given);
  const { batch, shape, back } = asBatch(where, x, axes);
  const { groups, kernel, stride, dilation } = common(where, axes, x, weight, options);
  const [inputs, depth] = weight.shape as readonly number[];
  if (inputs !== shape[1] || inputs % groups !== 0) {
    throw new TypeError(
      `${where}: weight is ${formatShape(weight.shape)}; expected [${shape[1]}, o / groups, ...kernel] ` +
        `with a number of channels that groups ${groups} divides`,
    );
  }
  requireBias(where, bias, depth * groups, x);
  const padding = perAxis(where, 'padding', options.padding ?? 0, axes, 0);
  const more = perAxis(where, 'outputPadding', options.outputPadding ?? 0, axes, 0);
  const spans = shape.slice(2).map((result, i): Span => {
    if (more[i] >= Math.max(stride[i], dilation[i])) {
      const most = `less than stride ${stride[i]} or dilation ${dilation[i]}`;
      throw badArgument(where, 'outputPadding', options.outputPadding, most);
    }
    const reach = (kernel[i] - 1) * dilation[i];
    const image = (result - 1) * stride[i] + reach + 1 + more[i] - 2 * padding[i];
    if (image < 1) {
      throw badArgument(
        where,
        'padding',
        options.padding,
        'so much that places of the result remain',
      );
    }
    const [size, step, apart] = [kernel[i], stride[i], dilation[i]];
    return { image, result, kernel: size, stride: step, dilation: apart, before: padding[i] };
  });
  const geometry: Geometry = { spans, groups };
  const y = back(imageGradient(batch.node, weight.node, geometry), weight);
  return bias ? y.add(bias.reshape([-1, ...spans.map(() => 1)])) : y;
}

/** What both directions check alike. */
function common(
  where: string,
  axes: number,
  x: Tensor,
  weight: Tensor,
  { stride = 1, dilation = 1, groups = 1 }: ConvolutionOptions | TransposedConvolutionOptions,
) {
  if (weight.rank !== axes + 2 || !isStatic(weight.shape)) {
    const expected = `${axes + 2} static axes`;
    throw new TypeError(`${where}: weight is ${formatShape(weight.shape)}; expected ${expected}`);
  }
  if (weight.dtype !== x.dtype) {
    throw new TypeError(`${where}: weight is ${weight.dtype}; expected ${x.dtype}, the type of x`);
  }
  if (!Number.isInteger(groups) || groups < 1) {
    throw badArgument(where, 'groups', groups, 'an integer >= 1');
  }
  return {
    groups,
    kernel: weight.shape.slice(2),
    stride: perAxis(where, 'stride', stride, axes, 1),
    dilation: perAxis(where, 'dilation', dilation, axes, 1),
  };
}

function requireBias(where: string, bias: Tensor | undefined, outputs: number, x: Tensor): void {
  if (!bias) return;
  if (bias.rank !== 1 || bias.shape[0] !== outputs || bias.dtype !== x.dtype) {
    throw new TypeError(
      `${where}: bias is ${bias.dtype}${formatShape(bias.shape)}; expected ${x.dtype}[${outputs}]`,
    );
  }
}

function padOf(
  where: string,
  padding: PerAxis | 'same' | 'valid',
  axis: number,
  axes: number,
  reach: number,
  stride: number,
): readonly [before: number, after: number] {
  if (padding === 'valid') return [0, 0];
  if (padding !== 'same') {
    if (typeof padding === 'string') {
      throw badArgument(where, 'padding', padding, "integers, 'same' or 'valid'");
    }
    const size = perAxis(where, 'padding', padding, axes, 0)[axis];
    return [size, size];
  }
  if (stride !== 1) throw badArgument(where, 'stride', stride, "1 with padding 'same'");
  const before = Math.floor(reach / 2);
  return [before, reach - before];
}
