import { badArgument } from '../base/errors.ts';
import { arange, type Device, type Tensor, tensor } from '../tensor/index.ts';

/**
 * How steeply the scores of each head fall with distance (Press et al. 2022): powers of
 * 2^(-8 / heads); where the heads are no power of two, those of the power below, then every other one
 * of the power above.
 *
 * @returns [heads]
 */
export function alibiSlopes(heads: number): Float32Array {
  if (!Number.isInteger(heads) || heads < 1) {
    throw badArgument('alibiSlopes', 'heads', heads, 'an integer >= 1');
  }
  const below = 2 ** Math.floor(Math.log2(heads));
  return Float32Array.from({ length: heads }, (_, i) =>
    i < below ? 2 ** ((-8 * (i + 1)) / below) : 2 ** ((-4 * (2 * (i - below) + 1)) / below),
  );
}

/** What ALiBi adds to scores, [1, heads, queries, keys]: minus slope times distance. */
export function alibiBias(heads: number, queries: number, keys: number, device: Device): Tensor {
  const slopes = tensor(alibiSlopes(heads), { device }).reshape([1, heads, 1, 1]);
  const distance = arange(queries, { device }).unsqueeze(1).sub(arange(keys, { device })).abs();
  return slopes.mul(distance.cast('f32')).neg();
}
