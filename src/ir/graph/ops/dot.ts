import { DTYPES } from '../../dtype.ts';
import { formatShape, shapesEqual, sizeOf, upTo } from '../../shape.ts';
import type { Build, Node, NodeOf, OpRule } from '../types.ts';

/** The parts of both operands' axes. */
export function dotParts(node: NodeOf<'dot'>) {
  const [a, b] = node.src;
  const { batch, contract } = node.arg;
  return {
    batch: a.shape.slice(0, batch),
    rows: a.shape.slice(batch, a.shape.length - contract),
    contracted: a.shape.slice(a.shape.length - contract),
    columns: b.shape.slice(batch + contract),
  };
}

/** Moves the last `count` axes in front of the others that follow the first `batch`. */
function rotate(b: Build, x: Node, batch: number, count: number): Node {
  const rank = x.shape.length;
  return b.permute(x, [
    ...upTo(0, batch),
    ...upTo(rank - count, rank),
    ...upTo(batch, rank - count),
  ]);
}

export const dot: OpRule<'dot'> = {
  infer([a, b], { batch, contract }) {
    const last = a.shape.slice(a.shape.length - contract);
    const first = b.shape.slice(batch, batch + contract);
    const agree =
      a.shape.length >= batch + contract &&
      b.shape.length >= batch + contract &&
      shapesEqual(a.shape.slice(0, batch), b.shape.slice(0, batch)) &&
      shapesEqual(last, first);
    if (!agree) {
      throw new TypeError(
        `dot: ${formatShape(a.shape)} and ${formatShape(b.shape)} do not agree in ${batch} batch ` +
          `and ${contract} contracted axes`,
      );
    }
    if (a.dtype !== b.dtype || DTYPES[a.dtype].kind === 'bool') {
      throw new TypeError(
        `dot: operands are ${a.dtype} and ${b.dtype}; expected equal number types`,
      );
    }
    const rows = a.shape.slice(batch, a.shape.length - contract);
    const columns = b.shape.slice(batch + contract);
    return { dtype: a.dtype, shape: [...a.shape.slice(0, batch), ...rows, ...columns] };
  },
  gradient: (b, node, g) => {
    const [x, y] = node.src;
    const { batch, contract } = node.arg;
    const { rows, columns } = dotParts(node);
    // dx [batch, rows, contracted] = g [batch, rows, columns] . y' [batch, columns, contracted]
    const yTurned = rotate(b, y, batch, columns.length);
    const dx = b.dot(g, yTurned, batch, columns.length);
    // dy [batch, contracted, columns] = x' [batch, contracted, rows] . g
    const xTurned = rotate(b, x, batch, contract);
    const dy = b.dot(xTurned, g, batch, rows.length);
    return [dx, dy];
  },
  batch: (b, node, [x, y]) => b.dot(x, y, node.arg.batch + 1, node.arg.contract),
  interpret(node, [x, y]) {
    const { batch, contract } = node.arg;
    const groups = sizeOf(x.shape.slice(0, batch));
    const depth = sizeOf(x.shape.slice(x.shape.length - contract));
    const rows = sizeOf(x.shape.slice(batch, x.shape.length - contract));
    const columns = sizeOf(y.shape.slice(batch + contract));
    const out = new Float64Array(groups * rows * columns);
    const integer = DTYPES[node.dtype].kind !== 'float';
    for (let group = 0; group < groups; group++) {
      for (let row = 0; row < rows; row++) {
        for (let k = 0; k < depth; k++) {
          const factor = x.data[(group * rows + row) * depth + k];
          const source = (group * depth + k) * columns;
          const target = (group * rows + row) * columns;
          for (let c = 0; c < columns; c++) {
            const value = y.data[source + c];
            if (integer) out[target + c] = (out[target + c] + Math.imul(factor, value)) | 0;
            else out[target + c] += factor * value;
          }
        }
      }
    }
    return out;
  },
};
