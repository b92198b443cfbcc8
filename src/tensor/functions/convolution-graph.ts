import * as g from '../../ir/graph/build.ts';
import { withGradient } from '../../ir/graph/gradient.ts';
import type { Node } from '../../ir/graph/types.ts';
import { maxDim, sizeOf, upTo } from '../../ir/shape.ts';
import { around, dilated, patches, placed, type Span, type Windows, windows } from './windows.ts';

/**
 * Convolution as products over sliding windows (implicit gemm; Chetlur et al. 2014, cuDNN). A window
 * is a movement, so the product's packing reads the image where it lies and no matrix of patches
 * exists, neither forward nor backward. The three products (result, gradient by the image, gradient
 * by the weight) are each other's gradients.
 */

export interface Geometry {
  readonly spans: readonly Span[];
  readonly groups: number;
}

/** With fewer places than this an image alone would not fill the columns of a product. */
const FEW_PLACES = 16;

/**
 * rows [groups, r, ...depth] times windows [n, channels, ...places, ...steps], where depth is
 * [channels / groups, ...steps]: [n, groups r, ...places]. An image is a member of the batch of
 * products, so that the result lies as it is wanted, or all of them are columns of one product.
 *
 * @param bias [groups r], added to the result
 */
function product(rows: Node, image: Node, spatial: number, bias?: Node): Node {
  const [groups, r] = rows.shape;
  const [n, channels, ...rest] = image.shape;
  const places = rest.slice(0, spatial);
  const depth = image.shape.length - 1 - spatial;
  const grouped = g.reshape(image, [n, groups, maxDim(channels) / maxDim(groups), ...rest]);
  const steps = [2, ...upTo(3 + spatial, grouped.shape.length)];
  const where = upTo(3, 3 + spatial);
  const added = (y: Node, lead: number): Node => {
    if (!bias) return y;
    const shape = y.shape.map((dim, i) => (i === lead || i === lead + 1 ? dim : 1));
    return g.binary('add', y, g.expand(g.reshape(bias, shape), y.shape));
  };
  const shape = [n, maxDim(groups) * maxDim(r), ...places];
  if (maxDim(n) > 1 && sizeOf(places) < FEW_PLACES) {
    const columns = g.permute(grouped, [1, ...steps, 0, ...where]);
    const y = added(g.dot(rows, columns, 1, depth), 0);
    return g.reshape(g.permute(y, [2, 0, 1, ...upTo(3, y.shape.length)]), shape);
  }
  const columns = g.permute(grouped, [0, 1, ...steps, ...where]);
  const repeated = g.expand(g.reshape(rows, [1, ...rows.shape]), [n, ...rows.shape]);
  if (groups === 1) {
    const y = g.dot(
      g.reshape(repeated, [n, ...rows.shape.slice(1)]),
      withoutAxis(columns, 1),
      1,
      depth,
    );
    if (!bias) return y;
    const across = g.reshape(
      bias,
      y.shape.map((dim, i) => (i === 1 ? dim : 1)),
    );
    return g.binary('add', y, g.expand(across, y.shape));
  }
  return g.reshape(added(g.dot(repeated, columns, 2, depth), 1), shape);
}

function withoutAxis(x: Node, axis: number): Node {
  return g.reshape(x, around(x.shape, axis, []));
}

function inGroups(x: Node, axis: number, groups: number): Node {
  return g.reshape(x, around(x.shape, axis, [groups, maxDim(x.shape[axis]) / groups]));
}

/**
 * Cross-correlation.
 *
 * @param x [n, c, ...image]
 * @param w [o, c / groups, ...kernel]
 * @param bias [o]
 * @returns [n, o, ...result]
 */
export function convolve(x: Node, w: Node, geometry: Geometry, bias?: Node): Node {
  const { groups, spans } = geometry;
  const y = product(inGroups(w, 0, groups), patches(x, geometry.spans), spans.length, bias);
  const rule = (up: Node) => {
    const axes = upTo(0, y.shape.length).filter((axis) => axis !== 1);
    const byBias = bias ? [g.reshape(g.reduce('sum', up, axes), bias.shape)] : [];
    return [imageGradient(up, w, geometry), weightGradient(x, up, geometry), ...byBias];
  };
  return withGradient(y, bias ? [x, w, bias] : [x, w], rule);
}

/**
 * The transpose of a convolution by its image: the gradient of the image, and the result of a
 * transposed convolution.
 *
 * @param up [n, o, ...result]
 * @param w [o, c / groups, ...kernel]
 * @returns [n, c, ...image]
 */
export function imageGradient(up: Node, w: Node, geometry: Geometry): Node {
  const { spans, groups } = geometry;
  const turned = spans.map(turn);
  const apart = spans.reduce(
    (y, { stride }, i) => dilated(y, 2 + i, turned[i].phased ? 1 : stride),
    up,
  );
  const padded = placed(
    apart,
    turned.map(({ start, length }, i) => ({ axis: 2 + i, start, length })),
  );
  const image = turned.reduce((y, t, i) => windows(y, 2 + i, t.windows), padded);
  // [o, c / groups, ...kernel] to [groups, c / groups, ...phases, o / groups, ...steps].
  const kernel = inGroups(
    [...turned].reverse().reduce((k, t, i) => t.kernel(k, 1 + spans.length - i), w),
    0,
    groups,
  );
  const pairs = spans.map((_, i) => 3 + 2 * i);
  const rows = g.permute(kernel, [0, 2, ...pairs.map((a) => a + 1), 1, ...pairs]);
  const phases = rows.shape.slice(2, 2 + spans.length) as number[];
  const c = maxDim(rows.shape[1]);
  const joined = g.reshape(rows, [
    groups,
    c * sizeOf(phases),
    ...rows.shape.slice(2 + spans.length),
  ]);
  const y = product(joined, image, spans.length);
  const woven = turned.some((t) => t.phased) ? weave(y, groups * c, phases, spans, turned) : y;
  return withGradient(woven, [up, w], (u) => [
    convolve(u, w, geometry),
    weightGradient(u, up, geometry),
  ]);
}

/**
 * The gradient of the weight.
 *
 * @param x [n, c, ...image]
 * @param up [n, o, ...result]
 * @returns [o, c / groups, ...kernel]
 */
export function weightGradient(x: Node, up: Node, geometry: Geometry): Node {
  const { spans, groups } = geometry;
  const spatial = spans.length;
  const seen = patches(x, geometry.spans);
  const places = upTo(3, 3 + spatial);
  const steps = upTo(3 + spatial, 3 + 2 * spatial);
  let dw: Node;
  if (groups === 1) {
    // Without an axis of one group an optimiser's update can follow in the same kernel.
    const before = (axis: number) => axis - 1;
    const left = g.permute(up, [1, 0, ...places.map(before)]);
    const right = g.permute(seen, [0, ...places.map(before), 1, ...steps.map(before)]);
    dw = g.dot(left, right, 0, 1 + spatial);
  } else {
    const left = g.permute(inGroups(up, 1, groups), [1, 2, 0, ...places]);
    const right = g.permute(inGroups(seen, 1, groups), [1, 0, ...places, 2, ...steps]);
    const y = g.dot(left, right, 1, 1 + spatial);
    dw = g.reshape(y, [maxDim(up.shape[1]), ...y.shape.slice(2)]);
  }
  return withGradient(dw, [x, up], (v) => [
    imageGradient(up, v, geometry),
    convolve(x, v, geometry),
  ]);
}

/** What one axis of a convolution becomes in its transpose. */
interface Turned {
  /** Where the upstream's places come to lie, and how many places there are. */
  readonly start: number;
  readonly length: number;
  /** The upstream's windows: a place of a phase each. */
  readonly windows: Windows;
  /** The weight's axis to [steps, phases]. */
  readonly kernel: (w: Node, axis: number) => Node;
  readonly phased: boolean;
}

/**
 * Image place i gets up[o] w[k] wherever o stride + k dilation = i: a convolution by the reversed
 * weight. Where windows move on by more than one place, the places of one phase (i mod stride) see
 * only the weights of that phase, so that no product is spent on zeros between the upstream's places
 * (sub-pixel convolution; Shi et al. 2016).
 */
function turn({ kernel: size, stride, dilation, before, image }: Span): Turned {
  if (stride > 1 && dilation === 1) {
    const steps = Math.ceil(size / stride);
    const phases = Math.min(stride, size);
    const { first, count } = phaseOf(image, stride, before);
    return {
      start: steps - 1 - first,
      length: count + steps - 1,
      windows: { count, size: steps, stride: 1, dilation: 1 },
      kernel(w, axis) {
        const whole = placed(w, [{ axis, start: 0, length: steps * phases }]);
        return g.flip(g.reshape(whole, around(w.shape, axis, [steps, phases])), [axis]);
      },
      phased: true,
    };
  }
  const reach = (size - 1) * dilation;
  return {
    start: reach - before,
    length: image + reach,
    windows: { count: image, size, stride: 1, dilation },
    kernel: (w, axis) => g.reshape(g.flip(w, [axis]), around(w.shape, axis, [size, 1])),
    phased: false,
  };
}

/** The first place of a phase that an image needs, and how many. */
function phaseOf(image: number, stride: number, before: number) {
  const first = Math.floor(before / stride);
  return { first, count: Math.floor((before + image - 1) / stride) - first + 1 };
}

/** [n, c ...phases, ...places] to [n, c, ...image]: the places of all phases in turn. */
function weave(
  y: Node,
  c: number,
  phases: readonly number[],
  spans: readonly Span[],
  turned: readonly Turned[],
): Node {
  const spatial = spans.length;
  const [n, , ...places] = y.shape;
  const apart = g.reshape(y, [n, c, ...phases, ...places]);
  const order = spans.flatMap((_, i) => [2 + spatial + i, 2 + i]);
  const beside = g.permute(apart, [0, 1, ...order]);
  const strides = spans.map(({ stride }, i) => (turned[i].phased ? stride : 1));
  // Phases that no weight belongs to are zeros.
  const whole = placed(
    beside,
    strides.map((length, i) => ({ axis: 3 + 2 * i, start: 0, length })),
  );
  const joined = g.reshape(whole, [n, c, ...places.map((p, i) => maxDim(p) * strides[i])]);
  return placed(
    joined,
    spans.map(({ image, stride, before }, i) => {
      const start = turned[i].phased ? phaseOf(image, stride, before).first * stride - before : 0;
      return { axis: 2 + i, start, length: image };
    }),
  );
}
