import * as fc from 'fast-check';
import { describe, it } from 'vitest';
import { checkKernel } from '../fuzz/check-kernel.ts';
import { anyRecipe } from '../support/random-kernel.ts';

describe('random kernels', () => {
  it.each(['scalar', 'vector', 'masked'] as const)(
    '%s: wasm gives the bits of the interpreter, on one thread and on several',
    async (form) => {
      await fc.assert(
        fc.asyncProperty(anyRecipe(['f32', 'i32', 'u32']), async (recipe) => {
          fc.pre(await checkKernel(recipe, form));
        }),
        { numRuns: 300 },
      );
    },
    60_000,
  );
});
