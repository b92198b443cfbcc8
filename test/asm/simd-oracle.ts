import { FLOAT_COMPARISONS, FLOAT_OPERATIONS } from './floats.ts';
import type { Scalar } from './helper.ts';
import { INTEGER_OPERATIONS, saturate } from './integers.ts';
import type { Shape } from './lanes.ts';
import { floatsOf, fromFloats, fromIntegers, integersOf, shapeOf, viewOf } from './lanes.ts';

type Vector = Uint8Array;
type Argument = Vector | Scalar;
export type VectorOracle = (...values: never[]) => Vector | number;

const COMPARISON = /^(eq|ne|lt|gt|le|ge)(_|$)/;
const bigints = (count: number, make: (index: number) => bigint): bigint[] =>
  Array.from({ length: count }, (_, index) => make(index));
const signOf = (operation: string): boolean => !/_u(_|$)/.test(operation);
const toWhole = (value: number): bigint => {
  if (Number.isNaN(value)) return 0n;
  return Number.isFinite(value) ? BigInt(Math.trunc(value)) : value > 0 ? 2n ** 70n : -(2n ** 70n);
};
const at = <T>(values: readonly T[], index: number): T => values[index] as T;

/** What a vector instruction without immediates does to its operands. */
export function vectorOracle(name: string): VectorOracle {
  const [type, operation] = name.split('.') as [string, string];
  const oracle =
    type === 'v128'
      ? bitOracle(operation)
      : (horizontal(shapeOf(type), operation) ??
        converting(shapeOf(type), operation) ??
        lanewise(shapeOf(type), operation));
  if (oracle === undefined) throw new Error(`no oracle for ${name}`);
  return oracle as VectorOracle;
}

function bitOracle(operation: string): ((...v: Vector[]) => Vector | number) | undefined {
  const bytewise =
    (compute: (a: number, b: number, c: number) => number) =>
    (...[a, b, c]: Vector[]) =>
      Uint8Array.from(a ?? [], (value, i) => compute(value, b?.[i] ?? 0, c?.[i] ?? 0));
  const oracles: Record<string, (...v: Vector[]) => Vector | number> = {
    not: bytewise((a) => ~a),
    and: bytewise((a, b) => a & b),
    andnot: bytewise((a, b) => a & ~b),
    or: bytewise((a, b) => a | b),
    xor: bytewise((a, b) => a ^ b),
    bitselect: bytewise((a, b, c) => (a & c) | (b & ~c)),
    any_true: (a) => Number(a?.some((value) => value !== 0)),
  };
  return oracles[operation];
}

/** Each lane of the result from the same lane of the operands. */
function lanewise({ float, bits }: Shape, operation: string): unknown {
  if (float) {
    const compare = FLOAT_COMPARISONS[operation];
    if (compare !== undefined) {
      return (a: Vector, b: Vector) =>
        fromIntegers(
          bits,
          floatsOf(a, bits).map((value, i) =>
            compare(value, at(floatsOf(b, bits), i)) ? -1n : 0n,
          ),
        );
    }
    const compute = FLOAT_OPERATIONS[operation];
    return (
      compute &&
      ((a: Vector, b: Vector = a) =>
        fromFloats(
          bits,
          floatsOf(a, bits).map((value, i) => compute(value, at(floatsOf(b, bits), i))),
        ))
    );
  }
  const compute = INTEGER_OPERATIONS[operation];
  const scale = COMPARISON.test(operation) ? -1n : 1n;
  return (
    compute &&
    ((a: Vector, b: Argument = a) =>
      fromIntegers(
        bits,
        integersOf(a, bits).map(
          (value, i) =>
            scale *
            compute(bits, value, b instanceof Uint8Array ? at(integersOf(b, bits), i) : BigInt(b)),
        ),
      ))
  );
}

/** Between lanes of different shapes. */
function converting({ float, bits, lanes }: Shape, operation: string): unknown {
  const source = /[if]\d+x\d+/.exec(operation)?.[0];
  if (source === undefined) return undefined;
  const from = shapeOf(source);
  const sign = signOf(operation);
  const first = operation.includes('_high_') ? lanes : 0;
  const wide = (a: Vector): bigint[] => integersOf(a, from.bits, sign);
  if (operation.startsWith('narrow')) {
    return (a: Vector, b: Vector) =>
      fromIntegers(
        bits,
        [...integersOf(a, from.bits), ...integersOf(b, from.bits)].map((value) =>
          saturate(bits, sign, value),
        ),
      );
  }
  if (operation.startsWith('extend')) {
    return (a: Vector) => fromIntegers(bits, wide(a).slice(first, first + lanes));
  }
  if (operation.startsWith('extmul')) {
    return (a: Vector, b: Vector) =>
      fromIntegers(
        bits,
        bigints(lanes, (i) => at(wide(a), first + i) * at(wide(b), first + i)),
      );
  }
  if (operation.startsWith('extadd')) {
    return (a: Vector) =>
      fromIntegers(
        bits,
        bigints(lanes, (i) => at(wide(a), 2 * i) + at(wide(a), 2 * i + 1)),
      );
  }
  if (operation.startsWith('dot')) {
    return (a: Vector, b: Vector) =>
      fromIntegers(
        bits,
        bigints(
          lanes,
          (i) =>
            at(wide(a), 2 * i) * at(wide(b), 2 * i) +
            at(wide(a), 2 * i + 1) * at(wide(b), 2 * i + 1),
        ),
      );
  }
  if (operation.startsWith('trunc_sat')) {
    return (a: Vector) =>
      fromIntegers(
        bits,
        bigints(lanes, (i) => saturate(bits, sign, toWhole(floatsOf(a, from.bits)[i] ?? 0))),
      );
  }
  if (float && from.float) {
    return (a: Vector) => fromFloats(bits, floatsOf(a, from.bits).slice(0, 128 / bits));
  }
  return (a: Vector) => fromFloats(bits, wide(a).slice(0, lanes).map(Number));
}

/** Between a vector and one number, or between lanes by index. */
function horizontal({ float, bits, lanes }: Shape, operation: string): unknown {
  switch (operation) {
    case 'splat':
      return (value: Scalar) =>
        float
          ? fromFloats(
              bits,
              Array.from({ length: lanes }, () => Number(value)),
            )
          : fromIntegers(
              bits,
              bigints(lanes, () => BigInt(value)),
            );
    case 'all_true':
      return (a: Vector) => Number(integersOf(a, bits).every((value) => value !== 0n));
    case 'bitmask':
      return (a: Vector) =>
        integersOf(a, bits).reduce((mask, value, i) => (value < 0n ? mask | (1 << i) : mask), 0);
    case 'swizzle':
      return (a: Vector, b: Vector) => Uint8Array.from(b, (index) => a[index] ?? 0);
    default:
      return undefined;
  }
}

/** Equal bits, except that any NaN equals any other where lanes are floats. */
export function sameVector(type: string, a: Uint8Array, b: Uint8Array): boolean {
  const shape = type === 'v128' ? undefined : shapeOf(type);
  if (shape?.float !== true) return integersOf(a, 64).join() === integersOf(b, 64).join();
  return floatsOf(a, shape.bits).every((value, i) => {
    const [left, right] = [value, at(floatsOf(b, shape.bits), i)];
    return Number.isNaN(left) ? Number.isNaN(right) : sameBits(a, b, shape.bits, i);
  });
}

function sameBits(a: Uint8Array, b: Uint8Array, bits: number, index: number): boolean {
  const bytes = bits / 8;
  for (let byte = 0; byte < bytes; byte++) {
    const position = index * bytes + byte;
    if (viewOf(a).getUint8(position) !== viewOf(b).getUint8(position)) return false;
  }
  return true;
}
