import * as fc from 'fast-check';
import { describe, it } from 'vitest';
import { checkNativeOps, checkNativeRecipe } from '../fuzz/check-native-kernel.ts';
import { WITHOUT_NATIVE } from '../support/device-names.ts';
import { nativeDevices } from '../support/native-devices.ts';
import { anyRecipe } from '../support/random-kernel.ts';
import { anyOpsRecipe } from '../support/random-ops.ts';

// Arrays lie between pages that cannot be accessed: an access outside ends this process.
describe.skipIf(WITHOUT_NATIVE)('random kernels as x86-64 code', () => {
  const someDevices = fc.constantFrom(...nativeDevices());

  it.each(['scalar', 'vector', 'masked'] as const)(
    '%s: it gives the bits of the interpreter, alone and shared by two threads',
    async (form) => {
      const recipe = anyRecipe(['f32', 'i32', 'u32'], 40);
      await fc.assert(
        fc.asyncProperty(recipe, someDevices, async (r, devices) => {
          fc.pre(await checkNativeRecipe(r, form, devices));
        }),
        { numRuns: 300 },
      );
    },
  );

  it('every operation, in any order and any nest, gives the bits of the interpreter', async () => {
    await fc.assert(fc.asyncProperty(anyOpsRecipe(40), someDevices, checkNativeOps), {
      numRuns: 400,
    });
  });

  it('more values than registers of every class go through memory unharmed', async () => {
    await fc.assert(fc.asyncProperty(anyOpsRecipe(300), someDevices, checkNativeOps), {
      numRuns: 60,
    });
  });
});
