import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { device } from '../../src/device/index.ts';
import { DTYPES } from '../../src/ir/dtype.ts';
import * as g from '../../src/ir/graph/build.ts';
import { checkpointRegion } from '../../src/ir/graph/checkpoint.ts';
import { gradientGraph } from '../../src/ir/graph/gradient.ts';
import type { Node } from '../../src/ir/graph/types.ts';
import { sizeOf } from '../../src/ir/shape.ts';
import { anyGraphRecipe } from '../support/graph-recipes.ts';
import { buildGraph } from '../support/random-graph.ts';
import { firstDifference, numbers, runGraph } from '../support/run-graph.ts';

const total = (node: Node): Node => g.reshape(g.reduce('sum', node, [...node.shape.keys()]), []);

describe('checkpointed graphs', () => {
  it.each([
    ['interpret-kernels', 12],
    ['wasm', 40],
  ] as const)('have the gradients of plain ones, bit for bit, on %s', async (name, numRuns) => {
    await fc.assert(
      fc.asyncProperty(anyGraphRecipe, async (recipe) => {
        const { inputs, outputs } = buildGraph(recipe);
        // Of several results the gradients are the same sums, but not always added in the same order.
        const result = outputs.findLast((node) => DTYPES[node.dtype].kind === 'float');
        fc.pre(result !== undefined);
        // All that is no input belongs to the region.
        const start = Math.max(...inputs.map((node) => node.id)) + 1;
        const gradients = (node: Node) => {
          const value = total(node);
          return [value, ...gradientGraph([value], [g.constLike(value, 1)], inputs)];
        };
        const data = inputs.map((node, i) => numbers(i, sizeOf(node.shape)));
        const run = (nodes: readonly Node[]) => runGraph(device(name), nodes, inputs, data);
        const expected = await run(gradients(result));
        const got = await run(gradients(checkpointRegion([result], start)[0]));
        got.forEach((array, i) => {
          expect(firstDifference(array, expected[i])).toBe(-1);
        });
      }),
      { numRuns },
    );
  });
});
