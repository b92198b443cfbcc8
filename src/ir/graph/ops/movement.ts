import { badArgument } from '../../../base/errors.ts';
import {
  type Dim,
  dimsEqual,
  formatShape,
  isVar,
  maxDim,
  type Shape,
  sizeOf,
  stridesOf,
} from '../../shape.ts';
import type { NdArray, OpRule } from '../types.ts';

/** Reads x at every place of the result; `at` gives the offset in x, or -1 for `other`. */
function move(
  x: NdArray,
  shape: readonly number[],
  at: (place: readonly number[]) => number,
  other = 0,
): Float64Array {
  const out = new Float64Array(sizeOf(shape));
  const place = shape.map(() => 0);
  for (let i = 0; i < out.length; i++) {
    const offset = at(place);
    out[i] = offset < 0 ? other : x.data[offset];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place[axis] += 1;
      if (place[axis] < shape[axis]) break;
      place[axis] = 0;
    }
  }
  return out;
}

function offsetOf(place: readonly number[], strides: readonly number[]): number {
  return place.reduce((sum, p, axis) => sum + p * strides[axis], 0);
}

function requireRank(what: string, name: string, list: readonly unknown[], shape: Shape): void {
  if (list.length !== shape.length) {
    throw badArgument(what, name, list, `one entry for each axis of ${formatShape(shape)}`);
  }
}

const isCount = (n: number) => Number.isInteger(n) && n >= 0;

/** A var axis must stay an axis of its own, with as many elements before it as before. */
function keepsVars(from: Shape, to: Shape): boolean {
  const cuts = (shape: Shape) =>
    shape.flatMap((dim, axis) =>
      isVar(dim) ? [`${sizeOf(shape.slice(0, axis))}:${dim.name}`] : [],
    );
  return cuts(from).join() === cuts(to).join();
}

export const reshape: OpRule<'reshape'> = {
  infer([x], { shape }) {
    if (!shape.every((d) => isCount(maxDim(d)))) {
      throw badArgument('reshape', 'shape', shape, 'sizes >= 0');
    }
    if (sizeOf(shape) !== sizeOf(x.shape)) {
      throw new TypeError(
        `reshape: ${formatShape(x.shape)} has ${sizeOf(x.shape)} elements, ` +
          `${formatShape(shape)} has ${sizeOf(shape)}; expected equal numbers`,
      );
    }
    if (!keepsVars(x.shape, shape)) {
      throw new TypeError(
        `reshape: ${formatShape(x.shape)} to ${formatShape(shape)} splits or merges a symbolic axis; ` +
          'symbolic axes must stay as they are',
      );
    }
    return { dtype: x.dtype, shape };
  },
  gradient: (b, node, g) => [b.reshape(g, node.src[0].shape)],
  batch: (b, node, [x], size) => b.reshape(x, [size, ...node.arg.shape]),
  interpret: (_node, [x]) => x.data,
};

export const permute: OpRule<'permute'> = {
  infer([x], { order }) {
    const seen = new Set(order);
    if (seen.size !== x.shape.length || order.some((axis) => x.shape[axis] === undefined)) {
      throw badArgument('permute', 'order', order, `each axis of ${formatShape(x.shape)} once`);
    }
    return { dtype: x.dtype, shape: order.map((axis) => x.shape[axis]) };
  },
  gradient: (b, node, g) => {
    const inverse = node.arg.order.map((_, axis) => node.arg.order.indexOf(axis));
    return [b.permute(g, inverse)];
  },
  batch: (b, node, [x]) => b.permute(x, [0, ...node.arg.order.map((axis) => axis + 1)]),
  interpret(node, [x], shape) {
    const strides = stridesOf(x.shape);
    const moved = node.arg.order.map((axis) => strides[axis]);
    return move(x, shape, (place) => offsetOf(place, moved));
  },
};

export const expand: OpRule<'expand'> = {
  infer([x], { shape }) {
    requireRank('expand', 'shape', shape, x.shape);
    x.shape.forEach((dim, axis) => {
      if (dim !== 1 && !dimsEqual(dim, shape[axis])) {
        throw new TypeError(
          `expand: ${formatShape(x.shape)} to ${formatShape(shape)}; only axes of size 1 can grow`,
        );
      }
    });
    return { dtype: x.dtype, shape };
  },
  gradient: (b, node, g) => [b.sumTo(g, node.src[0].shape)],
  batch: (b, node, [x], size) => b.expand(x, [size, ...node.arg.shape]),
  interpret(_node, [x], shape) {
    const strides = stridesOf(x.shape).map((s, axis) => (x.shape[axis] === 1 ? 0 : s));
    return move(x, shape, (place) => offsetOf(place, strides));
  },
};

export const pad: OpRule<'pad'> = {
  infer([x], { pads }) {
    requireRank('pad', 'pads', pads, x.shape);
    const shape = x.shape.map((dim, axis): Dim => {
      const [before, after] = pads[axis];
      if (!isCount(before) || !isCount(after)) {
        throw badArgument('pad', `pads[${axis}]`, pads[axis], 'two integers >= 0');
      }
      if (before === 0 && after === 0) return dim;
      if (isVar(dim))
        throw badArgument('pad', `pads[${axis}]`, pads[axis], '[0, 0] on a symbolic axis');
      return before + dim + after;
    });
    return { dtype: x.dtype, shape };
  },
  gradient: (b, node, g) => {
    const { shape } = node.src[0];
    return [
      b.shrink(
        g,
        shape.map((dim, axis) => [node.arg.pads[axis][0], dim] as const),
      ),
    ];
  },
  batch: (b, node, [x]) => b.pad(x, [[0, 0], ...node.arg.pads], node.arg.value),
  interpret(node, [x], shape) {
    const strides = stridesOf(x.shape);
    const at = (place: readonly number[]) => {
      let offset = 0;
      for (let axis = 0; axis < place.length; axis++) {
        const p = place[axis] - node.arg.pads[axis][0];
        if (p < 0 || p >= x.shape[axis]) return -1;
        offset += p * strides[axis];
      }
      return offset;
    };
    return move(x, shape, at, node.arg.value);
  },
};

export const shrink: OpRule<'shrink'> = {
  infer([x], { ranges }) {
    requireRank('shrink', 'ranges', ranges, x.shape);
    const shape = x.shape.map((dim, axis): Dim => {
      const [start, length] = ranges[axis];
      const whole = start === 0 && dimsEqual(length, dim);
      if (whole) return dim;
      if (
        isVar(dim) ||
        !isCount(start) ||
        !isCount(maxDim(length)) ||
        start + maxDim(length) > dim
      ) {
        const expected = `a start and a length within the axis of ${formatShape([dim])}`;
        throw badArgument('shrink', `ranges[${axis}]`, ranges[axis], expected);
      }
      return length;
    });
    return { dtype: x.dtype, shape };
  },
  gradient: (b, node, g) => {
    const pads = node.src[0].shape.map((dim, axis): [number, number] => {
      const [start, length] = node.arg.ranges[axis];
      if (isVar(length) && !dimsEqual(length, dim)) {
        throw new TypeError(
          `shrink: no gradient through the symbolic length ${length.name}; train with static shapes`,
        );
      }
      return [start, maxDim(dim) - start - maxDim(length)];
    });
    return [b.pad(g, pads, 0)];
  },
  batch: (b, node, [x], size) => b.shrink(x, [[0, size], ...node.arg.ranges]),
  interpret(node, [x], shape) {
    const strides = stridesOf(x.shape);
    const origin = offsetOf(
      node.arg.ranges.map(([start]) => start),
      strides,
    );
    return move(x, shape, (place) => origin + offsetOf(place, strides));
  },
};

export const flip: OpRule<'flip'> = {
  infer([x], { axes }) {
    for (const axis of axes) {
      const dim = x.shape[axis];
      if (dim === undefined || isVar(dim)) {
        throw badArgument('flip', 'axes', axes, `static axes of ${formatShape(x.shape)}`);
      }
    }
    return { dtype: x.dtype, shape: x.shape };
  },
  gradient: (b, node, g) => [b.flip(g, node.arg.axes)],
  batch: (b, node, [x]) =>
    b.flip(
      x,
      node.arg.axes.map((axis) => axis + 1),
    ),
  interpret(node, [x], shape) {
    const strides = stridesOf(x.shape);
    const origin = node.arg.axes.reduce((sum, axis) => sum + (shape[axis] - 1) * strides[axis], 0);
    const signed = strides.map((s, axis) => (node.arg.axes.includes(axis) ? -s : s));
    return move(x, shape, (place) => origin + offsetOf(place, signed));
  },
};
