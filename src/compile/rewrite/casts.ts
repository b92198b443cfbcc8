import { DTYPES, type DType, isFloat } from '../../ir/dtype.ts';
import { cast, where } from '../../ir/graph/build.ts';
import { castNumber } from '../../ir/graph/ops/elementwise.ts';
import type { Node, NodeOf } from '../../ir/graph/types.ts';
import { constantLike, constantValue } from './constants.ts';
import type { Pass } from './pass.ts';

/**
 * A cast to the same type goes, one after a cast that lost nothing starts from the first type, and
 * a choice between constants is made among constants of the wanted type.
 */
export const exactCasts: Pass = {
  name: 'exact casts',
  start: () => (node) => (node.op === 'cast' ? withoutDetour(node) : node),
};

function withoutDetour(node: NodeOf<'cast'> & Node): Node {
  const [x] = node.src;
  const to = node.dtype;
  if (x.dtype === to) return x;
  if (x.op === 'where') return ofConstants(node, x);
  if (x.op !== 'cast') return node;
  const from = x.src[0].dtype;
  if (!holds(x.dtype, from)) return node;
  // An integer that comes as a float is cut off at the ends of the range, as an integer it wraps.
  const wraps = !isFloat(from) && isFloat(x.dtype) && !isFloat(to);
  return wraps && !holds(to, from) ? node : cast(x.src[0], to);
}

function ofConstants(node: Node, choice: NodeOf<'where'>): Node {
  const [condition, ...branches] = choice.src;
  const values = branches.map(constantValue);
  if (values.includes(undefined)) return node;
  const [a, b] = values.map((v) =>
    constantLike(node, castNumber(v as number, choice.dtype, node.dtype)),
  );
  return where(condition, a, b);
}

/** Bits of the significand and range of exponents, as far as the order of types needs them. */
const FLOATS: Partial<Record<DType, { readonly digits: number; readonly widerThan: DType[] }>> = {
  f64: { digits: 53, widerThan: ['f32', 'f16', 'bf16', 'f8e4m3', 'f8e5m2'] },
  f32: { digits: 24, widerThan: ['f16', 'bf16', 'f8e4m3', 'f8e5m2'] },
  f16: { digits: 11, widerThan: ['f8e4m3', 'f8e5m2'] },
  bf16: { digits: 8, widerThan: ['f8e4m3', 'f8e5m2'] },
  f8e4m3: { digits: 4, widerThan: [] },
  f8e5m2: { digits: 3, widerThan: [] },
};

/** Whether every value of the narrow type is a value of the wide one. */
function holds(wide: DType, narrow: DType): boolean {
  if (wide === narrow || narrow === 'bool') return true;
  const float = FLOATS[wide];
  if (isFloat(narrow)) return float?.widerThan.includes(narrow) ?? false;
  const [low, high] = range(narrow);
  if (float) {
    // All integers up to 2^digits; the small floats end below that.
    return DTYPES[wide].bytes >= 2 && high <= 2 ** float.digits;
  }
  const [lowest, highest] = range(wide);
  return lowest <= low && high <= highest;
}

function range(dtype: DType): readonly [low: number, high: number] {
  const { kind, bytes } = DTYPES[dtype];
  if (kind === 'bool') return [0, 1];
  const values = 2 ** (bytes * 8);
  return kind === 'uint' ? [0, values - 1] : [-values / 2, values / 2 - 1];
}
