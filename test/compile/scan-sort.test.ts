import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileProgram } from '../../src/compile/program.ts';
import { GraphInterpreter, KernelInterpreter, WasmDevice } from '../../src/device/index.ts';
import { arrayClass, DTYPES, type DType, type TypedArray } from '../../src/ir/dtype.ts';
import * as g from '../../src/ir/graph/build.ts';
import { type BufferNode, bufferNode } from '../../src/ir/graph/build.ts';
import type { Node, ScanFn } from '../../src/ir/graph/types.ts';
import { sizeOf, variable } from '../../src/ir/shape.ts';
import { namedNativeDevices } from '../support/native-devices.ts';
import { firstDifference, runGraph } from '../support/run-graph.ts';

const oracle = new GraphInterpreter();
const kernels = new KernelInterpreter();
/** Rounds multiply-adds once, as native does. */
const fused = new KernelInterpreter(true);
const wasm = new WasmDevice({ relaxedSimd: false, threads: 1 });
/** Every program goes to the threads, however short. */
const native = namedNativeDevices().map(([, device]) => device);
const threaded = new WasmDevice({ relaxedSimd: false, threads: 3, worthThreads: 0 });

const length = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 70 }) },
  { weight: 1, arbitrary: fc.constantFrom(257, 1000) },
);
/** Rows and columns around the axis. */
const around = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.constantFrom(1, 2, 5));
const anyFloat = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: -3, max: 3 }) },
  { weight: 3, arbitrary: fc.float({ noDefaultInfinity: true, noNaN: true, min: -100, max: 100 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(NaN, -0, 0, Infinity, -Infinity, 1e-45, -1e-45, 3e38),
  },
);
const SORTED_TYPES: readonly DType[] = ['f32', 'f32', 'i32', 'u32', 'i8', 'u8', 'bool'];

/** Values of a type: small, so that many are equal, and the ends of its range. */
function anyValues(dtype: DType, size: number): fc.Arbitrary<TypedArray> {
  const { kind, bytes } = DTYPES[dtype];
  const top = kind === 'uint' ? 2 ** (8 * bytes) - 1 : 2 ** (8 * bytes - 1) - 1;
  const low = kind === 'uint' ? 0 : -(2 ** (8 * bytes - 1));
  const whole =
    kind === 'bool'
      ? fc.constantFrom(0, 1)
      : fc.oneof(fc.integer({ min: Math.max(low, -4), max: 4 }), fc.constantFrom(low, top));
  const value = kind === 'float' ? anyFloat : whole;
  return fc.array(value, { minLength: size, maxLength: size }).map((list) => {
    const data = new (arrayClass(dtype))(size);
    data.set(list);
    return data;
  });
}

interface Case {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

function anyCase(dtypes: readonly DType[]): fc.Arbitrary<Case> {
  return fc.tuple(fc.constantFrom(...dtypes), length, around).chain(([dtype, n, [rows, columns]]) =>
    anyValues(dtype, rows * n * columns).map((data) => ({
      dtype,
      shape: [rows, n, columns],
      data,
    })),
  );
}

/** The places of one row of an array [rows, n, columns], in order. */
function eachRow([rows, n, columns]: readonly number[], visit: (places: number[]) => void): void {
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      visit(Array.from({ length: n }, (_, i) => (r * n + i) * columns + c));
    }
  }
}

/** NaN above all; the zeros are equal. */
function isBefore(x: number, y: number): boolean {
  return x < y || (!Number.isNaN(x) && Number.isNaN(y));
}

/** The same on every device, and the value of the interpreter. */
async function onAll(out: Node, x: BufferNode, data: TypedArray) {
  const interpreted = (await runGraph(oracle, [out], [x], [data]))[0];
  const kernel = (await runGraph(kernels, [out], [x], [data]))[0];
  const code = (await runGraph(wasm, [out], [x], [data]))[0];
  const together = (await runGraph(threaded, [out], [x], [data]))[0];
  expect(firstDifference(kernel, code), 'wasm is not the kernel').toBe(-1);
  expect(firstDifference(kernel, together), 'threads change bits').toBe(-1);
  const [once] = native.length > 0 ? await runGraph(fused, [out], [x], [data]) : [];
  for (const device of native) {
    const [result] = await runGraph(device, [out], [x], [data]);
    expect(firstDifference(once, result), 'native is not the kernel').toBe(-1);
  }
  return { interpreted, kernel };
}

describe('sort', () => {
  it('is the stable permutation of every row, the same on every device', async () => {
    const property = fc.asyncProperty(anyCase(SORTED_TYPES), async ({ dtype, shape, data }) => {
      const x = bufferNode(dtype, shape, 'x');
      const { interpreted, kernel } = await onAll(g.sort(x, 1), x, data);
      expect(firstDifference(interpreted, kernel)).toBe(-1);
      eachRow(shape, (places) => {
        const order = places.map((p) => kernel[p]);
        expect([...order].sort((a, b) => a - b)).toEqual(places.map((_, i) => i));
        for (let i = 1; i < order.length; i++) {
          const [p, q] = [data[places[order[i - 1]]], data[places[order[i]]]];
          const ordered = isBefore(p, q) || (!isBefore(q, p) && order[i - 1] < order[i]);
          expect(ordered, `${p} stands before ${q}`).toBe(true);
        }
      });
    });
    await fc.assert(property, { numRuns: 80 });
  }, 60_000);

  it('of f64 distinguishes infinity from NaN', async () => {
    const x = bufferNode('f64', [7], 'x');
    const data = Float64Array.of(NaN, Infinity, 1, -0, 0, NaN, -Infinity);
    for (const device of [oracle, kernels]) {
      const [got] = await runGraph(device, [g.sort(x, 0)], [x], [data]);
      expect([...got]).toEqual([6, 3, 4, 2, 1, 0, 5]);
    }
  });

  it('of one row keeps its scratch once, of several rows once for each thread', () => {
    const scratch = (shape: number[]) => {
      const x = bufferNode('f32', shape, 'x');
      const { localBytes, scratchBytes } = compileProgram([g.sort(x, shape.length - 1)], [x]);
      return [scratchBytes, localBytes];
    };
    expect(scratch([1024])).toEqual([4 * 4096, 0]);
    expect(scratch([2, 1024])).toEqual([0, 4 * 4096]);
  });

  it('takes expressions as sources and symbolic rows', async () => {
    const rows = variable('rows', 1, 5);
    const x = bufferNode('f32', [5, 9], 'x');
    const cut = g.shrink(x, [
      [0, rows],
      [0, 9],
    ]);
    const out = g.sort(g.flip(g.binary('mul', cut, cut), [1]), 1);
    const data = Float32Array.from({ length: 45 }, (_, i) => ((i * 7) % 11) - 5);
    const vars = new Map([['rows', 3]]);
    const results = await Promise.all(
      [oracle, kernels, wasm, ...native].map(
        async (d) => (await runGraph(d, [out], [x], [data], {}, vars))[0],
      ),
    );
    for (const other of results) {
      expect([...other.subarray(0, 27)]).toEqual([...results[0].subarray(0, 27)]);
    }
  });
});

const STEP: { readonly [F in Exclude<ScanFn, 'logaddexp'>]: (x: number, y: number) => number } = {
  sum: (x, y) => x + y,
  prod: (x, y) => x * y,
  max: Math.max,
  min: Math.min,
};

describe('scan', () => {
  it.each(['sum', 'prod', 'max', 'min'] as const)(
    '%s of f32 rounds once at every step, the same on every device',
    async (fn) => {
      const property = fc.asyncProperty(anyCase(['f32']), async ({ dtype, shape, data }) => {
        const x = bufferNode(dtype, shape, 'x');
        const { kernel } = await onAll(g.scan(fn, x, 1), x, data);
        const wanted = new Float32Array(data.length);
        eachRow(shape, (places) => {
          let sum = { sum: 0, prod: 1, max: -Infinity, min: Infinity }[fn];
          // A single element is handed on as it is.
          if (places.length === 1) wanted[places[0]] = data[places[0]];
          else
            for (const p of places) {
              sum = Math.fround(STEP[fn](sum, data[p]));
              wanted[p] = sum;
            }
        });
        expect(firstDifference(kernel, wanted)).toBe(-1);
      });
      await fc.assert(property, { numRuns: 30 });
    },
    60_000,
  );

  it.each(['sum', 'prod', 'max', 'min'] as const)(
    '%s of integers wraps',
    async (fn) => {
      const types: readonly DType[] = ['i32', 'u32', 'i8', 'u8'];
      const property = fc.asyncProperty(anyCase(types), async ({ dtype, shape, data }) => {
        const x = bufferNode(dtype, shape, 'x');
        const { interpreted, kernel } = await onAll(g.scan(fn, x, 1), x, data);
        expect(firstDifference(interpreted, kernel)).toBe(-1);
      });
      await fc.assert(property, { numRuns: 30 });
    },
    60_000,
  );

  it('logaddexp is near the interpreter, infinities included', async () => {
    const property = fc.asyncProperty(anyCase(['f32']), async ({ dtype, shape, data }) => {
      const x = bufferNode(dtype, shape, 'x');
      const { interpreted, kernel } = await onAll(g.scan('logaddexp', x, 1), x, data);
      for (let i = 0; i < data.length; i++) {
        const [got, want] = [kernel[i], interpreted[i]];
        if (Object.is(got, want) || got === want) continue;
        // Each step rounds the running value, the interpreter only the last one.
        const allowed = shape[1] * 2 ** -23 * (1 + Math.abs(want));
        expect(Math.abs(got - want), `${got}, expected ${want}`).toBeLessThanOrEqual(allowed);
      }
    });
    await fc.assert(property, { numRuns: 30 });
  }, 60_000);

  it('takes expressions as sources and a symbolic axis', async () => {
    const steps = variable('steps', 1, 6);
    const x = bufferNode('f32', [2, 6, 5], 'x');
    const cut = g.shrink(x, [
      [0, 2],
      [0, steps],
      [0, 5],
    ]);
    const out = g.scan('sum', g.binary('mul', cut, cut), 1);
    const data = Float32Array.from({ length: sizeOf([2, 6, 5]) }, (_, i) => (i % 7) - 3);
    const [got] = await runGraph(wasm, [out], [x], [data], {}, new Map([['steps', 4]]));
    for (let row = 0; row < 2; row++) {
      for (let c = 0; c < 5; c++) {
        let sum = 0;
        for (let i = 0; i < 4; i++) {
          const at = (row * 6 + i) * 5 + c;
          sum += data[at] ** 2;
          expect(got[at]).toBe(sum);
        }
      }
    }
  });

  it('and sort refuse what they cannot order', () => {
    const flags = bufferNode('bool', [4], 'flags');
    const n = variable('n', 1, 4);
    expect(() => g.scan('sum', flags, 0)).toThrow(/scan sum: operand is bool/);
    expect(() => g.scan('logaddexp', bufferNode('i32', [4], 'x'), 0)).toThrow(/is i32/);
    expect(() => g.scan('max', bufferNode('f32', [4], 'x'), 1)).toThrow(/axis/);
    expect(() => g.sort(bufferNode('f32', [n], 'x'), 0)).toThrow(/axis/);
  });
});
