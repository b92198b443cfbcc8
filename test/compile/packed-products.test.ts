import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileProgram, decideCalls } from '../../src/compile/index.ts';
import { GraphInterpreter, KernelInterpreter, WasmDevice } from '../../src/device/index.ts';
import type { TypedArray } from '../../src/ir/dtype.ts';
import * as g from '../../src/ir/graph/build.ts';
import { rebuild } from '../../src/ir/graph/rebuild.ts';
import { namedNativeDevices } from '../support/native-devices.ts';
import { anyPackedCase, type PackedCase, packedGraph } from '../support/packed-case.ts';
import { firstDifference, runGraph } from '../support/run-graph.ts';

const oracle = new GraphInterpreter();
const kernels = new KernelInterpreter(true);
const relaxed = new WasmDevice({ relaxedSimd: true, threads: 1 });
const exact = new WasmDevice({ relaxedSimd: false, threads: 1 });
const threaded = new WasmDevice({ relaxedSimd: true, threads: 2, worthThreads: 0 });

const ALL = { templates: 'all' } as const;
const INLINED = { templates: 'none' } as const;

function expectSame(got: TypedArray, want: TypedArray): void {
  const at = firstDifference(got, want);
  if (at >= 0) expect.fail(`${at}: ${got[at]} instead of ${want[at]}`);
}

/** Values lie in -2 .. 2, and so do scales: a block's sum is at most 32 x 2 x 255 x 2. */
const LARGEST = 32 * 2 * 255 * 2;

async function compare(c: PackedCase): Promise<void> {
  const { inputs, values, output } = packedGraph(c);
  const { decisions } = decideCalls([output], 'all');
  expect(decisions.map(({ name, inlined }) => [name, inlined])).toEqual([
    ['packed.activations', undefined],
    ['packed.product', undefined],
  ]);
  const [want] = await runGraph(exact, [output], inputs, values, INLINED);
  const native = namedNativeDevices().map(([, device]) => device);
  for (const device of [relaxed, exact, threaded, ...native]) {
    const [got] = await runGraph(device, [output], inputs, values, ALL);
    expectSame(got, want);
  }
  if (c.rows > 9) return;
  expectSame((await runGraph(kernels, [output], inputs, values, ALL))[0], want);
  expectSame((await runGraph(kernels, [output], inputs, values, INLINED))[0], want);
  // The graph's definition adds the blocks in doubles: the others round once for each block.
  const [close] = await runGraph(oracle, [output], inputs, values);
  const blocks = c.blocks * (c.scheme === 'int4-g128' ? 4 : 1);
  const bound = 2 ** -24 * LARGEST * blocks ** 2;
  close.forEach((v, i) => {
    expect(Math.abs((v as number) - want[i])).toBeLessThanOrEqual(bound);
  });
}

describe('products with packed weights', () => {
  it('templates give the bits of the body, on every target', async () => {
    await fc.assert(fc.asyncProperty(anyPackedCase, compare), { numRuns: 25, seed: 7 });
  });

  it('a row has the same bits alone and among many', async () => {
    for (const scheme of ['int8-g32', 'int4-g32', 'int4-g128'] as const) {
      const c = { scheme, rows: 33, blocks: 3, width: 9, seed: 4 };
      const { inputs, values, output } = packedGraph(c);
      const [all] = await runGraph(threaded, [output], inputs, values);
      const one = packedGraph({ ...c, rows: 1 });
      const columns = values[0].length / c.rows;
      for (const row of [0, 3, 4, 31, 32]) {
        const x = values[0].slice(row * columns, (row + 1) * columns);
        const alone = await runGraph(relaxed, [one.output], one.inputs, [x, ...values.slice(1)]);
        expectSame(alone[0], all.slice(row * c.width, (row + 1) * c.width));
      }
    }
  });

  it('products of one x follow each other without waiting', () => {
    const c = { scheme: 'int4-g32', rows: 2, blocks: 2, width: 8, seed: 1 } as const;
    const { inputs, output } = packedGraph(c);
    const other = packedGraph({ ...c, seed: 2 });
    // The same x for weights of its own, each product with more work behind it.
    const [x, ...weights] = [...inputs, ...other.inputs.slice(1)];
    const second = rebuild([other.output], (node) => (node === other.inputs[0] ? x : node))[0];
    const outputs = [output, second].map((y) => g.reduce('sum', y, [1]));
    const { steps } = compileProgram(outputs, [x, ...weights] as g.BufferNode[], { threads: 2 });
    expect(steps.map(({ label, barrier }) => [label.split('_')[0], barrier])).toEqual([
      ['packed.activations', false],
      ['packed.product', true],
      ['packed.product', false],
      ['sum', true],
      ['sum', false],
    ]);
  });

  it('symbolic rows are computed by the body', async () => {
    const c = { scheme: 'int4-g32', rows: 5, blocks: 2, width: 6, seed: 2 } as const;
    const [want] = await (async () => {
      const { inputs, values, output } = packedGraph(c);
      return runGraph(relaxed, [output], inputs, values);
    })();
    const { inputs, values, output, vars } = packedGraph({ ...c, room: 8 });
    const { decisions } = decideCalls([output], 'all');
    expect(decisions.map(({ inlined }) => inlined)).toEqual([
      'its rows are symbolic',
      'its rows are symbolic',
    ]);
    const [got] = await runGraph(relaxed, [output], inputs, values, {}, vars);
    expectSame(got.slice(0, want.length), want);
  });
});
