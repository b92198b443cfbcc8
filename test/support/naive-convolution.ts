/** Convolution and pooling by their definitions: loops over every place, in doubles. */

export interface ConvolutionCase {
  readonly batch: number;
  readonly channels: number;
  readonly outputs: number;
  readonly groups: number;
  readonly image: readonly number[];
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
}

const sizeOf = (shape: readonly number[]) => shape.reduce((n, d) => n * d, 1);

/** Calls `visit` for every place of a shape. */
export function eachPlace(
  shape: readonly number[],
  visit: (place: readonly number[], i: number) => void,
): void {
  for (let i = 0; i < sizeOf(shape); i++) {
    let rest = i;
    const place = [...shape];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place[axis] = rest % shape[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    visit(place, i);
  }
}

function offset(place: readonly number[], shape: readonly number[]): number {
  return place.reduce((sum, p, axis) => sum * shape[axis] + p, 0);
}

export function resultOf(c: ConvolutionCase): number[] {
  return c.image.map((n, i) => {
    const reach = (c.kernel[i] - 1) * c.dilation[i] + 1;
    return Math.floor((n + 2 * c.padding[i] - reach) / c.stride[i]) + 1;
  });
}

/**
 * Every product of a convolution: calls `visit` with the places in image, weight and result. The
 * result, both gradients and the transpose are sums over these.
 */
export function eachProduct(
  c: ConvolutionCase,
  visit: (image: number, weight: number, result: number) => void,
): void {
  const result = resultOf(c);
  const [inGroup, outGroup] = [c.channels / c.groups, c.outputs / c.groups];
  const places = [c.batch, c.groups, outGroup, inGroup, ...result, ...c.kernel];
  const spatial = c.image.length;
  eachPlace(places, ([n, group, o, i, ...rest]) => {
    const [at, k] = [rest.slice(0, spatial), rest.slice(spatial)];
    const seen = at.map((p, a) => p * c.stride[a] + k[a] * c.dilation[a] - c.padding[a]);
    if (seen.some((p, a) => p < 0 || p >= c.image[a])) return;
    const channel = group * outGroup + o;
    visit(
      offset([n, group * inGroup + i, ...seen], [c.batch, c.channels, ...c.image]),
      offset([channel, i, ...k], [c.outputs, inGroup, ...c.kernel]),
      offset([n, channel, ...at], [c.batch, c.outputs, ...result]),
    );
  });
}
