import { realizeAll } from './realize.ts';
import type { Tensor } from './tensor.ts';
import { refuseReading } from './trace.ts';

/** Computes tensors together: what they share is computed once. */
export async function realize(...tensors: readonly Tensor[]): Promise<void> {
  for (const t of tensors) refuseReading('realize', t);
  await realizeAll(tensors.map((t) => t.lazy));
}
