import type { KernelTarget } from '../../src/ir/kernel/types.ts';

/** What machines with wider vectors than WebAssembly's can do. */
export const WIDE_KERNELS: readonly KernelTarget[] = [
  { lanes: 8, laneMasks: true, wideByteDot: true, prefetches: true },
  { lanes: 16, laneMasks: true, wideByteDot: true, prefetches: true },
];
