import { badArgument } from '../../../base/errors.ts';
import type { DType } from '../../dtype.ts';
import { DTYPES, isFloat } from '../../dtype.ts';
import { formatShape, stridesOf } from '../../shape.ts';
import { BINARY, REDUCE } from '../functions.ts';
import type { Node, OpRule, ReduceFn } from '../types.ts';

/** The value of a reduction over nothing, in the given type. */
export function reduceIdentity(fn: ReduceFn, dtype: DType): number {
  const { identity } = REDUCE[fn];
  if (Number.isFinite(identity) || isFloat(dtype)) return identity;
  const unsigned = DTYPES[dtype].kind === 'uint';
  const bits = DTYPES[dtype].bytes * 8;
  if (identity < 0) return unsigned ? 0 : -(2 ** (bits - 1));
  return unsigned ? 2 ** bits - 1 : 2 ** (bits - 1) - 1;
}

export const reduce: OpRule<'reduce'> = {
  infer([x], { fn, axes }) {
    if (x.dtype === 'bool')
      throw new TypeError(`${fn}: operand is bool; expected numbers (cast first)`);
    const valid = axes.every(
      (axis, i) => x.shape[axis] !== undefined && (i === 0 || axes[i - 1] < axis),
    );
    if (!valid) throw badArgument(fn, 'axes', axes, `ascending axes of ${formatShape(x.shape)}`);
    return { dtype: x.dtype, shape: x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim)) };
  },
  gradient: (b, node, g) => {
    const [x] = node.src;
    const { fn, axes } = node.arg;
    return [REDUCE[fn].gradient(b, b.expand(g, x.shape), x, node as Node, axes)];
  },
  batch: (b, node, [x]) =>
    b.reduce(
      node.arg.fn,
      x,
      node.arg.axes.map((axis) => axis + 1),
    ),
  interpret(node, [x], shape) {
    const { fn, axes } = node.arg;
    const { evaluate } = BINARY[REDUCE[fn].combine];
    const integer = !isFloat(node.dtype);
    const out = new Float64Array(shape.reduce((n, d) => n * d, 1)).fill(
      reduceIdentity(fn, node.dtype),
    );
    const inner = stridesOf(x.shape);
    const outer = stridesOf(shape).map((s, axis) => (axes.includes(axis) ? 0 : s));
    for (let i = 0; i < x.data.length; i++) {
      let target = 0;
      for (let axis = 0; axis < inner.length; axis++) {
        target += (Math.floor(i / inner[axis]) % x.shape[axis]) * outer[axis];
      }
      out[target] = evaluate(out[target], x.data[i], integer);
    }
    return out;
  },
};
