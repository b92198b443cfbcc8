import { badArgument } from '../../../base/errors.ts';
import { dimsEqual, formatShape, isVar, maxDim, type Shape, stridesOf } from '../../shape.ts';
import type { NdArray, Node, OpRule } from '../types.ts';

/** The error of an index outside its axis: every device throws this one. */
export function indexOutOfRange(what: string, value: number, size: number): RangeError {
  return new RangeError(`${what}: index ${value} is out of range; expected 0 to ${size - 1}`);
}

/** The text by which a checked index is known in errors. */
export function indexingText(op: 'gather' | 'scatter', shape: Shape, axis: number): string {
  return `${op} on axis ${axis} of ${formatShape(shape)}`;
}

function requireIndex(what: string, x: Node, index: Node, axis: number): void {
  if (index.dtype !== 'i32') {
    throw new TypeError(`${what}: index is ${index.dtype}; expected i32`);
  }
  const dim = x.shape[axis];
  if (dim === undefined || isVar(dim)) {
    throw badArgument(what, 'axis', axis, `a static axis of ${formatShape(x.shape)}`);
  }
  const fits =
    x.shape.length === index.shape.length &&
    x.shape.every((d, i) => i === axis || dimsEqual(d, index.shape[i]));
  if (!fits) {
    throw new TypeError(
      `${what}: index is ${formatShape(index.shape)}; expected the shape ${formatShape(x.shape)} ` +
        `except on axis ${axis}`,
    );
  }
}

/** Calls `visit` with the offset in x that each element of the index points to. */
function follow(
  op: 'gather' | 'scatter',
  declared: Shape,
  x: NdArray,
  index: NdArray,
  axis: number,
  visit: (offset: number, i: number) => void,
): void {
  const strides = stridesOf(x.shape);
  const places = stridesOf(index.shape);
  for (let i = 0; i < index.data.length; i++) {
    const value = index.data[i];
    if (value < 0 || value >= x.shape[axis]) {
      throw indexOutOfRange(indexingText(op, declared, axis), value, x.shape[axis]);
    }
    let offset = value * strides[axis];
    for (let a = 0; a < places.length; a++) {
      if (a !== axis) offset += (Math.floor(i / places[a]) % index.shape[a]) * strides[a];
    }
    visit(offset, i);
  }
}

export const gather: OpRule<'gather'> = {
  infer([x, index], { axis }) {
    requireIndex('gather', x, index, axis);
    if (maxDim(x.shape[axis]) === 0 && index.shape.every((d) => maxDim(d) > 0)) {
      throw badArgument('gather', 'axis', axis, 'an axis that is not empty');
    }
    return { dtype: x.dtype, shape: index.shape };
  },
  gradient: (b, node, g) => {
    const [x, index] = node.src;
    return [b.scatter(b.constLike(x, 0), index, g, node.arg.axis, 'add'), null];
  },
  batch: (b, node, [x, index]) => b.gather(x, index, node.arg.axis + 1),
  interpret(node, [x, index], shape) {
    const out = new Float64Array(shape.reduce((n, d) => n * d, 1));
    follow('gather', node.src[0].shape, x, index, node.arg.axis, (offset, i) => {
      out[i] = x.data[offset];
    });
    return out;
  },
};

export const scatter: OpRule<'scatter'> = {
  infer([x, index, updates], { axis }) {
    requireIndex('scatter', x, index, axis);
    if (updates.dtype !== x.dtype) {
      throw new TypeError(`scatter: updates are ${updates.dtype}; expected ${x.dtype}`);
    }
    if (formatShape(updates.shape) !== formatShape(index.shape)) {
      throw new TypeError(
        `scatter: updates are ${formatShape(updates.shape)}; expected ${formatShape(index.shape)}`,
      );
    }
    return { dtype: x.dtype, shape: x.shape };
  },
  gradient: (b, node, g) => {
    const [, index, updates] = node.src;
    const { axis, mode } = node.arg;
    const toUpdates = b.gather(g, index, axis);
    if (mode === 'add') return [g, null, toUpdates];
    const overwritten = b.scatter(g, index, b.constLike(updates, 0), axis, 'set');
    return [overwritten, null, toUpdates];
  },
  batch: (b, node, [x, index, updates]) =>
    b.scatter(x, index, updates, node.arg.axis + 1, node.arg.mode),
  interpret(node, [x, index, updates]) {
    const out = x.data.slice();
    follow('scatter', node.src[0].shape, x, index, node.arg.axis, (offset, i) => {
      out[offset] = node.arg.mode === 'add' ? out[offset] + updates.data[i] : updates.data[i];
    });
    return out;
  },
};
