import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import type { Value } from '../../ir/kernel/types.ts';

/**
 * x y + sum, the step of every product: templates that share it give the same bits. Only f32 has a
 * fused form everywhere; integers need none: their sums are exact.
 */
export function multiplyAdd(b: KernelBuilder, x: Value, y: Value, sum: Value): Value {
  if (sum.dtype === 'f32') return b.fma(x, y, sum);
  return b.binary('add', sum, b.binary('mul', x, y));
}
