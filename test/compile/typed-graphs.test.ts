import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { device } from '../../src/device/index.ts';
import { arrayClass, type TypedArray } from '../../src/ir/dtype.ts';
import { printExpression } from '../../src/ir/graph/print.ts';
import { firstDifference, runGraph } from '../support/run-graph.ts';
import { anyTypedRecipe, buildTypedGraph } from '../support/typed-graph.ts';

const [wasm, oracle] = [device('wasm'), device('interpret')];

test('graphs of all types, at the values where types end, are the same compiled', async () => {
  await fc.assert(
    fc.asyncProperty(anyTypedRecipe, async (recipe) => {
      const { inputs, outputs, values } = buildTypedGraph(recipe);
      const data = inputs.map(({ dtype }, i): TypedArray => {
        const array = new (arrayClass(dtype))(values[i].length);
        array.set(values[i]);
        return array;
      });
      const expected = await runGraph(oracle, outputs, inputs, data);
      const actual = await runGraph(wasm, outputs, inputs, data);
      outputs.forEach((node, i) => {
        expect(firstDifference(expected[i], actual[i]), printExpression(node)).toBe(-1);
      });
    }),
    { numRuns: 60 },
  );
});
