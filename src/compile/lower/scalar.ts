import { InternalError } from '../../base/errors.ts';
import type * as graph from '../../ir/graph/types.ts';
import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import type { Value } from '../../ir/kernel/types.ts';
import { expandBinary, expandUnary } from './math/index.ts';

/** Scalar functions of the graph in kernel IR: most are one operation, the rest expansions. */
export function lowerUnary(b: KernelBuilder, fn: graph.UnaryFn, x: Value): Value {
  switch (fn) {
    case 'neg':
    case 'abs':
    case 'sqrt':
    case 'floor':
    case 'ceil':
    case 'trunc':
    case 'not':
      return b.unary(fn, x);
    case 'round':
      return b.unary('nearest', x);
    case 'sign':
      return x.dtype === 'f32' ? expandUnary(b, fn, x) : integerSign(b, x);
    case 'sigmoid': {
      const e = expandUnary(b, 'exp', b.unary('neg', x));
      return expandUnary(b, 'reciprocal', b.binary('add', b.const(x.dtype, 1), e));
    }
    case 'rsqrt':
    case 'reciprocal':
    case 'exp':
    case 'exp2':
    case 'expm1':
    case 'log':
    case 'log2':
    case 'log1p':
    case 'sin':
    case 'cos':
    case 'tan':
    case 'atan':
    case 'tanh':
    case 'erf':
      return expandUnary(b, fn, x);
    default:
      return fn satisfies never;
  }
}

function integerSign(b: KernelBuilder, x: Value): Value {
  const one = b.const(x.dtype, 1);
  const minusOne = b.const(x.dtype, -1);
  return b.binary('max', minusOne, b.binary('min', one, x));
}

export function lowerBinary(b: KernelBuilder, fn: graph.BinaryFn, x: Value, y: Value): Value {
  switch (fn) {
    case 'pow':
    case 'atan2':
      return expandBinary(b, fn, x, y);
    case 'add':
    case 'sub':
    case 'mul':
    case 'div':
    case 'rem':
    case 'max':
    case 'min':
    case 'and':
    case 'or':
    case 'xor':
    case 'shl':
    case 'shr':
      return b.binary(fn, x, y);
    default:
      return fn satisfies never;
  }
}

/** The initial value of a reduction's accumulator. */
export function identityValue(b: KernelBuilder, dtype: Value['dtype'], identity: number): Value {
  if (dtype === 'bool') throw new InternalError('there are no reductions of bool');
  return b.const(dtype, identity);
}
