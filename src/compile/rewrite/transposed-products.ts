import { dot, permute } from '../../ir/graph/build.ts';
import type { Node } from '../../ir/graph/types.ts';
import { upTo } from '../../ir/shape.ts';
import { joinMovement } from './movements.ts';
import type { Pass } from './pass.ts';

/**
 * A product whose rows and columns are then exchanged is the product of the exchanged operands:
 * (A B)' = B' A', in the same order of sums. Gradients of weights are such products.
 */
export const transposedProducts: Pass = {
  name: 'transposed products',
  start: () => (node) => {
    if (node.op !== 'permute') return node;
    const [product] = node.src;
    if (product.op !== 'dot') return node;
    const [a, b] = product.src;
    const { batch, contract } = product.arg;
    const rows = a.shape.length - batch - contract;
    const rank = product.shape.length;
    const exchanged = [
      ...upTo(0, batch),
      ...upTo(batch + rows, rank),
      ...upTo(batch, batch + rows),
    ];
    if (!exchanged.every((axis, i) => axis === node.arg.order[i])) return node;
    const last = (x: Node, count: number) => {
      const axes = upTo(0, x.shape.length);
      const split = axes.length - count;
      const order = [...axes.slice(0, batch), ...axes.slice(split), ...axes.slice(batch, split)];
      return joinMovement(permute(x, order));
    };
    return dot(last(b, b.shape.length - batch - contract), last(a, contract), batch, contract);
  },
};
