import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileProgram } from '../../src/compile/index.ts';
import { GraphInterpreter, KernelInterpreter, WasmDevice } from '../../src/device/index.ts';
import * as g from '../../src/ir/graph/build.ts';
import type { Node } from '../../src/ir/graph/types.ts';
import { printKernel } from '../../src/ir/kernel/print.ts';
import { type Dim, isVar, type Shape, sizeOf, stridesOf, variable } from '../../src/ir/shape.ts';
import { namedNativeDevices } from '../support/native-devices.ts';
import { firstDifference, numbers, runGraph } from '../support/run-graph.ts';

const devices = [
  ['wasm', new WasmDevice({ relaxedSimd: false, threads: 1 })],
  ['wasm, relaxed', new WasmDevice({ relaxedSimd: true, threads: 2, worthThreads: 0 })],
  ['kernel interpreter', new KernelInterpreter(true)],
  ...namedNativeDevices(),
] as const;

type Layout = 'rows of depth' | 'columns of depth' | 'bytes';

/** act(x w + bias) + x2 for m rows; weights as [k, n], as [n, k], or as scaled bytes [n, k]. */
function layer(m: number, n: number, k: number, layout: Layout) {
  const x = g.bufferNode('f32', [m, k], 'x');
  const residual = g.bufferNode('f32', [m, n], 'residual');
  const bias = g.bufferNode('f32', [1, n], 'bias');
  const shape = layout === 'rows of depth' ? [k, n] : [n, k];
  const w = g.bufferNode(layout === 'bytes' ? 'i8' : 'f32', shape, 'w');
  const scale = g.bufferNode('f32', [n, 1], 'scale');
  const weights =
    layout === 'bytes' ? g.binary('mul', g.cast(w, 'f32'), g.expand(scale, shape)) : w;
  const right = layout === 'rows of depth' ? weights : g.permute(weights, [1, 0]);
  const left = g.binary('mul', x, g.constLike(x, 0.5));
  const product = g.binary('add', g.dot(left, right, 0, 1), g.expand(bias, [m, n]));
  const out = g.binary('add', g.unary('sigmoid', product), residual);
  return { inputs: [x, residual, bias, w, scale], out };
}

function layerValues(m: number, n: number, k: number, layout: Layout) {
  const w = numbers(n, n * k);
  return [
    numbers(m, m * k),
    numbers(m + 1, m * n),
    numbers(n + 2, n),
    layout === 'bytes' ? Int8Array.from(w, (v) => Math.round(v * 50)) : w,
    numbers(n + 3, n),
  ] as const;
}

describe.each(devices)('few rows on %s', (name, device) => {
  it('have the bits that they have among many', async () => {
    const size = fc.integer({ min: 1, max: 45 });
    const layout = fc.constantFrom<Layout>('rows of depth', 'columns of depth', 'bytes');
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 20 }), size, size, layout, async (m, n, k, l) => {
        const many = layer(20, n, k, l);
        const [x, residual, ...shared] = layerValues(20, n, k, l);
        const all = await runGraph(device, [many.out], many.inputs, [x, residual, ...shared]);
        const few = layer(m, n, k, l);
        const values = [x.slice(0, m * k), residual.slice(0, m * n), ...shared];
        const [part] = await runGraph(device, [few.out], few.inputs, values);
        expect(firstDifference(part, all[0].slice(0, m * n))).toBe(-1);
      }),
      { numRuns: name === 'kernel interpreter' ? 8 : 40 },
    );
  });
});

describe('the template of few rows', () => {
  it('gives as code the bits of the kernel interpreter', async () => {
    const [, relaxed, kernels, ...native] = devices.map(([, device]) => device);
    for (const [m, n, k] of [
      [1, 37, 21],
      [3, 18, 16],
      [7, 5, 3],
    ]) {
      const { inputs, out } = layer(m, n, k, 'columns of depth');
      const values = layerValues(m, n, k, 'columns of depth');
      const [kernel] = await runGraph(kernels, [out], inputs, values);
      for (const device of [relaxed, ...native]) {
        const [code] = await runGraph(device, [out], inputs, values);
        expect(firstDifference(code, kernel)).toBe(-1);
      }
    }
  });

  const text = (layout: Layout, m: number) => {
    const { inputs, out } = layer(m, 32, 64, layout);
    return compileProgram([out], inputs).kernels.map(printKernel).join('\n');
  };

  it('turns squares of weights that lie along the depth', () => {
    expect(text('columns of depth', 1)).toContain('shuffle');
    expect(text('bytes', 4)).toContain('shuffle');
    expect(text('rows of depth', 1)).not.toContain('shuffle');
  });

  it('packs nothing; more rows are packed', () => {
    expect(text('columns of depth', 8)).not.toContain('packedB');
    expect(text('columns of depth', 9)).toContain('packedB');
  });
});

const n = variable('n', 0, 37);
const t = variable('t', 1, 6);

/** Products with a symbolic size in each place: shapes of both operands, batch and contracted axes. */
const symbolic: readonly (readonly [string, Shape, Shape, number, number])[] = [
  ['contracted', [3, 5, n], [3, n, 18], 1, 1],
  ['contracted, one row', [3, 1, n], [3, n, 18], 1, 1],
  ['contracted with gaps', [5, 2, n, 3], [2, n, 3, 7], 0, 3],
  ['columns', [2, 9, 24], [2, 24, n], 1, 1],
  ['columns, one row', [2, 1, 24], [2, 24, n], 1, 1],
  ['columns with gaps', [4, 11], [11, 3, n], 0, 1],
  ['batch', [t, 6, 8], [t, 8, 10], 1, 1],
  ['two batch axes', [2, t, 6, 8], [2, t, 8, 10], 2, 1],
  ['two rows', [t, n, 8], [8, 10], 0, 1],
  ['rows with gaps', [3, n, 8], [8, 10], 0, 1],
  ['rows, columns and depth', [t, n], [n, 3, t], 0, 1],
];

const maxima = (shape: Shape) => shape.map((d) => (isVar(d) ? d.max : d));

/** The product with its vars, or with numbers in their place; operands are parts of whole arrays. */
function product(a: Shape, b: Shape, batch: number, contract: number, turned: boolean) {
  const swap = [...b.keys()];
  // The right operand as [.., columns, depth] in memory: keys, weights.
  if (turned) swap.splice(batch, swap.length - batch, ...swap.slice(batch).reverse());
  const stored = swap.map((axis) => b[axis]);
  const inputs = [
    g.bufferNode('f32', maxima(a), 'a'),
    g.bufferNode('f32', maxima(stored), 'b'),
  ] as const;
  const back = swap.map((_, axis) => swap.indexOf(axis));
  const build = (values?: ReadonlyMap<string, number>): Node => {
    const part = (x: Node, shape: Shape) =>
      g.shrink(
        x,
        shape.map((d) => [0, isVar(d) && values ? (values.get(d.name) as number) : d] as const),
      );
    return g.dot(part(inputs[0], a), g.permute(part(inputs[1], stored), back), batch, contract);
  };
  return { inputs, build };
}

/** The elements that exist, out of an array laid out for the maximum. */
function existing(data: ArrayLike<number>, shape: Shape, values: ReadonlyMap<string, number>) {
  const strides = stridesOf(shape);
  const size = (d: Dim) => (isVar(d) ? (values.get(d.name) as number) : d);
  let offsets = [0];
  shape.forEach((d, axis) => {
    offsets = offsets.flatMap((o) =>
      Array.from({ length: size(d) }, (_, i) => o + i * strides[axis]),
    );
  });
  return Float32Array.from(offsets, (o) => data[o]);
}

describe.each(devices)('symbolic products on %s', (_name, device) => {
  it.each(symbolic)(
    '%s: bits of a product of fixed sizes',
    async (_what, a, b, batch, contract) => {
      for (const turned of [false, true]) {
        const { inputs, build } = product(a, b, batch, contract, turned);
        const values = inputs.map((input, i) => numbers(i + 3, sizeOf(input.shape)));
        const open = build();
        for (const [length, times] of [
          [0, 1],
          [1, 2],
          [13, 6],
          [37, 3],
        ]) {
          const vars = new Map([
            ['n', length],
            ['t', times],
          ]);
          const [got] = await runGraph(device, [open], inputs, values, {}, vars);
          const fixed = build(vars);
          const [wanted] = await runGraph(device, [fixed], inputs, values);
          expect(firstDifference(existing(got, open.shape, vars), wanted)).toBe(-1);
          const [oracle] = await runGraph(new GraphInterpreter(), [fixed], inputs, values);
          wanted.forEach((v, i) => {
            expect(Math.abs(v - oracle[i])).toBeLessThan(2e-4);
          });
        }
      }
    },
  );
});
