import { realizeAll } from './realize.ts';
import type { Tensor } from './tensor.ts';

/** Computes tensors together: what they share is computed once. */
export async function realize(...tensors: readonly Tensor[]): Promise<void> {
  await realizeAll(tensors.map((t) => t.lazy));
}
