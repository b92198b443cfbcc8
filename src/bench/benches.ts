import { ATTENTION } from './attention.ts';
import type { Bench } from './bench.ts';
import { COMPILE } from './compile.ts';
import { DECODE } from './decode.ts';
import { ELEMENTWISE } from './elementwise.ts';
import { FIRST_TOKEN } from './first-token.ts';
import { GEMM } from './gemm.ts';
import { GEMV } from './gemv.ts';
import { MACHINE } from './machine.ts';
import { SERVE } from './serve.ts';
import { TRAIN_STEP } from './train-step.ts';

/** All benches, in the order of `all`. */
export const BENCHES: readonly Bench[] = [
  MACHINE,
  GEMM,
  GEMV,
  ELEMENTWISE,
  ATTENTION,
  DECODE,
  FIRST_TOKEN,
  COMPILE,
  TRAIN_STEP,
  SERVE,
];
