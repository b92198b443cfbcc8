import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_TILES, type GemmTiles } from '../../src/compile/index.ts';
import { KernelInterpreter, WasmDevice } from '../../src/device/index.ts';
import * as g from '../../src/ir/graph/build.ts';
import { namedNativeDevices } from '../support/native-devices.ts';
import { firstDifference, numbers, runGraph } from '../support/run-graph.ts';

/**
 * The contract of numbers: the bits of a result depend on its own row and the length of its sums,
 * never on tiles, on how many rows there are, or on what the other rows hold.
 */
const devices = [
  ['wasm', new WasmDevice({ relaxedSimd: false, threads: 1 })],
  ['wasm, relaxed', new WasmDevice({ relaxedSimd: true, threads: 1 })],
  ['wasm, 2 threads', new WasmDevice({ relaxedSimd: true, threads: 2, worthThreads: 0 })],
  ...namedNativeDevices(),
] as const;

const tiles: readonly GemmTiles[] = [
  DEFAULT_TILES,
  {
    rows: 1,
    vectors: 1,
    depth: 7,
    columns: 4,
    unroll: 1,
    packsRows: 1 % 2 === 0,
    turnsColumns: 1 % 2 === 0,
  },
  {
    rows: 4,
    vectors: 2,
    depth: 16,
    columns: 24,
    unroll: 4,
    packsRows: 4 % 2 === 0,
    turnsColumns: 4 % 2 === 0,
  },
  {
    rows: 2,
    vectors: 3,
    depth: 33,
    columns: 36,
    unroll: 3,
    packsRows: 3 % 2 === 0,
    turnsColumns: 3 % 2 === 0,
  },
];

/** x [m, k] by w [n, k] transposed (a linear layer) or by w [k, n]. */
function product(m: number, n: number, k: number, transposed: boolean) {
  const x = g.bufferNode('f32', [m, k], 'x');
  const w = g.bufferNode('f32', transposed ? [n, k] : [k, n], 'w');
  const out = g.dot(x, transposed ? g.permute(w, [1, 0]) : w, 0, 1);
  return { inputs: [x, w], out };
}

const size = fc.integer({ min: 1, max: 70 });

describe.each(devices)('numbers on %s', (_name, device) => {
  it('a product does not change with tile sizes', async () => {
    await fc.assert(
      fc.asyncProperty(size, size, size, fc.boolean(), async (m, n, k, transposed) => {
        const { inputs, out } = product(m, n, k, transposed);
        const values = [numbers(m, m * k), numbers(n + 7, n * k)];
        const [first] = await runGraph(device, [out], inputs, values);
        for (const other of tiles) {
          const [result] = await runGraph(device, [out], inputs, values, { tiles: other });
          expect(firstDifference(first, result)).toBe(-1);
        }
      }),
      { numRuns: 25 },
    );
  });

  it('a row of a product is the same alone and among others', async () => {
    await fc.assert(
      fc.asyncProperty(size, size, size, fc.nat(), async (m, n, k, pick) => {
        const row = pick % m;
        const x = numbers(m + 1, m * k);
        const w = numbers(n + 9, n * k);
        const many = product(m, n, k, true);
        const one = product(1, n, k, true);
        const [all] = await runGraph(device, [many.out], many.inputs, [x, w]);
        const alone = x.slice(row * k, (row + 1) * k);
        const [single] = await runGraph(device, [one.out], one.inputs, [alone, w]);
        expect(firstDifference(single, all.slice(row * n, (row + 1) * n))).toBe(-1);
      }),
      { numRuns: 25 },
    );
  });

  it('a reduction is the same along rows and along columns', async () => {
    await fc.assert(
      fc.asyncProperty(size, fc.integer({ min: 1, max: 150 }), async (rows, length) => {
        const x = numbers(rows + length, rows * length);
        const turned = new Float32Array(x.length);
        x.forEach((v, i) => {
          turned[(i % length) * rows + Math.floor(i / length)] = v;
        });
        const a = g.bufferNode('f32', [rows, length], 'a');
        const b = g.bufferNode('f32', [length, rows], 'b');
        const [alongRows] = await runGraph(device, [g.reduce('sum', a, [1])], [a], [x]);
        const [alongColumns] = await runGraph(device, [g.reduce('sum', b, [0])], [b], [turned]);
        expect(firstDifference(alongRows, alongColumns)).toBe(-1);
      }),
      { numRuns: 40 },
    );
  });

  it('a softmax row is the same alone and among others', async () => {
    const softmax = (x: ReturnType<typeof g.bufferNode>) => {
      const top = g.expand(g.reduce('max', x, [1]), x.shape);
      const e = g.unary('exp', g.binary('sub', x, top));
      return g.binary('div', e, g.expand(g.reduce('sum', e, [1]), x.shape));
    };
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: 9 }), size, async (rows, length) => {
        const x = numbers(rows * length, rows * length);
        const many = g.bufferNode('f32', [rows, length], 'many');
        const one = g.bufferNode('f32', [1, length], 'one');
        const [all] = await runGraph(device, [softmax(many)], [many], [x]);
        const [single] = await runGraph(
          device,
          [softmax(one)],
          [one],
          [x.slice(length, 2 * length)],
        );
        expect(firstDifference(single, all.slice(length, 2 * length))).toBe(-1);
      }),
      { numRuns: 25 },
    );
  });

  it('a fused multiply-add is rounded as the kernel interpreter says', async () => {
    const { target } = device;
    const relaxed = target.kind === 'wasm' ? target.relaxedSimd : target.kind === 'x64';
    const { inputs, out } = product(5, 9, 300, false);
    const values = [numbers(3, 1500), numbers(4, 2700)];
    const [code] = await runGraph(device, [out], inputs, values);
    const [kernel] = await runGraph(new KernelInterpreter(relaxed), [out], inputs, values);
    expect(firstDifference(code, kernel)).toBe(-1);
  });
});

describe('special values', () => {
  it('NaN, infinity and -0 pass through as IEEE says', async () => {
    const device = new WasmDevice({ relaxedSimd: true, threads: 1 });
    const x = g.bufferNode('f32', [6], 'x');
    const y = g.bufferNode('f32', [6], 'y');
    const values = [
      Float32Array.of(Number.NaN, -0, -0, Number.POSITIVE_INFINITY, 1, 0),
      Float32Array.of(1, -0, 0, Number.NEGATIVE_INFINITY, Number.NaN, -0),
    ];
    const outputs = [g.binary('add', x, y), g.binary('max', x, y), g.binary('mul', x, y)];
    const [sum, max, mul] = await runGraph(device, outputs, [x, y], values);
    expect([...sum]).toEqual([Number.NaN, -0, 0, Number.NaN, Number.NaN, 0]);
    expect([...max]).toEqual([Number.NaN, -0, 0, Number.POSITIVE_INFINITY, Number.NaN, 0]);
    expect([...mul]).toEqual([Number.NaN, 0, -0, Number.NEGATIVE_INFINITY, Number.NaN, -0]);
  });
});
