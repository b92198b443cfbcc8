import * as fc from 'fast-check';
import type { Recipe } from './random-graph.ts';

const smallDim = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 6, max: 21 }));
const natural = fc.nat({ max: 1000 });

export const anyGraphRecipe: fc.Arbitrary<Recipe> = fc.record({
  shapes: fc.array(fc.array(smallDim, { minLength: 1, maxLength: 3 }), {
    minLength: 1,
    maxLength: 3,
  }),
  steps: fc.array(fc.record({ op: natural, a: natural, b: natural, c: natural }), {
    minLength: 1,
    maxLength: 14,
  }),
});
