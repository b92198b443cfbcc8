import type { KernelBuilder } from '../../../ir/kernel/builder.ts';
import type { Value } from '../../../ir/kernel/types.ts';
import { atan, atan2 } from './atan.ts';
import { erf } from './erf.ts';
import { exp, exp2, expm1 } from './exp.ts';
import { log, log1p, log2 } from './log.ts';
import { Ops } from './ops.ts';
import { pow } from './pow.ts';
import { reciprocal, round, rsqrt, sign } from './simple.ts';
import { tanh } from './tanh.ts';
import { cos, sin, tan } from './trig.ts';

export type FloatUnaryFn =
  | 'exp'
  | 'exp2'
  | 'expm1'
  | 'log'
  | 'log2'
  | 'log1p'
  | 'sin'
  | 'cos'
  | 'tan'
  | 'atan'
  | 'tanh'
  | 'erf'
  | 'rsqrt'
  | 'reciprocal'
  | 'sign'
  | 'round';
export type FloatBinaryFn = 'pow' | 'atan2';

const UNARY: { readonly [F in FloatUnaryFn]: (o: Ops, x: Value) => Value } = {
  exp,
  exp2,
  expm1,
  log,
  log2,
  log1p,
  sin,
  cos,
  tan,
  atan,
  tanh,
  erf,
  rsqrt,
  reciprocal,
  sign,
  round,
};

const BINARY: { readonly [F in FloatBinaryFn]: (o: Ops, x: Value, y: Value) => Value } = {
  pow,
  atan2,
};

/** Those that come down to single operations, in any float type. */
const ANY_FLOAT: ReadonlySet<string> = new Set(['rsqrt', 'reciprocal', 'sign', 'round']);

function check(fn: string, x: Value): void {
  if (x.dtype === 'f32' || (x.dtype === 'f64' && ANY_FLOAT.has(fn))) return;
  throw new TypeError(
    `${fn} of ${x.dtype} has no kernel, only that of f32; cast to f32, or use device: 'interpret'`,
  );
}

/**
 * A function of f32 values as operations of the kernel IR, for one lane or a vector: no branches,
 * the same bits on every target. NaN gives NaN. Each function's comment states its error.
 */
export function expandUnary(b: KernelBuilder, fn: FloatUnaryFn, x: Value): Value {
  check(fn, x);
  if (x.dtype === 'f64') return UNARY[fn](new Ops(b), x);
  // By way of a vector: a single value must get the bits that it would get in a lane.
  const result = UNARY[fn](new Ops(b), b.splat(x));
  return x.lanes === 1 ? b.lane(result, 0) : result;
}

/** The same for two arguments: x to the power y, and the angle of the point (y, x). */
export function expandBinary(b: KernelBuilder, fn: FloatBinaryFn, x: Value, y: Value): Value {
  check(fn, x);
  check(fn, y);
  const lanes = Math.max(x.lanes, y.lanes);
  const result = BINARY[fn](new Ops(b), b.splat(x), b.splat(y));
  return lanes === 1 ? b.lane(result, 0) : result;
}
