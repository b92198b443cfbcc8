import { badArgument } from '../../../base/errors.ts';
import { formatShape, isVar, sizeOf } from '../../shape.ts';
import type { OpRule } from '../types.ts';

/** The order of a sort: NaN comes after all numbers, the zeros are equal. */
function compareNumbers(x: number, y: number): number {
  if (x < y) return -1;
  if (y < x) return 1;
  return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
}

export const sort: OpRule<'sort'> = {
  infer([x], { axis }) {
    const dim = x.shape[axis];
    if (dim === undefined || isVar(dim)) {
      throw badArgument('sort', 'axis', axis, `a static axis of ${formatShape(x.shape)}`);
    }
    return { dtype: 'i32', shape: x.shape };
  },
  gradient: null,
  batch: (b, node, [x]) => b.sort(x, node.arg.axis + 1),
  interpret(node, [x], shape) {
    const { axis } = node.arg;
    const inner = sizeOf(shape.slice(axis + 1));
    const row = shape[axis] * inner;
    const out = new Float64Array(x.data.length);
    const places = new Int32Array(shape[axis]);
    for (let start = 0; start < out.length; start += row) {
      for (let column = 0; column < inner; column++) {
        const at = (place: number) => start + column + place * inner;
        places.forEach((_, i) => {
          places[i] = i;
        });
        // The place decides between equals: the sort of typed arrays need not be stable.
        places.sort((p, q) => compareNumbers(x.data[at(p)], x.data[at(q)]) || p - q);
        places.forEach((place, i) => {
          out[at(i)] = place;
        });
      }
    }
    return out;
  },
};
