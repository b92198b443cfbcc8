import * as fc from 'fast-check';
import { describe, it } from 'vitest';
import { checkGraph } from '../fuzz/check-graph.ts';
import { anyGraphRecipe } from '../support/graph-recipes.ts';

describe('random graphs', () => {
  it('agree between graph interpreter, kernel interpreter and wasm, fused or not', async () => {
    await fc.assert(fc.asyncProperty(anyGraphRecipe, fc.nat({ max: 999 }), checkGraph), {
      numRuns: 150,
    });
  }, 120_000);
});
