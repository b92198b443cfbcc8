import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { interpretKernel } from '../../src/ir/kernel/interpret.ts';
import { WASM_KERNELS } from '../../src/ir/kernel/types.ts';
import { verifyKernel } from '../../src/ir/kernel/verify.ts';
import {
  anyRecipe,
  buildRecipe,
  decoded,
  type Form,
  type Recipe,
  recipeArguments,
} from '../support/random-kernel.ts';
import { WIDE_KERNELS } from '../support/wide-kernels.ts';

function run(recipe: Recipe, form: Form, fusedFma: boolean, target = WASM_KERNELS) {
  const kernel = buildRecipe(recipe, form, target);
  verifyKernel(kernel, target);
  const args = recipeArguments(recipe, kernel);
  const { check } = interpretKernel(kernel, args, { fusedFma });
  const out = args.buffers[kernel.buffers.findIndex((b) => b.role === 'out')];
  return { values: decoded(recipe.output, out), failed: check !== null };
}

describe('random kernels', () => {
  test('are accepted, and give the same bits with and without vectors of any width', () => {
    fc.assert(
      fc.property(anyRecipe(), fc.boolean(), (recipe, fused) => {
        const scalar = run(recipe, 'scalar', fused);
        expect(run(recipe, 'vector', fused)).toEqual(scalar);
        expect(run(recipe, 'masked', fused)).toEqual(scalar);
        for (const target of WIDE_KERNELS) {
          expect(run(recipe, 'vector', fused, target)).toEqual(scalar);
          expect(run(recipe, 'masked', fused, target)).toEqual(scalar);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('give the same bits when run twice', () => {
    fc.assert(
      fc.property(anyRecipe(), (recipe) => {
        const kernel = buildRecipe(recipe, 'vector');
        const [first, second] = [0, 1].map(() => {
          const args = recipeArguments(recipe, kernel);
          return { result: interpretKernel(kernel, args), args };
        });
        expect(second).toEqual(first);
      }),
      { numRuns: 300 },
    );
  });
});
