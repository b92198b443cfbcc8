import * as fc from 'fast-check';
import { describe, it } from 'vitest';
import { checkGraph } from '../fuzz/check-graph.ts';
import { checkSmallFloats } from '../fuzz/check-small-floats.ts';
import { anyGraphRecipe } from '../support/graph-recipes.ts';

describe('random graphs', () => {
  it('agree between graph interpreter, kernel interpreter and wasm, fused or not', async () => {
    await fc.assert(fc.asyncProperty(anyGraphRecipe, fc.nat({ max: 999 }), checkGraph), {
      numRuns: 150,
    });
  }, 120_000);
});

describe('random graphs of small floats', () => {
  it('have the same bits fused or not, interpreted or as wasm', async () => {
    const format = fc.constantFrom(...(['f16', 'bf16', 'f8e4m3', 'f8e5m2'] as const));
    await fc.assert(
      fc.asyncProperty(anyGraphRecipe, format, fc.nat({ max: 999 }), checkSmallFloats),
      { numRuns: 40 },
    );
  }, 60_000);
});
