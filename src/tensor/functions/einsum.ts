import { badArgument } from '../../base/errors.ts';
import { promote } from '../../ir/dtype.ts';
import * as g from '../../ir/graph/build.ts';
import { type Dim, dimsEqual, formatDim } from '../../ir/shape.ts';
import { productNodes } from '../autocast.ts';
import type { Tensor } from '../tensor.ts';
import { parseEquation } from './einsum-equation.ts';
import { diagonal } from './shape.ts';

/** A tensor whose axes have names, each once. */
interface Named {
  readonly x: Tensor;
  readonly labels: readonly string[];
}

/**
 * Sums of products by Einstein's convention (torch.einsum): ellipsis, repeated labels (diagonals
 * and traces), implicit output, any number of operands, joined from left to right.
 *
 * @example einsum('bqhd,bkhd->bhqk', q, k)
 */
export function einsum(equation: string, ...operands: readonly Tensor[]): Tensor {
  const [first] = operands;
  if (!first) throw badArgument('einsum', 'operands', operands, 'at least one tensor');
  const { inputs, output } = parseEquation(
    equation,
    operands.map((x) => x.rank),
  );
  const dtype = operands.reduce((type, x) => promote(type, x.dtype), first.dtype);
  const sizes = commonSizes(equation, operands, inputs);
  const named = operands.map((x, i) => {
    const { x: y, labels } = uniqueLabels(x.cast(dtype), inputs[i]);
    // Axes of size 1 are repeated where another operand has more.
    return { x: y.expand(labels.map((label) => sizes.get(label) as Dim)), labels };
  });
  let result = sumAllBut(named[0], [...named.slice(1).flatMap((n) => n.labels), ...output]);
  for (let i = 1; i < named.length; i++) {
    const later = new Set([...named.slice(i + 1).flatMap((n) => n.labels), ...output]);
    result = contract(result, named[i], later);
  }
  return result.x.permute(output.map((label) => result.labels.indexOf(label)));
}

function commonSizes(
  equation: string,
  operands: readonly Tensor[],
  inputs: readonly (readonly string[])[],
): Map<string, Dim> {
  const sizes = new Map<string, Dim>();
  operands.forEach((x, i) => {
    inputs[i].forEach((label, axis) => {
      const dim = x.shape[axis];
      const known = sizes.get(label) ?? 1;
      if (known === 1) sizes.set(label, dim);
      else if (dim !== 1 && !dimsEqual(dim, known)) {
        const expected = `equal sizes of ${label} (${formatDim(known)} and ${formatDim(dim)})`;
        throw badArgument('einsum', 'equation', equation, expected);
      }
    });
  });
  return sizes;
}

/** Takes the diagonal of axes with the same label. */
function uniqueLabels(x: Tensor, labels: readonly string[]): Named {
  const axis1 = labels.findIndex((label, i) => labels.indexOf(label) < i);
  if (axis1 < 0) return { x, labels };
  const label = labels[axis1];
  const axis0 = labels.indexOf(label);
  if (!dimsEqual(x.shape[axis0], x.shape[axis1])) {
    throw badArgument('einsum', 'equation', label, 'equal sizes of a label within an operand');
  }
  const others = labels.filter((_, i) => i !== axis0 && i !== axis1);
  return uniqueLabels(diagonal(x, { axis0, axis1 }), [...others, label]);
}

/** Sums over the labels that nobody wants any more. */
function sumAllBut({ x, labels }: Named, wanted: readonly string[]): Named {
  const axes = labels.flatMap((label, i) => (wanted.includes(label) ? [] : [i]));
  if (axes.length === 0) return { x, labels };
  return { x: x.sum(axes), labels: labels.filter((label) => wanted.includes(label)) };
}

/** Joins two operands: a product of matrices where labels are summed, else of elements. */
function contract(left: Named, right: Named, later: ReadonlySet<string>): Named {
  const a = sumAllBut(left, [...right.labels, ...later]);
  const b = sumAllBut(right, [...left.labels, ...later]);
  const both = a.labels.filter((label) => b.labels.includes(label));
  const batch = both.filter((label) => later.has(label));
  const summed = both.filter((label) => !later.has(label));
  const rows = a.labels.filter((label) => !both.includes(label));
  const columns = b.labels.filter((label) => !both.includes(label));
  const labels = [...batch, ...rows, ...columns];
  const order = (n: Named, axes: readonly string[]) =>
    n.x.permute(axes.map((label) => n.labels.indexOf(label)));
  if (summed.length === 0) {
    const x = order(a, [...batch, ...rows]);
    const shape = [...x.shape, ...columns.map(() => 1)];
    const y = order(b, [...batch, ...columns]);
    const between = [...y.shape.slice(0, batch.length), ...rows.map(() => 1)];
    return {
      x: x.reshape(shape).mul(y.reshape([...between, ...y.shape.slice(batch.length)])),
      labels,
    };
  }
  const x = order(a, [...batch, ...rows, ...summed]);
  const y = order(b, [...batch, ...summed, ...columns]);
  const [l, r] = productNodes(x.node, y.node);
  return { x: x.derive(g.dot(l, r, batch.length, summed.length), y), labels };
}
