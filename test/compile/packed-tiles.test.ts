import { describe, expect, it } from 'vitest';
import { compileProgram } from '../../src/compile/index.ts';
import { KernelInterpreter, WasmDevice } from '../../src/device/index.ts';
import type { TypedArray } from '../../src/ir/dtype.ts';
import * as g from '../../src/ir/graph/build.ts';
import type { Node } from '../../src/ir/graph/types.ts';
import { KernelBuilder } from '../../src/ir/kernel/builder.ts';
import { ZERO } from '../../src/ir/kernel/index-expr.ts';
import { interpretKernel } from '../../src/ir/kernel/interpret.ts';
import type { Kernel, KernelTarget, Statement } from '../../src/ir/kernel/types.ts';
import { verifyKernel } from '../../src/ir/kernel/verify.ts';
import { WITHOUT_NATIVE } from '../support/device-names.ts';
import { nativeDevices } from '../support/native-devices.ts';
import { type PackedCase, packedGraph } from '../support/packed-case.ts';
import { firstDifference, numbers, runGraph } from '../support/run-graph.ts';
import { runOnNative } from '../support/run-kernel.ts';

const TILES: KernelTarget = {
  lanes: 16,
  laneMasks: true,
  wideByteDot: true,
  hints: true,
  byteTiles: true,
};
const VECTORS: KernelTarget = { ...TILES, byteTiles: false };

const body = new WasmDevice({ relaxedSimd: false, threads: 1 });
const machines = WITHOUT_NATIVE === undefined ? nativeDevices() : [];
const withTiles = machines.filter(({ target }) => target.byteTiles);
const withVectors = machines.filter(({ target }) => target.isa === 'avx512' && !target.byteTiles);

function expectSame(got: TypedArray, want: TypedArray, what: string): void {
  const at = firstDifference(got, want);
  if (at >= 0) expect.fail(`${what}, ${at}: ${got[at]} instead of ${want[at]}`);
}

const bytes = (count: number, seed: number) =>
  Int8Array.from({ length: count }, (_, i) => ((i * 2654435761 + seed * 40503) >>> 13) & 255);

/** sums += x y, rows of x at a distance of 40, those of y without a gap. */
function dotKernel(change: (statement: Statement) => Statement = (s) => s, room = 0): Kernel {
  const b = new KernelBuilder(TILES);
  const x = b.buffer('x', 'i8', 15 * 40 + 32 + room, 'in');
  const y = b.buffer('y', 'i8', 8 * 64 + room, 'in');
  const sums = b.buffer('sums', 'i32', 256, 'out');
  b.tile({ kind: 'tileLoad', tile: 0, buffer: sums, index: ZERO, stride: 16 });
  b.tile({ kind: 'tileLoad', tile: 1, buffer: x, index: ZERO, stride: 40 });
  b.tile({ kind: 'tileLoad', tile: 2, buffer: y, index: ZERO, stride: 64 });
  b.tile({ kind: 'tileDot', of: 'bytes', sum: 0, a: 1, b: 2 });
  b.tile({ kind: 'tileStore', tile: 0, buffer: sums, index: ZERO, stride: 16 });
  const kernel = b.build('bytes');
  return { ...kernel, body: kernel.body.map(change) };
}

/** What the kernel is to add to sums that begin near the largest integer. */
function dotCase() {
  const [x, y] = [bytes(15 * 40 + 32, 1), bytes(8 * 64, 2)];
  x.fill(-128, 0, 32);
  for (let k = 0; k < 32; k++) y[64 * (k >> 2) + (k & 3)] = -128;
  const start = Int32Array.from({ length: 256 }, (_, i) => 2 ** 31 - 1 - i);
  const want = start.map((s, at) => {
    const [row, column] = [at >> 4, at & 15];
    let sum = s;
    for (let k = 0; k < 32; k++) {
      sum = (sum + x[40 * row + k] * y[64 * (k >> 2) + 4 * column + (k & 3)]) | 0;
    }
    return sum;
  });
  return { x, y, start, want };
}

describe('tiles of bytes', () => {
  it('multiply signed bytes exactly', () => {
    const { x, y, start, want } = dotCase();
    const kernel = dotKernel();
    verifyKernel(kernel, TILES);
    const got = start.slice();
    interpretKernel(kernel, { buffers: [x, y, got], vars: [] });
    expect(got).toEqual(want);
  });

  it.skipIf(withTiles.length === 0)('do so on this machine, and read no more', async () => {
    const { x, y, start, want } = dotCase();
    for (const { guarded } of withTiles) {
      const { buffers } = await runOnNative(guarded, dotKernel(), [x, y, start], []);
      expect(buffers[2]).toEqual(want);
    }
  });

  it('are refused where there are none, and in two shapes', () => {
    const fault = (kernel: Kernel, target: KernelTarget) => () => verifyKernel(kernel, target);
    expect(fault(dotKernel(), VECTORS)).toThrow('the target has no tiles');
    expect(fault(dotKernel(), { ...VECTORS, bf16: 'tiles' })).toThrow('no tiles of bytes');
    const other = dotKernel((s) => (s.kind === 'tileDot' ? { ...s, of: 'bf16' } : s), 512);
    expect(fault(other, TILES)).toThrow('no tiles of bf16');
    const twice = dotKernel();
    const [dot] = twice.body.filter((s) => s.kind === 'tileDot');
    const turned = { ...dot, a: 2, b: 1 } as Statement;
    const both = { ...twice, body: [...twice.body, turned] };
    expect(fault(both, TILES)).toThrow('tile 2 has another shape');
  });

  it('may not reach beyond a buffer', () => {
    const far = dotKernel((s) =>
      s.kind === 'tileLoad' && s.tile === 1 ? { ...s, stride: 41 } : s,
    );
    expect(() => verifyKernel(far, TILES)).toThrow('beyond the end');
  });
});

function kinds(outputs: readonly Node[], inputs: g.BufferNode[], kernelTarget: KernelTarget) {
  const found = new Set<string>();
  const visit = (statements: readonly Statement[]) => {
    for (const s of statements) {
      found.add(s.kind);
      if (s.kind === 'loop') visit(s.body);
    }
  };
  for (const { body } of compileProgram(outputs, inputs, { kernelTarget }).kernels) visit(body);
  return found;
}

const CASES: readonly PackedCase[] = (
  [
    ['int8-g32', 16, 1, 16],
    ['int4-g32', 16, 2, 5],
    ['int4-g32', 17, 3, 17],
    ['int8-row', 31, 3, 40],
    ['int8-g32', 33, 2, 9],
    ['int4-g128', 33, 2, 33],
    ['int4-g128', 128, 1, 12],
    ['int4-g32', 128, 7, 70],
    ['int8-g32', 100, 4, 64],
  ] as const
).map(([scheme, rows, blocks, width], seed) => ({ scheme, rows, blocks, width, seed }));

describe('products with packed weights by tiles', () => {
  it('are made from sixteen rows on', () => {
    for (const scheme of ['int4-g32', 'int8-g32'] as const) {
      const made = (rows: number, target: KernelTarget) => {
        const c = packedGraph({ scheme, rows, blocks: 2, width: 20, seed: 1 });
        return kinds([c.output], c.inputs, target);
      };
      expect(made(16, TILES).has('tileDot')).toBe(true);
      expect(made(16, TILES).has('byteDot')).toBe(false);
      expect(made(15, TILES).has('tileDot')).toBe(false);
      expect(made(16, VECTORS).has('tileDot')).toBe(false);
    }
  });

  it('give the bits of the body in the interpreter', async () => {
    const interpreter = new KernelInterpreter(true, TILES);
    for (const c of CASES.filter(({ rows }) => rows <= 33)) {
      const { inputs, values, output } = packedGraph(c);
      const [want] = await runGraph(body, [output], inputs, values, { templates: 'none' });
      const [got] = await runGraph(interpreter, [output], inputs, values, { templates: 'all' });
      expectSame(got, want, `${c.scheme}, ${c.rows} rows`);
    }
  });

  it.skipIf(withTiles.length === 0)('give those of the body and of vectors here', async () => {
    for (const c of CASES) {
      const { inputs, values, output } = packedGraph(c);
      const [want] = await runGraph(body, [output], inputs, values, { templates: 'none' });
      for (const { guarded, threads, name } of [...withTiles, ...withVectors]) {
        for (const device of [guarded, threads]) {
          const [got] = await runGraph(device, [output], inputs, values, { templates: 'all' });
          expectSame(got, want, `${name}, ${c.scheme}, ${c.rows} rows`);
        }
      }
    }
  });

  it.skipIf(withTiles.length === 0)('fuse the work behind them', async () => {
    for (const c of CASES) {
      const { inputs, values, output } = packedGraph(c);
      const size = c.rows * c.width;
      const residual = g.bufferNode('f32', [c.rows, c.width], 'residual');
      const sum = g.binary('add', output, residual);
      const all = [...values, numbers(c.seed + 5, size)];
      const run = [[g.unary('abs', sum)], [...inputs, residual], all] as const;
      const [want] = await runGraph(body, ...run, { templates: 'none' });
      for (const { guarded, threads, name } of withTiles) {
        for (const device of [guarded, threads]) {
          const [got] = await runGraph(device, ...run, { templates: 'all' });
          expectSame(got, want, `${name}, ${c.scheme}, ${c.rows} rows`);
        }
      }
    }
  });
});
