import { describe, expect, it } from 'vitest';
import type { Instruction, ValType } from '../../src/asm/index.ts';
import { FLOAT_COMPARISONS, FLOAT_EDGES, FLOAT_OPERATIONS } from './floats.ts';
import type { Scalar } from './helper.ts';
import { NAMES, rowOf, scalarFunction } from './helper.ts';
import { INTEGER_OPERATIONS, saturate, signed, unsigned } from './integers.ts';

const I32_EDGES = [
  0, 1, -1, 2, 7, 31, 32, 33, 63, 64, 127, 128, -128, -129, 255, 0x7fff, 0x8000, 0xffff, 16777217,
  -0x80000000, 0x7fffffff, 0x55555555, -0x5a5a5a5b,
];
const I64_EDGES = [
  ...I32_EDGES.map(BigInt),
  2n ** 31n,
  2n ** 32n,
  -(2n ** 32n),
  2n ** 53n + 2n,
  2n ** 63n - 1n,
  -(2n ** 63n),
  0x0123456789abcdefn,
];
const EDGES: Readonly<Record<string, readonly Scalar[]>> = {
  i32: I32_EDGES,
  i64: I64_EDGES,
  f32: FLOAT_EDGES,
  f64: [...FLOAT_EDGES, 0.1, 1e300, 5e-324, 2147483647.5, 4294967295.5, -2147483648.5, 2 ** 53 - 1],
};
const TRAP = 'trap';

type Oracle = (a: Scalar, b: Scalar) => Scalar;

const bitsOf = (type: string): number => Number(type.slice(1));
const round = (type: string, value: number): number =>
  type === 'f32' ? Math.fround(value) : value;
const integer = (type: string, value: bigint): Scalar =>
  type === 'i32' ? Number(signed(32, value)) : signed(64, value);

/** To an integer; out of range it saturates or traps. */
function truncate(type: string, sign: boolean, clamped: boolean, value: number): Scalar {
  if (!clamped && !Number.isFinite(value)) throw new RangeError('not an integer');
  const huge = 2n ** 70n;
  const whole = Number.isNaN(value)
    ? 0n
    : Number.isFinite(value)
      ? BigInt(Math.trunc(value))
      : value > 0
        ? huge
        : -huge;
  const result = saturate(bitsOf(type), sign, whole);
  if (!clamped && result !== whole) throw new RangeError('out of range');
  return integer(type, result);
}

function reinterpret(from: string, to: string, value: Scalar): Scalar {
  const view = new DataView(new ArrayBuffer(8));
  if (from === 'i32') view.setInt32(0, value as number);
  else if (from === 'i64') view.setBigInt64(0, value as bigint);
  else if (from === 'f32') view.setFloat32(0, value as number);
  else view.setFloat64(0, value as number);
  if (to === 'i32') return view.getInt32(0);
  if (to === 'i64') return view.getBigInt64(0);
  return to === 'f32' ? view.getFloat32(0) : view.getFloat64(0);
}

function conversion(type: string, operation: string): Oracle | undefined {
  const from = /_(i32|i64|f32|f64)/.exec(operation)?.[1];
  if (from === undefined) return undefined;
  const sign = !operation.endsWith('_u');
  const read = (a: Scalar): bigint => (sign ? signed : unsigned)(bitsOf(from), BigInt(a));
  if (operation.startsWith('trunc')) {
    return (a) => truncate(type, sign, operation.startsWith('trunc_sat'), a as number);
  }
  if (operation.startsWith('reinterpret')) return (a) => reinterpret(from, type, a);
  if (operation.startsWith('convert')) return (a) => round(type, Number(read(a)));
  if (operation.startsWith('demote') || operation.startsWith('promote')) {
    return (a) => round(type, a as number);
  }
  return (a) => integer(type, read(a));
}

function oracleOf(name: string): Oracle | undefined {
  const [type, operation] = name.split('.') as [string, string];
  const converted = conversion(type, operation);
  if (converted !== undefined) return converted;
  if (type.startsWith('f')) {
    const compare = FLOAT_COMPARISONS[operation];
    if (compare !== undefined) return (a, b) => Number(compare(a as number, b as number));
    const compute = FLOAT_OPERATIONS[operation];
    return compute && ((a, b) => round(type, compute(a as number, b as number)));
  }
  const compute = INTEGER_OPERATIONS[operation];
  const result = /^(eqz|eq|ne|lt|gt|le|ge)/.test(operation) ? 'i32' : type;
  return compute && ((a, b) => integer(result, compute(bitsOf(type), BigInt(a), BigInt(b))));
}

const isScalar = (types: readonly ValType[] | undefined): boolean =>
  types !== undefined && types.length > 0 && !types.includes('v128');

function attempt(call: () => Scalar): Scalar | typeof TRAP {
  try {
    return call();
  } catch (error) {
    if (error instanceof RangeError || error instanceof WebAssembly.RuntimeError) return TRAP;
    throw error;
  }
}

const NUMERIC = NAMES.filter((name) => {
  const { immediate, params, results } = rowOf(name);
  return immediate === 'none' && isScalar(params) && isScalar(results) && /^[if]\d/.test(name);
});

describe('scalar numeric instructions', () => {
  it('are 123 of the core, 8 saturating and 5 extending', () => {
    expect(NUMERIC.length).toBe(123 + 8 + 5);
  });

  it.each(NUMERIC)('%s agrees with the oracle on edge values', (name: Instruction) => {
    const oracle = oracleOf(name);
    if (oracle === undefined) throw new Error(`no oracle for ${name}`);
    const run = scalarFunction(name);
    const [first, second] = rowOf(name).params as [ValType, ValType?];
    for (const a of EDGES[first] ?? []) {
      for (const b of second === undefined ? [0] : (EDGES[second] ?? [])) {
        const got = attempt(() => run(a, b));
        const want = attempt(() => oracle(a, b));
        expect(got, `${name} of ${a} and ${b}`).toBe(want);
      }
    }
  });
});
