import { badArgument } from '../../base/errors.ts';
import { formatShape, maxDim } from '../../ir/shape.ts';
import type { Tensor } from '../tensor.ts';
import { placesAlong } from './labels.ts';
import { diagonal } from './shape.ts';

/**
 * Matrices with the last axis of x on a diagonal and 0 elsewhere (torch.diag_embed).
 *
 * @param x [..., n]
 * @param options `offset` > 0: a diagonal above the main one
 * @returns [..., n + |offset|, n + |offset|]
 */
export function diagEmbed(x: Tensor, { offset = 0 }: { readonly offset?: number } = {}): Tensor {
  if (x.rank < 1) throw new TypeError('diagEmbed: x is a scalar; expected at least one axis');
  const extra = Math.abs(offset);
  const size = maxDim(x.shape[x.rank - 1]) + extra;
  const pads = x.shape.map((_, i): [number, number] => [0, i === x.rank - 1 ? extra : 0]);
  // Elements stand in their rows, or below the main diagonal in their columns.
  const padded = x.pad(pads).unsqueeze(offset >= 0 ? -1 : -2);
  const rank = x.rank + 1;
  const row = placesAlong(x, rank, rank - 2, size);
  const column = placesAlong(x, rank, rank - 1, size);
  return column.sub(row).eq(offset).where(padded, 0);
}

/**
 * Of a vector the matrix with it on a diagonal, of a matrix that diagonal (torch.diag).
 *
 * @param x [n] or [rows, columns]
 */
export function diag(x: Tensor, { offset = 0 }: { readonly offset?: number } = {}): Tensor {
  if (x.rank === 1) return diagEmbed(x, { offset });
  if (x.rank === 2) return diagonal(x, { offset });
  throw new TypeError(`diag: x is ${formatShape(x.shape)}; expected a vector or a matrix`);
}

/** The products of the elements of two vectors [n] and [m]: a matrix [n, m] (torch.outer). */
export function outer(x: Tensor, y: Tensor): Tensor {
  if (x.rank !== 1 || y.rank !== 1) {
    throw new TypeError(
      `outer: operands are ${formatShape(x.shape)} and ${formatShape(y.shape)}; expected vectors`,
    );
  }
  return x.unsqueeze(1).mul(y);
}

/**
 * The coordinates of a grid (torch.meshgrid): tensor i repeated along all axes but its own.
 *
 * @param tensors vectors of n0, n1, ... elements
 * @param options `indexing`: ij gives [n0, n1, ...]; xy exchanges the first two axes
 */
export function meshgrid(
  tensors: readonly Tensor[],
  { indexing = 'ij' }: { readonly indexing?: 'ij' | 'xy' } = {},
): Tensor[] {
  if (indexing !== 'ij' && indexing !== 'xy') {
    throw badArgument('meshgrid', 'indexing', indexing, 'ij or xy');
  }
  const wrong = tensors.find((x) => x.rank !== 1);
  if (wrong) {
    throw new TypeError(`meshgrid: a tensor is ${formatShape(wrong.shape)}; expected vectors`);
  }
  const shape = tensors.map((x) => x.shape[0]);
  return tensors.map((x, i) => {
    const along = shape.map((dim, axis) => (axis === i ? dim : 1));
    const grid = x.reshape(along).expand(shape);
    return indexing === 'xy' && shape.length > 1 ? grid.transpose(0, 1) : grid;
  });
}

/**
 * Differences of neighbours along an axis (torch.diff).
 *
 * @param options `n`: how often they are taken, each time with one element less
 */
export function diff(
  x: Tensor,
  { n = 1, axis = -1 }: { readonly n?: number; readonly axis?: number } = {},
): Tensor {
  if (!Number.isInteger(n) || n < 0) throw badArgument('diff', 'n', n, 'an integer >= 0');
  let result = x;
  for (let i = 0; i < n; i++) {
    const size = maxDim(result.shape.at(axis) ?? 1);
    const rest = Math.max(0, size - 1);
    result = result.narrow(axis, size - rest, rest).sub(result.narrow(axis, 0, rest));
  }
  return result;
}
