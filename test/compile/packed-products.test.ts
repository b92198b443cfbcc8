import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideCalls } from '../../src/compile/index.ts';
import { GraphInterpreter, KernelInterpreter, WasmDevice } from '../../src/device/index.ts';
import type { TypedArray } from '../../src/ir/dtype.ts';
import * as g from '../../src/ir/graph/build.ts';
import type { Node } from '../../src/ir/graph/types.ts';
import { panelShapes } from '../../src/ir/packed.ts';
import { sizeOf } from '../../src/ir/shape.ts';
import { packedLinear, quantScheme } from '../../src/tensor/functions/index.ts';
import { Lazy } from '../../src/tensor/lazy.ts';
import { chooseDevice, Tensor } from '../../src/tensor/tensor.ts';
import { firstDifference, numbers, runGraph } from '../support/run-graph.ts';

const oracle = new GraphInterpreter();
const kernels = new KernelInterpreter(true);
const relaxed = new WasmDevice({ relaxedSimd: true, threads: 1 });
const exact = new WasmDevice({ relaxedSimd: false, threads: 1 });
const threaded = new WasmDevice({ relaxedSimd: true, threads: 2, worthThreads: 0 });

const SCHEMES = ['int8-g32', 'int4-g32', 'int4-g128', 'int8-row'] as const;

interface Case {
  readonly scheme: (typeof SCHEMES)[number];
  readonly rows: number;
  readonly blocks: number;
  readonly width: number;
  readonly seed: number;
}

const anyCase: fc.Arbitrary<Case> = fc.record({
  scheme: fc.constantFrom(...SCHEMES),
  rows: fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 8, 9, 33, 128),
  blocks: fc.integer({ min: 1, max: 3 }),
  width: fc.constantFrom(1, 3, 4, 5, 8, 9, 12, 17),
  seed: fc.nat({ max: 1000 }),
});

interface Built {
  readonly inputs: g.BufferNode[];
  readonly values: TypedArray[];
  readonly output: Node;
}

function build({ scheme: name, rows, blocks, width, seed }: Case): Built {
  const columns = blocks * (name === 'int4-g128' ? 128 : 32);
  const scheme = quantScheme(name, columns);
  const shapes = panelShapes([width, columns], scheme);
  const inputs = [
    g.bufferNode('f32', [rows, columns], 'x'),
    g.bufferNode(scheme.bits === 8 ? 'i8' : 'u8', shapes.codes, 'codes'),
    g.bufferNode('f32', shapes.scales, 'scales'),
  ];
  const x = numbers(seed, rows * columns);
  // Blocks of zeros, of equal ends and of numbers too small for a scale.
  if (seed % 3 === 0) x.fill(0, 0, 32);
  if (seed % 5 === 0) x.fill(-190 * 2 ** -149, 0, 16);
  const bytes = Uint8Array.from(
    numbers(seed + 1, sizeOf(shapes.codes)),
    (v, i) => (v * 9973 + i * 7) & 255,
  );
  const codes = scheme.bits === 8 ? new Int8Array(bytes.buffer) : bytes;
  const scales = numbers(seed + 2, sizeOf(shapes.scales));
  const [xs, cs, ss] = inputs.map(
    (node) => new Tensor(new Lazy(chooseDevice('interpret'), node, [])),
  );
  const matrix = { scheme, shape: [width, columns] as const, codes: cs, scales: ss };
  return { inputs, values: [x, codes, scales], output: packedLinear(xs, matrix).node };
}

const ALL = { templates: 'all' } as const;
const INLINED = { templates: 'none' } as const;

function expectSame(got: TypedArray, want: TypedArray): void {
  const at = firstDifference(got, want);
  if (at >= 0) expect.fail(`${at}: ${got[at]} instead of ${want[at]}`);
}

describe('products with packed weights', () => {
  it('templates give the bits of the body, on every target', async () => {
    await fc.assert(
      fc.asyncProperty(anyCase, async (c) => {
        const { inputs, values, output } = build(c);
        const { decisions } = decideCalls([output], 'all');
        expect(decisions.filter((d) => d.inlined)).toEqual([]);
        expect(decisions.length).toBe(2);
        const [want] = await runGraph(exact, [output], inputs, values, INLINED);
        for (const device of [relaxed, exact, threaded]) {
          const [got] = await runGraph(device, [output], inputs, values, ALL);
          expectSame(got, want);
        }
        if (c.rows > 9) return;
        expectSame((await runGraph(kernels, [output], inputs, values, ALL))[0], want);
        expectSame((await runGraph(kernels, [output], inputs, values, INLINED))[0], want);
        const [close] = await runGraph(oracle, [output], inputs, values);
        // The interpreter adds the blocks in doubles: a rounding for each block of the others'.
        const bound = 12 * 2 ** -24 * 32 * 127 * 255 * 2 * c.blocks * 4;
        for (let i = 0; i < want.length; i++) {
          expect(Math.abs(close[i] - want[i])).toBeLessThanOrEqual(bound);
        }
      }),
      { numRuns: 25, seed: 7 },
    );
  });
});
