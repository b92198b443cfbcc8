import { badArgument } from '../../base/errors.ts';
import type { DType } from '../../ir/dtype.ts';
import type { Tensor } from '../tensor.ts';

/** The largest finite numbers of the float formats below f32. */
const LARGEST: Partial<Record<DType, number>> = {
  f16: 65504,
  bf16: (2 - 2 ** -7) * 2 ** 127,
  f8e5m2: 57344,
  f8e4m3: 448,
};

/**
 * The cast of OCP's saturating mode: what is too large, and infinity, becomes the largest finite
 * number of its sign; NaN stays NaN. (Tensor.cast gives infinity, or NaN in f8e4m3.)
 */
export function castSaturating(x: Tensor, dtype: DType): Tensor {
  const limit = LARGEST[dtype];
  if (limit === undefined) {
    throw badArgument('castSaturating', 'dtype', dtype, Object.keys(LARGEST).join(', '));
  }
  return x.clamp(-limit, limit).cast(dtype);
}
