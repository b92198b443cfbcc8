import { describe, expect, it } from 'vitest';
import type { Instruction, ValType } from '../../src/asm/index.ts';
import { FLOAT_EDGES } from './floats.ts';
import type { Running, Scalar } from './helper.ts';
import { emitAny, moduleAround, NAMES, rowOf, start } from './helper.ts';
import { fromFloats, fromIntegers, integersOf, readInteger, shapeOf } from './lanes.ts';
import { sameVector, vectorOracle } from './simd-oracle.ts';

const RESULT = 64;
const bytesOf = (make: (index: number) => number): Uint8Array =>
  Uint8Array.from({ length: 16 }, (_, index) => make(index));

const INTEGER_VECTORS = [
  bytesOf(() => 0),
  bytesOf(() => 0xff),
  bytesOf(() => 0x80),
  bytesOf(() => 0x7f),
  bytesOf((i) => (i % 2 === 0 ? 0 : 0x80)),
  bytesOf((i) => (i % 2 === 0 ? 0xff : 0x7f)),
  bytesOf((i) => (i % 4 === 3 ? 0x80 : 0)),
  bytesOf((i) => (i % 8 === 7 ? 0x80 : 0)),
  bytesOf((i) => i),
  bytesOf((i) => 15 - i),
  bytesOf((i) => (i * 37 + 11) & 0xff),
  bytesOf((i) => (i * i * 73 + 200) & 0xff),
  bytesOf((i) => (i % 3 === 0 ? 1 : 0)),
];
/** The edges shifted by `by`, so that pairs of vectors meet different edges in a lane. */
const floatVectors = (bits: number): Uint8Array[] =>
  Array.from({ length: 14 }, (_, start) =>
    fromFloats(
      bits,
      Array.from(
        { length: 128 / bits },
        (_, i) => FLOAT_EDGES[(start * 5 + i * 3) % FLOAT_EDGES.length] ?? 0,
      ),
    ),
  );

/** A function on vectors at 0, 16 and 32 and on scalar parameters; vectors come back at 64. */
function vectorFunction(name: Instruction, ...immediates: unknown[]): Running {
  const { params = [], results = [] } = rowOf(name);
  const scalars = params.filter((type) => type !== 'v128');
  const isVector = results[0] === 'v128';
  const signature = { params: scalars, results: isVector ? [] : results };
  return start(
    moduleAround(signature, (code) => {
      if (isVector) code.emit('i32.const', RESULT);
      let scalar = 0;
      for (const [index, type] of params.entries()) {
        if (type !== 'v128') code.emit('local.get', scalar++);
        else code.emit('i32.const', 0).emit('v128.load', { offset: 16 * index });
      }
      emitAny(code, name, ...immediates);
      if (isVector) code.emit('v128.store');
    }),
  );
}

function apply(
  { run, memory }: Running,
  values: readonly (Uint8Array | Scalar)[],
): Uint8Array | Scalar {
  const scalars: Scalar[] = [];
  for (const [index, value] of values.entries()) {
    if (!(value instanceof Uint8Array)) scalars.push(value);
    else for (const [i, byte] of value.entries()) memory.setUint8(16 * index + i, byte);
  }
  // A function without results gives undefined; the vector is then in memory.
  const result = run(...scalars) as Scalar | undefined;
  return result ?? bytesOf((i) => memory.getUint8(RESULT + i));
}

/** Whether the operands are read as floats: by the source where lanes change their shape. */
function floatBits(name: string): number | undefined {
  const shapes = [...name.matchAll(/([if])(\d+)x/g)];
  const [, kind, bits] = shapes.at(-1) ?? [];
  return kind === 'f' ? Number(bits) : undefined;
}

function operands(name: string, type: ValType): readonly (Uint8Array | Scalar)[] {
  if (type === 'v128') {
    const bits = floatBits(name);
    return bits === undefined ? INTEGER_VECTORS : floatVectors(bits);
  }
  if (type === 'i64') return [0n, -1n, 2n ** 63n, 0x0123456789abcdefn];
  return type === 'i32' ? [0, 1, 7, 8, 15, 33, 64, 127, -1, -0x80000000] : [0.5, -0, NaN, -7.25];
}

function combinations(name: string, types: readonly ValType[]): (Uint8Array | Scalar)[][] {
  let rows: (Uint8Array | Scalar)[][] = [[]];
  for (const type of types) {
    rows = rows.flatMap((row) => operands(name, type).map((value) => [...row, value]));
  }
  return rows;
}

const VECTOR = NAMES.filter((name) => rowOf(name).code[0] === 0xfd && !name.includes('relaxed'));
const PLAIN = VECTOR.filter((name) => rowOf(name).immediate === 'none');
const LANE = VECTOR.filter((name) => rowOf(name).immediate === 'lane');

describe('vector instructions', () => {
  it.each(PLAIN)('%s agrees with the oracle on edge values', (name: Instruction) => {
    const oracle = vectorOracle(name) as (...values: (Uint8Array | Scalar)[]) => unknown;
    const running = vectorFunction(name);
    for (const values of combinations(name, rowOf(name).params ?? [])) {
      const got = apply(running, values);
      const want = oracle(...values);
      const same =
        got instanceof Uint8Array
          ? sameVector(name.slice(0, name.indexOf('.')), got, want as Uint8Array)
          : got === want;
      // The message is costly, so it is only made for a failure.
      if (!same) expect(got, `${name} of ${values.join(' and ')}`).toEqual(want);
    }
  });

  it.each(LANE)('%s reaches every lane', (name: Instruction) => {
    const type = name.slice(0, name.indexOf('.'));
    const { bits, lanes, float } = shapeOf(type);
    const vector = float
      ? fromFloats(bits, [1.5, -2, 3, -4].slice(0, lanes))
      : fromIntegers(
          bits,
          Array.from({ length: lanes }, (_, i) => BigInt(i * 7 - 20)),
        );
    for (let lane = 0; lane < lanes; lane++) {
      const running = vectorFunction(name, lane);
      const fill = bits === 64 && !float ? 5n : 5;
      if (name.includes('replace')) {
        const expected = vector.slice();
        const five = float ? fromFloats(bits, [5]) : fromIntegers(bits, [5n]);
        expected.set(five.subarray(0, bits / 8), (lane * bits) / 8);
        expect(apply(running, [vector, fill])).toEqual(expected);
      } else if (float) {
        expect(apply(running, [vector])).toBe([1.5, -2, 3, -4][lane]);
      } else {
        const expected = integersOf(vector, bits, !name.endsWith('_u'))[lane];
        expect(BigInt(apply(running, [vector]) as Scalar)).toBe(expected);
      }
    }
  });

  it('i8x16.shuffle takes the lanes named', () => {
    const lanes = [0, 16, 31, 15, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 30, 14];
    const running = vectorFunction('i8x16.shuffle', lanes);
    const [a, b] = [bytesOf((i) => i), bytesOf((i) => i + 16)];
    expect(apply(running, [a, b])).toEqual(Uint8Array.from(lanes));
  });

  it('v128.const keeps its bytes in order', () => {
    const bytes = bytesOf((i) => 255 - i * 3);
    expect(apply(vectorFunction('v128.const', bytes), [])).toEqual(bytes);
  });
});

describe('vector memory accesses', () => {
  const source = bytesOf((i) => (i * 41 + 0x95) & 0xff);
  const old = bytesOf((i) => i + 1);
  const loads = VECTOR.filter((name) => name.startsWith('v128.load') && !name.includes('lane'));

  it.each(loads)('%s', (name: Instruction) => {
    const running = start(
      moduleAround({ params: ['i32'], results: [] }, (code) => {
        code.emit('i32.const', RESULT).emit('local.get', 0);
        emitAny(code, name, { offset: 3, align: 1 });
        code.emit('v128.store');
      }),
    );
    for (const [i, byte] of source.entries()) running.memory.setUint8(5 + i, byte);
    running.run(2);
    const [, bits = '', count] = /load(\d+)(?:x(\d))?/.exec(name) ?? [];
    const width = Number(bits);
    const first = (length: number): bigint[] =>
      integersOf(source, width, !name.endsWith('u')).slice(0, length);
    const expected =
      bits === ''
        ? source
        : count !== undefined
          ? fromIntegers(2 * width, first(Number(count)))
          : name.endsWith('splat')
            ? fromIntegers(width, Array(128 / width).fill(first(1)[0]))
            : fromIntegers(width, [...first(1), ...Array(128 / width - 1).fill(0n)]);
    expect(bytesOf((i) => running.memory.getUint8(RESULT + i))).toEqual(expected);
  });

  it.each([8, 16, 32, 64])('load and store of a lane of %i bits', (bits) => {
    const bytes = bits / 8;
    for (let lane = 0; lane < 16 / bytes; lane++) {
      const running = start(
        moduleAround({ params: ['i32', 'i32'], results: [] }, (code) => {
          code.emit('i32.const', RESULT).emit('local.get', 0).emit('v128.const', old);
          emitAny(code, `v128.load${bits}_lane`, { offset: 1 }, lane);
          code.emit('v128.store').emit('local.get', 1).emit('v128.const', old);
          emitAny(code, `v128.store${bits}_lane`, undefined, lane);
        }),
      );
      for (const [i, byte] of source.entries()) running.memory.setUint8(8 + i, byte);
      running.run(7, 128);
      const expected = old.slice();
      expected.set(source.subarray(0, bytes), lane * bytes);
      expect(bytesOf((i) => running.memory.getUint8(RESULT + i))).toEqual(expected);
      expect(readInteger(running.memory, 128, bits)).toBe(integersOf(old, bits)[lane]);
    }
  });
});

describe('relaxed instructions, where all engines agree', () => {
  const f = (...values: number[]): Uint8Array => fromFloats(32, values);
  const d = (...values: number[]): Uint8Array => fromFloats(64, values);
  const i = (bits: number, ...values: number[]): Uint8Array =>
    fromIntegers(
      bits,
      Array.from({ length: 128 / bits }, (_, k) => BigInt(values[k % values.length] ?? 0)),
    );
  const [a, b] = [i(8, 1, -2, 3, -128), i(8, 5, 6, 127, 100)];
  const cases: [Instruction, Uint8Array[], Uint8Array][] = [
    ['i8x16.relaxed_swizzle', [a, i(8, 3, 0)], i(8, -128, 1)],
    ['i32x4.relaxed_trunc_f32x4_s', [f(1.9, -1.9, 0, 1e6)], i(32, 1, -1, 0, 1e6)],
    ['i32x4.relaxed_trunc_f32x4_u', [f(1.9, 0, 3e9, 7)], i(32, 1, 0, 3e9, 7)],
    ['i32x4.relaxed_trunc_f64x2_s_zero', [d(-2.5, 7)], i(32, -2, 7, 0, 0)],
    ['i32x4.relaxed_trunc_f64x2_u_zero', [d(4e9, 7)], i(32, 4e9, 7, 0, 0)],
    ['f32x4.relaxed_madd', [f(2, 3, -4, 0), f(5, 6, 7, 8), f(1, 1, 1, 1)], f(11, 19, -27, 1)],
    ['f32x4.relaxed_nmadd', [f(2, 3, -4, 0), f(5, 6, 7, 8), f(1, 1, 1, 1)], f(-9, -17, 29, 1)],
    ['f64x2.relaxed_madd', [d(2, -3), d(5, 6), d(1, 1)], d(11, -17)],
    ['f64x2.relaxed_nmadd', [d(2, -3), d(5, 6), d(1, 1)], d(-9, 19)],
    ['i8x16.relaxed_laneselect', [a, b, i(8, -1, 0)], i(8, 1, 6, 3, 100)],
    ['i16x8.relaxed_laneselect', [a, b, i(16, -1, 0)], i(8, 1, -2, 127, 100)],
    ['i32x4.relaxed_laneselect', [a, b, i(32, 0, -1)], i(8, 5, 6, 127, 100, 1, -2, 3, -128)],
    ['i64x2.relaxed_laneselect', [i(64, 1, 2), i(64, 3, 4), i(64, -1, 0)], i(64, 1, 4)],
    ['f32x4.relaxed_min', [f(1, -2, 3, 4), f(2, -3, 3, 0.5)], f(1, -3, 3, 0.5)],
    ['f32x4.relaxed_max', [f(1, -2, 3, 4), f(2, -3, 3, 0.5)], f(2, -2, 3, 4)],
    ['f64x2.relaxed_min', [d(1, -2), d(2, -3)], d(1, -3)],
    ['f64x2.relaxed_max', [d(1, -2), d(2, -3)], d(2, -2)],
    ['i16x8.relaxed_q15mulr_s', [i(16, 0x4000, -0x4000), i(16, 0x4000)], i(16, 0x2000, -0x2000)],
    ['i16x8.relaxed_dot_i8x16_i7x16_s', [a, b], i(16, -7, 381 - 12800)],
    ['i32x4.relaxed_dot_i8x16_i7x16_add_s', [a, b, i(32, 10)], i(32, -7 + 381 - 12800 + 10)],
  ];

  it('covers all of them', () => {
    const relaxed = NAMES.filter((name) => name.includes('relaxed'));
    expect(cases.map(([name]) => name).sort()).toEqual(relaxed.sort());
  });

  it.each(cases)('%s', (name, values, expected) => {
    expect(apply(vectorFunction(name), values)).toEqual(expected);
  });
});
