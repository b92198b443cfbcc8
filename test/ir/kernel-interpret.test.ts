import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { arrayClass, DTYPES, type DType, type TypedArray } from '../../src/ir/dtype.ts';
import { decodeFloat, encodeFloat, isSmallFloat } from '../../src/ir/float-formats.ts';
import { KernelBuilder, valueDType } from '../../src/ir/kernel/builder.ts';
import {
  add,
  atomIndex,
  constant,
  div,
  laneAtom,
  mod,
  mul,
  sub,
  varIndex,
  ZERO,
} from '../../src/ir/kernel/index-expr.ts';
import { interpretKernel } from '../../src/ir/kernel/interpret.ts';
import { fma32, fma64 } from '../../src/ir/kernel/interpret-fma.ts';
import {
  type Kernel,
  type Value,
  type ValueDType,
  WASM_KERNELS,
} from '../../src/ir/kernel/types.ts';
import { verifyKernel } from '../../src/ir/kernel/verify.ts';
import { variable } from '../../src/ir/shape.ts';
import { interestingValues } from '../support/random-kernel.ts';

const LANE = laneAtom(WASM_KERNELS.lanes);

const F32 = [...interestingValues('f32'), 1.1754942e-38, 3.4028235e38, 0.1, -0.5, 1.5, 2.5];
const F64 = [...interestingValues('f64'), 2.5, -0.5, 1.7976931348623157e308];
const VALUES: { readonly [D in ValueDType]: readonly number[] } = {
  f32: F32.map(Math.fround),
  f64: F64,
  i32: interestingValues('i32'),
  u32: interestingValues('u32'),
  bool: [0, 1],
};

/** All pairs of a list with itself, as two columns. */
function pairs(list: readonly number[]): [number[], number[]] {
  const all = list.flatMap((a) => list.map((b) => [a, b] as const));
  return [all.map((p) => p[0]), all.map((p) => p[1])];
}

/** Applies `make` to columns of numbers, one element a turn, or four. */
function mapColumns(
  from: ValueDType,
  columns: readonly (readonly number[])[],
  to: ValueDType,
  make: (b: KernelBuilder, values: Value[]) => Value,
  fusedFma = false,
): number[] {
  const count = columns[0].length;
  const results = [1, 4].map((lanes) => {
    const b = new KernelBuilder(WASM_KERNELS);
    const inputs = columns.map((_, i) => b.buffer(`x${i}`, from, count, 'in'));
    const out = b.buffer('out', to, count, 'out');
    const whole = Math.floor(count / lanes);
    const element = (i: ReturnType<typeof constant>) =>
      b.store(
        out,
        i,
        make(
          b,
          inputs.map((x) => b.load(x, i)),
        ),
      );
    b.loop(whole, 'serial', [], (i) => element(lanes === 1 ? i : add(mul(i, 4), LANE)));
    b.loop(count - whole * lanes, 'serial', [], (i) => element(add(i, whole * lanes)));
    const kernel = b.build('map');
    verifyKernel(kernel);
    const array = new (arrayClass(to))(count);
    const arrays = columns.map((column) => {
      const input = new (arrayClass(from))(count);
      input.set(column);
      return input;
    });
    expect(
      interpretKernel(kernel, { buffers: [...arrays, array], vars: [] }, { fusedFma }),
    ).toEqual({ check: null });
    return [...array];
  });
  expect(results[1]).toEqual(results[0]);
  return results[0];
}

/** Through an array of the type: what a register of it can hold. */
function held(dtype: ValueDType, x: number | bigint | boolean): number {
  switch (dtype) {
    case 'f32':
      return Float32Array.of(Number(x))[0];
    case 'f64':
      return Number(x);
    case 'i32':
      return Number(BigInt.asIntN(32, BigInt(x)));
    case 'u32':
      return Number(BigInt.asUintN(32, BigInt(x)));
    case 'bool':
      return x ? 1 : 0;
    default:
      return dtype satisfies never;
  }
}

describe('operations on floats', () => {
  const unary = {
    neg: (x: number) => 0 - x || -x,
    abs: Math.abs,
    sqrt: Math.sqrt,
    floor: Math.floor,
    ceil: Math.ceil,
    trunc: Math.trunc,
    nearest: (x: number) => {
      if (!Number.isFinite(x) || Math.abs(x) >= 2 ** 52) return x;
      const sign = Object.is(Math.sign(x), -0) || x < 0 ? -1 : 1;
      // Adding 2^52 leaves no room for a fraction: the sum rounds, ties to even.
      return sign * (Math.abs(x) + 2 ** 52 - 2 ** 52);
    },
  } as const;
  const binary = {
    add: (a: number, b: number) => a + b,
    sub: (a: number, b: number) => a - b,
    mul: (a: number, b: number) => a * b,
    div: (a: number, b: number) => a / b,
    rem: (a: number, b: number) => a % b,
    min: (a: number, b: number) => {
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.NaN;
      if (a === 0 && b === 0) return Object.is(a, -0) ? a : b;
      return a < b ? a : b;
    },
    max: (a: number, b: number) => {
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.NaN;
      if (a === 0 && b === 0) return Object.is(a, -0) ? b : a;
      return a > b ? a : b;
    },
  } as const;

  describe.each(['f32', 'f64'] as const)('%s', (dtype) => {
    const list = VALUES[dtype];
    const [left, right] = pairs(list);
    test.each(Object.entries(unary))('%s', (fn, oracle) => {
      const result = mapColumns(dtype, [list], dtype, (b, [a]) => b.unary(fn as 'neg', a));
      expect(result).toEqual(list.map((a) => held(dtype, oracle(a))));
    });
    test.each(Object.entries(binary))('%s', (fn, oracle) => {
      const result = mapColumns(dtype, [left, right], dtype, (b, [x, y]) =>
        b.binary(fn as 'add', x, y),
      );
      expect(result).toEqual(left.map((a, i) => held(dtype, oracle(a, right[i]))));
    });
    test('comparisons', () => {
      for (const [fn, oracle] of Object.entries(comparisons)) {
        const result = mapColumns(dtype, [left, right], 'bool', (b, [x, y]) =>
          b.compare(fn as 'eq', x, y),
        );
        expect(result, fn).toEqual(left.map((a, i) => (oracle(a, right[i]) ? 1 : 0)));
      }
    });
  });
});

const comparisons = {
  eq: (a: number, b: number) => a === b,
  ne: (a: number, b: number) => a !== b,
  lt: (a: number, b: number) => a < b,
  le: (a: number, b: number) => a <= b,
} as const;

describe('operations on integers', () => {
  const bits = (a: bigint) => BigInt.asUintN(32, a);
  const shift = (b: bigint) => bits(b) % 32n;
  const binary = {
    add: (a: bigint, b: bigint) => a + b,
    sub: (a: bigint, b: bigint) => a - b,
    mul: (a: bigint, b: bigint) => a * b,
    div: (a: bigint, b: bigint) => (b === 0n ? 0n : a / b),
    rem: (a: bigint, b: bigint) => (b === 0n ? 0n : a % b),
    min: (a: bigint, b: bigint) => (a < b ? a : b),
    max: (a: bigint, b: bigint) => (a > b ? a : b),
    and: (a: bigint, b: bigint) => a & b,
    or: (a: bigint, b: bigint) => a | b,
    xor: (a: bigint, b: bigint) => a ^ b,
    shl: (a: bigint, b: bigint) => bits(a) << shift(b),
    shr: (a: bigint, b: bigint) => a >> shift(b),
  } as const;
  const unary = {
    neg: (a: bigint) => -a,
    abs: (a: bigint) => (a < 0n ? -a : a),
    not: (a: bigint) => ~a,
  } as const;

  describe.each(['i32', 'u32'] as const)('%s', (dtype) => {
    const list = VALUES[dtype];
    const [left, right] = pairs(list);
    test.each(Object.entries(binary))('%s', (fn, oracle) => {
      const result = mapColumns(dtype, [left, right], dtype, (b, [x, y]) =>
        b.binary(fn as 'add', x, y),
      );
      const wanted = left.map((a, i) => held(dtype, oracle(BigInt(a), BigInt(right[i]))));
      expect(result).toEqual(wanted);
    });
    test.each(Object.entries(unary))('%s', (fn, oracle) => {
      const result = mapColumns(dtype, [list], dtype, (b, [x]) => b.unary(fn as 'neg', x));
      expect(result).toEqual(list.map((a) => held(dtype, oracle(BigInt(a)))));
    });
    test('comparisons', () => {
      for (const [fn, oracle] of Object.entries(comparisons)) {
        const result = mapColumns(dtype, [left, right], 'bool', (b, [x, y]) =>
          b.compare(fn as 'eq', x, y),
        );
        expect(result, fn).toEqual(left.map((a, i) => (oracle(a, right[i]) ? 1 : 0)));
      }
    });
  });

  test('bool', () => {
    const [left, right] = pairs([0, 1]);
    const run = (make: (b: KernelBuilder, v: Value[]) => Value) =>
      mapColumns('bool', [left, right], 'bool', make);
    expect(run((b, [x, y]) => b.binary('and', x, y))).toEqual([0, 0, 0, 1]);
    expect(run((b, [x, y]) => b.binary('or', x, y))).toEqual([0, 1, 1, 1]);
    expect(run((b, [x, y]) => b.binary('xor', x, y))).toEqual([0, 1, 1, 0]);
    expect(run((b, [x]) => b.unary('not', x))).toEqual([1, 1, 0, 0]);
    expect(run((b, [x, y]) => b.compare('eq', x, y))).toEqual([1, 0, 0, 1]);
  });
});

describe('conversions', () => {
  const kinds = ['f32', 'f64', 'i32', 'u32', 'bool'] as const;
  const saturated = (x: number, low: number, high: number) => {
    if (Number.isNaN(x)) return 0;
    return Math.trunc(Math.max(low, Math.min(high, x))) + 0;
  };
  const wanted = (from: ValueDType, to: ValueDType, x: number) => {
    const float = from === 'f32' || from === 'f64';
    if (to === 'bool') return x === 0 ? 0 : 1;
    if (float && to === 'i32') return saturated(x, -(2 ** 31), 2 ** 31 - 1);
    if (float && to === 'u32') return saturated(x, 0, 2 ** 32 - 1);
    return held(to, x);
  };
  test.each(kinds.flatMap((from) => kinds.map((to) => [from, to] as const)))(
    'from %s to %s',
    (from, to) => {
      const list = VALUES[from];
      const result = mapColumns(from, [list], to, (b, [a]) => b.convert(a, to));
      expect(result).toEqual(list.map((x) => wanted(from, to, x)));
    },
  );

  test('bitcasts keep the bits', () => {
    const kinds = ['f32', 'i32', 'u32'] as const;
    for (const from of kinds) {
      const list = VALUES[from].filter((x) => !Number.isNaN(x));
      const source = new (arrayClass(from))(list.length);
      source.set(list);
      for (const to of kinds) {
        const result = mapColumns(from, [list], to, (b, [a]) => b.bitcast(a, to));
        expect(result, `${from} to ${to}`).toEqual([...new (arrayClass(to))(source.buffer)]);
      }
    }
    const nan = mapColumns('f32', [[Number.NaN]], 'u32', (b, [a]) => b.bitcast(a, 'u32'));
    expect(nan).toEqual([0x7fc00000]);
  });
});

describe('other values', () => {
  test('select takes a where the condition holds', () => {
    const [left, right] = pairs([1, 2, 3]);
    const result = mapColumns('i32', [left, right], 'i32', (b, [x, y]) =>
      b.select(b.compare('lt', x, y), x, b.unary('neg', y)),
    );
    expect(result).toEqual(left.map((a, i) => (a < right[i] ? a : -right[i])));
  });

  test('fma rounds twice, or once when fused', () => {
    const x = 1 + 2 ** -12;
    const columns = [[x], [x], [-(1 + 2 ** -11)]];
    const make = (b: KernelBuilder, [p, q, r]: Value[]) => b.fma(p, q, r);
    expect(mapColumns('f32', columns, 'f32', make)).toEqual([0]);
    expect(mapColumns('f32', columns, 'f32', make, true)).toEqual([2 ** -24]);
  });

  test('pack, lane and splat move values', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const x = b.buffer('x', 'i32', 4, 'in');
    const out = b.buffer('out', 'i32', 8, 'out');
    const v = b.load(x, LANE);
    b.store(out, LANE, b.pack([3, 2, 1, 0].map((l) => b.lane(v, l))));
    b.store(out, add(LANE, 4), b.splat(b.lane(v, 1)));
    expect(run(b, [Int32Array.of(1, 2, 3, 4), new Int32Array(8)])).toEqual([
      4, 3, 2, 1, 2, 2, 2, 2,
    ]);
  });

  test('shuffle takes lanes of two vectors', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const x = b.buffer('x', 'i32', 8, 'in');
    const out = b.buffer('out', 'i32', 4, 'out');
    b.store(out, LANE, b.shuffle(b.load(x, LANE), b.load(x, add(LANE, 4)), [6, 0, 3, 4]));
    expect(run(b, [Int32Array.of(1, 2, 3, 4, 5, 6, 7, 8), new Int32Array(4)])).toEqual([
      7, 1, 4, 5,
    ]);
  });

  test('words are bytes as they lie, and byteDot multiplies them', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const x = b.buffer('x', 'i8', 20, 'in');
    const y = b.buffer('y', 'u8', 16, 'in');
    const out = b.buffer('out', 'i32', 8, 'out');
    const left = b.words(x, constant(3));
    const low = b.splat(b.const('i32', 0x0f0f0f0f));
    const right = b.binary('and', b.words(y, ZERO), low);
    const fifteen = b.binary('and', b.splat(b.const('i32', -1)), low);
    b.store(out, LANE, left);
    b.store(out, add(LANE, 4), b.byteDot([left, left], [right, fifteen]));
    const bytes = Int8Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? -128 : 127) + (i % 3));
    const halves = Uint8Array.from({ length: 16 }, (_, i) => 16 * i + ((5 * i) % 16));
    const words = new Int32Array(bytes.slice(3, 19).buffer);
    const sums = [0, 4, 8, 12].map((from) => {
      const at = (i: number) => bytes[3 + from + i] * ((halves[from + i] & 15) + 15);
      return at(0) + at(1) + at(2) + at(3);
    });
    expect(run(b, [bytes, halves, new Int32Array(8)])).toEqual([...words, ...sums]);
  });

  test('index gives base + step x lane as i32, of any atoms', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const n = varIndex(variable('n', 0, 100));
    const out = b.buffer('out', 'i32', 20, 'out');
    b.loop(5, 'serial', [], (i) => {
      const quotient = div(sub(i, n), 3);
      const remainder = mod(sub(i, n), 7);
      const value = b.index(add(add(mul(quotient, 100), remainder), mul(LANE, -2)));
      b.store(out, add(mul(i, 4), LANE), value);
    });
    const wanted = [0, 1, 2, 3, 4].flatMap((i) => {
      const x = i - 17;
      return [0, 1, 2, 3].map((l) => Math.floor(x / 3) * 100 + (((x % 7) + 7) % 7) - 2 * l);
    });
    expect(run(b, [new Int32Array(20)], [17])).toEqual(wanted);
  });
});

function run(b: KernelBuilder, buffers: TypedArray[], vars: number[] = []): number[] {
  const kernel = b.build('test');
  verifyKernel(kernel);
  interpretKernel(kernel, { buffers, vars });
  return [...(buffers.at(-1) as TypedArray)];
}

describe('memory', () => {
  test.each(Object.keys(DTYPES) as DType[])('%s is widened and narrowed', (dtype) => {
    const kind = valueDType(dtype);
    const source = VALUES[kind];
    const b = new KernelBuilder(WASM_KERNELS);
    const x = b.buffer('x', kind, source.length, 'in');
    const narrow = b.buffer('narrow', dtype, source.length, 'out');
    const wide = b.buffer('wide', kind, source.length, 'out');
    b.loop(source.length, 'serial', [], (i) => b.store(narrow, i, b.load(x, i)));
    b.loop(source.length, 'serial', [], (i) => b.store(wide, i, b.load(narrow, i)));
    const kernel = b.build('memory');
    verifyKernel(kernel);
    const first = new (arrayClass(kind))(source.length);
    first.set(source);
    const middle = new (arrayClass(dtype))(source.length);
    const last = new (arrayClass(kind))(source.length);
    interpretKernel(kernel, { buffers: [first, middle, last], vars: [] });
    const oracle = [...first].map((v) => {
      if (isSmallFloat(dtype)) return decodeFloat(dtype, encodeFloat(dtype, v));
      if (dtype === 'i8') return Int8Array.of(v)[0];
      if (dtype === 'u8') return Uint8Array.of(v)[0];
      return v;
    });
    expect([...last]).toEqual(oracle);
  });

  test('any byte but 0 is true, and true is stored as 1', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const x = b.buffer('x', 'bool', 3, 'in');
    const out = b.buffer('out', 'bool', 3, 'out');
    b.loop(3, 'serial', [], (i) => b.store(out, i, b.load(x, i)));
    expect(run(b, [Uint8Array.of(0, 1, 200), new Uint8Array(3)])).toEqual([0, 1, 1]);
  });

  test('a failing mask reads and writes nothing', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const x = b.buffer('x', 'f32', 4, 'in');
    const out = b.buffer('out', 'f32', 6, 'out');
    b.loop(6, 'serial', [], (i) => {
      const at = sub(i, 1);
      const value = b.load(x, at, [at, sub(constant(3), at)], -7);
      b.store(out, i, value, [sub(constant(4), i)]);
    });
    const result = run(b, [Float32Array.of(1, 2, 3, 4), new Float32Array(6).fill(9)]);
    expect(result).toEqual([-7, 1, 2, 3, 4, 9]);
  });

  test('vectors are read by any step', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const x = b.buffer('x', 'i32', 16, 'in');
    const out = b.buffer('out', 'i32', 16, 'out');
    [1, 3, -1, 0].forEach((step, i) => {
      const start = step < 0 ? 3 : 0;
      b.store(out, add(LANE, 4 * i), b.splat(b.load(x, add(mul(LANE, step), start))));
    });
    const x16 = Int32Array.from({ length: 16 }, (_, i) => i);
    expect(run(b, [x16, new Int32Array(16)])).toEqual([
      0, 1, 2, 3, 0, 3, 6, 9, 3, 2, 1, 0, 0, 0, 0, 0,
    ]);
  });

  test('what a local held before is garbage', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const out = b.buffer('out', 'f32', 2, 'out');
    const local = b.buffer('local', 'bf16', 2, 'local');
    b.store(local, ZERO, b.const('f32', 3));
    b.loop(2, 'serial', [], (i) => b.store(out, i, b.load(local, i)));
    expect(run(b, [new Float32Array(2)])).toEqual([3, Number.NaN]);
    const c = new KernelBuilder(WASM_KERNELS);
    const result = c.buffer('out', 'i32', 1, 'out');
    c.store(result, ZERO, c.load(c.buffer('local', 'i32', 1, 'local'), ZERO));
    expect(run(c, [new Int32Array(1)])).not.toEqual([0]);
  });
});

describe('loops', () => {
  test('carry values that may change places', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const out = b.buffer('out', 'i32', 2, 'out');
    const [x, y] = b.loop(
      varIndex(variable('n', 0, 9)),
      'serial',
      [b.const('i32', 0), b.const('i32', 1)],
      (_, [p, q]) => [q, b.binary('add', p, q)],
    );
    b.store(out, ZERO, x);
    b.store(out, constant(1), y);
    const kernel = b.build('fibonacci');
    verifyKernel(kernel);
    const at = (n: number) => {
      const out = new Int32Array(2);
      interpretKernel(kernel, { buffers: [out], vars: [n] });
      return [...out];
    };
    expect(at(0)).toEqual([0, 1]);
    expect(at(1)).toEqual([1, 1]);
    expect(at(9)).toEqual([34, 55]);
  });

  test('may end where an outer loop says', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const out = b.buffer('out', 'i32', 4, 'out');
    b.loop(4, 'thread', [], (i) => {
      const [sum] = b.loop(add(i, 1), 'reduce', [b.const('i32', 0)], (j, [acc]) => [
        b.binary('add', acc, b.index(j)),
      ]);
      b.store(out, i, sum);
    });
    expect(run(b, [new Int32Array(4)])).toEqual([0, 1, 3, 6]);
  });
});

describe('checked indices', () => {
  function gather(): Kernel {
    const b = new KernelBuilder(WASM_KERNELS);
    const at = b.buffer('at', 'i32', 5, 'in');
    const x = b.buffer('x', 'i32', 3, 'in');
    const out = b.buffer('out', 'i32', 5, 'out');
    b.loop(5, 'serial', [], (i) => {
      b.store(out, i, b.load(x, b.checked(b.load(at, i), 3, 'rows of x')));
    });
    return b.build('gather');
  }

  test('clamp, and record the first that is outside', () => {
    const kernel = gather();
    verifyKernel(kernel);
    const run = (...at: number[]) => {
      const out = new Int32Array(5);
      const buffers = [Int32Array.from(at), Int32Array.of(10, 20, 30), out];
      const { check } = interpretKernel(kernel, { buffers, vars: [] });
      return { check, out: [...out] };
    };
    const fine = { check: null, out: [30, 20, 10, 10, 20] };
    expect(run(2, 1, 0, 0, 1)).toEqual(fine);
    expect(run(2, -4, 0, 3, 1)).toEqual({
      check: { check: 0, value: -4, size: 3 },
      out: [30, 10, 10, 30, 20],
    });
    // What one run found is gone in the next.
    expect(run(2, 1, 0, 0, 1)).toEqual(fine);
    expect(kernel.checks).toEqual(['rows of x']);
  });
});

describe('what is refused', () => {
  test('an access outside its buffer, with the place', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const out = b.buffer('out', 'f32', 12, 'out');
    b.loop(2, 'serial', [], (i) => {
      b.loop(3, 'serial', [], (j) => {
        b.store(out, add(add(mul(i, 8), mul(j, 4)), LANE), b.splat(b.const('f32', 1)));
      });
    });
    const kernel = b.build('outside');
    const args = { buffers: [new Float32Array(12)], vars: [] };
    expect(() => interpretKernel(kernel, args)).toThrow(
      /kernel outside: index 12 \.\. 15 is outside out\[12\] where i0 = 1, i1 = 1/,
    );
  });

  test('arguments that do not fit', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const x = b.buffer('x', 'f32', 4, 'out');
    b.loop(varIndex(variable('n', 1, 4)), 'serial', [], (i) => {
      b.store(x, i, b.const('f32', 1));
    });
    const kernel = b.build('fit');
    const run = (buffers: TypedArray[], vars: number[]) => () =>
      interpretKernel(kernel, { buffers, vars });
    expect(run([], [1])).toThrow(/takes 1 buffers and 1 vars, not 0 and 1/);
    expect(run([new Float64Array(4)], [1])).toThrow(
      /x is Float64Array\[4\], not Float32Array\[4\]/,
    );
    expect(run([new Float32Array(3)], [1])).toThrow(/x is Float32Array\[3\]/);
    expect(run([new Float32Array(4)], [5])).toThrow(/n is 5, not 1 \.\. 4/);
    expect(run([new Float32Array(4)], [0.5])).toThrow(/n is 0.5/);
    expect(run([new Float32Array(4)], [4])).not.toThrow();
  });

  test('a loop atom outside its loop', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const out = b.buffer('out', 'f32', 4, 'out');
    b.store(out, ZERO, b.const('f32', 1));
    const kernel = b.build('lost');
    const atom = { kind: 'loop', id: 3, extent: constant(2), key: 'i3' } as const;
    Object.assign(kernel.body[1], { index: atomIndex(atom) });
    const args = { buffers: [new Float32Array(4)], vars: [] };
    expect(() => interpretKernel(kernel, args)).toThrow(/kernel lost: i3 has no value here/);
  });
});

describe('fma', () => {
  const bits64 = new BigInt64Array(1);
  const double = new Float64Array(bits64.buffer);

  /** x 2^2200 as an integer: exact for all doubles and their products. */
  function scaled(x: number, shift = 2200n): bigint {
    double[0] = x;
    const field = (bits64[0] >> 52n) & 0x7ffn;
    const fraction = bits64[0] & 0xfffffffffffffn;
    const mantissa = field === 0n ? fraction : fraction | (1n << 52n);
    const magnitude = mantissa << ((field === 0n ? 1n : field) - 1075n + shift);
    return x < 0 ? -magnitude : magnitude;
  }

  /** Whether `result` is the number of its type nearest to a b + c, ties to even. */
  function isNearest(
    result: number,
    [a, b, c]: readonly number[],
    step: (x: number, d: -1 | 1) => number,
    isEven: (x: number) => boolean,
  ): boolean {
    const exact = scaled(a, 1100n) * scaled(b, 1100n) + scaled(c);
    const distance = (x: number) => {
      const d = scaled(x) - exact;
      return d < 0n ? -d : d;
    };
    return ([-1, 1] as const).every((d) => {
      const other = step(result, d);
      if (!Number.isFinite(other)) return true;
      const [mine, its] = [distance(result), distance(other)];
      return mine < its || (mine === its && isEven(result));
    });
  }

  const float = new Float32Array(1);
  const bits32 = new Int32Array(float.buffer);
  const step32 = (x: number, d: -1 | 1) => {
    if (x === 0) return d * 2 ** -149;
    float[0] = x;
    bits32[0] += x > 0 ? d : -d;
    return float[0];
  };
  const even32 = (x: number) => {
    float[0] = x;
    return bits32[0] % 2 === 0;
  };
  const step64 = (x: number, d: -1 | 1) => {
    if (x === 0) return d * 5e-324;
    double[0] = x;
    bits64[0] += BigInt(x > 0 ? d : -d);
    return double[0];
  };
  const even64 = (x: number) => {
    double[0] = x;
    return bits64[0] % 2n === 0n;
  };

  /** Numbers near each other, so that rounding is often close to a tie. */
  function close(bits: number, spread: number) {
    return fc
      .tuple(
        fc.integer({ min: -(2 ** bits), max: 2 ** bits }),
        fc.integer({ min: -spread, max: spread }),
      )
      .map(([m, e]) => m * 2 ** e);
  }

  test.each([
    ['anywhere', fc.float({ noNaN: true, noDefaultInfinity: true })],
    ['close together', close(12, 14)],
    ['close together, with full mantissas', close(24, 3)],
    ['near the smallest', close(24, 4).map((x) => x * 2 ** -84)],
  ] as const)('of f32 is the nearest: %s', (_, number) => {
    const any = (number as fc.Arbitrary<number>).map(Math.fround);
    fc.assert(
      fc.property(fc.tuple(any, any, any), fc.constantFrom(1, 2 ** -30, 2 ** -60), (abc, small) => {
        const [a, b] = abc;
        const c = Math.fround(abc[2] * small);
        const result = fma32(a, b, c);
        expect(Math.fround(result)).toBe(result);
        if (Number.isFinite(result)) {
          expect(isNearest(result, [a, b, c], step32, even32)).toBe(true);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test.each([
    ['anywhere', fc.double({ noNaN: true, noDefaultInfinity: true })],
    ['close together', close(27, 30)],
    ['near the smallest', close(53, 4).map((x) => x * 2 ** -550)],
  ] as const)('of f64 is the nearest: %s', (_, number) => {
    const any = number as fc.Arbitrary<number>;
    fc.assert(
      fc.property(fc.tuple(any, any, any), (abc) => {
        const result = fma64(abc[0], abc[1], abc[2]);
        if (Number.isFinite(result)) expect(isNearest(result, abc, step64, even64)).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });

  test('keeps signs of zero, infinities and NaN', () => {
    for (const fma of [fma32, fma64]) {
      expect(fma(-1, 0, -0)).toBe(-0);
      expect(fma(-1, 0, 0)).toBe(0);
      expect(fma(1, 1, -1)).toBe(0);
      expect(fma(Infinity, 0, 1)).toBe(Number.NaN);
      expect(fma(Infinity, 1, -Infinity)).toBe(Number.NaN);
      expect(fma(2, 3, Infinity)).toBe(Infinity);
      expect(fma(2, 3, Number.NaN)).toBe(Number.NaN);
    }
    const large = 2 ** 127 * (2 - 2 ** -23);
    expect(fma32(large, 2, -large)).toBe(large);
    expect(fma32(large, 2, 0)).toBe(Infinity);
    expect(fma64(Number.MAX_VALUE, 2, -Number.MAX_VALUE)).toBe(Number.MAX_VALUE);
    expect(fma64(Number.MAX_VALUE, -2, 0)).toBe(-Infinity);
    expect(fma64(5e-324, -0.5, 0)).toBe(-0);
  });
});
