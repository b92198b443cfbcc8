import { badArgument } from '../../base/errors.ts';
import type { DType } from '../../ir/dtype.ts';
import type { Tensor } from '../tensor.ts';
import { asLabels, checkedLabels, isLabel } from './labels.ts';

/**
 * 1 at the place of each label, 0 elsewhere, along a new last axis (torch.nn.functional.one_hot).
 *
 * @param labels integers [...]
 * @returns [..., classes], of i32 unless `dtype` says otherwise
 * @throws RangeError (when it runs) for a label out of 0..classes-1
 */
export function oneHot(
  labels: Tensor,
  classes: number,
  { dtype = 'i32' }: { readonly dtype?: DType } = {},
): Tensor {
  if (!Number.isInteger(classes) || classes < 1) {
    throw badArgument('oneHot', 'classes', classes, 'an integer > 0');
  }
  const places = checkedLabels(asLabels('oneHot', 'labels', labels), classes);
  return isLabel(places, places.rank, classes).cast(dtype);
}

/**
 * Rows of a table by index (torch.nn.functional.embedding).
 *
 * @param index integers [...]
 * @param table [count, width]
 * @param options `paddingIdx`: this row is read like the others but gets no gradient
 * @returns [..., width]
 * @throws RangeError (when it runs) for an index out of 0..count-1
 */
export function embedding(
  index: Tensor,
  table: Tensor,
  { paddingIdx = null }: { readonly paddingIdx?: number | null } = {},
): Tensor {
  const rows = table.embedding(index);
  if (paddingIdx === null) return rows;
  return index.eq(paddingIdx).unsqueeze(-1).where(rows.detach(), rows);
}
