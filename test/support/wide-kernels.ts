import type { KernelTarget } from '../../src/ir/kernel/types.ts';

/** What machines with wider vectors than WebAssembly's can do. */
export const WIDE_KERNELS: readonly KernelTarget[] = [
  { lanes: 8, laneMasks: true, wideByteDot: true, hints: true },
  { lanes: 16, laneMasks: true, wideByteDot: true, hints: true },
];
