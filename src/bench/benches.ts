import { ATTENTION } from './attention.ts';
import type { Bench } from './bench.ts';
import { COMPILE } from './compile.ts';
import { DECODE } from './decode.ts';
import { ELEMENTWISE } from './elementwise.ts';
import { GEMM } from './gemm.ts';
import { SERVE } from './serve.ts';
import { TRAIN_STEP } from './train-step.ts';

/** All benches, in the order of `all`. */
export const BENCHES: readonly Bench[] = [
  GEMM,
  ELEMENTWISE,
  ATTENTION,
  DECODE,
  COMPILE,
  TRAIN_STEP,
  SERVE,
];
