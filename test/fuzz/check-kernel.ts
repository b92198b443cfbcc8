import { WasmDevice } from '../../src/device/index.ts';
import { interpretKernel } from '../../src/ir/kernel/interpret.ts';
import type { Kernel, Statement } from '../../src/ir/kernel/types.ts';
import {
  buildRecipe,
  decoded,
  type Form,
  type Recipe,
  recipeArguments,
} from '../support/random-kernel.ts';
import { runOnWasm } from '../support/run-kernel.ts';

/** WebAssembly has no f64 kernels, and fuses whole vectors only. */
function isForWasm(kernel: Kernel): boolean {
  const supported = (s: Statement): boolean => {
    if (s.kind === 'loop') return s.body.every(supported);
    return !('dtype' in s) || (s.dtype !== 'f64' && !(s.kind === 'fma' && s.lanes === 1));
  };
  const types = [...kernel.buffers, ...kernel.locals].map((b) => b.dtype);
  return !types.includes('f64') && kernel.body.every(supported);
}

const devices = [1, 3].map(
  (threads) => new WasmDevice({ relaxedSimd: true, threads, worthThreads: 0 }),
);

/**
 * Runs a random kernel by the kernel interpreter and as WebAssembly, on one thread and on three.
 *
 * @returns false when the kernel is none for WebAssembly
 * @throws Error where an element or the index out of range differs
 */
export async function checkKernel(recipe: Recipe, form: Form): Promise<boolean> {
  const kernel = buildRecipe(recipe, form);
  if (!isForWasm(kernel)) return false;
  const { buffers, vars } = recipeArguments(recipe, kernel);
  const copies = buffers.map((b) => b.slice());
  const { check } = interpretKernel(kernel, { buffers, vars }, { fusedFma: true });
  const out = kernel.buffers.findIndex((b) => b.role === 'out');
  const wanted = decoded(recipe.output, buffers[out]);
  for (const [d, device] of devices.entries()) {
    const run = runOnWasm(device, kernel, copies, vars);
    if (check) {
      const error = await run.then(
        () => undefined,
        (e: unknown) => e,
      );
      // Threads go on to the end of their pieces: any of the offenders may be the one named.
      const place = d === 0 ? `index ${check.value} ` : 'index ';
      if (error instanceof RangeError && error.message.includes(place)) continue;
      throw new Error(`expected the RangeError of index ${check.value}, got ${String(error)}`);
    }
    const got = decoded(recipe.output, await run);
    const at = wanted.findIndex((x, i) => !Object.is(x, got[i]));
    if (at >= 0) throw new Error(`element ${at} is ${got[at]}, the interpreter says ${wanted[at]}`);
  }
  return true;
}
