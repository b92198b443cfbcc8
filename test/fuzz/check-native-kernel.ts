import { kernelsOf } from '../../src/compile/code.ts';
import type { TypedArray } from '../../src/ir/dtype.ts';
import { interpretKernel } from '../../src/ir/kernel/interpret.ts';
import { isParallel } from '../../src/ir/kernel/threads.ts';
import type { Kernel, Statement } from '../../src/ir/kernel/types.ts';
import { verifyKernel } from '../../src/ir/kernel/verify.ts';
import { kernelData } from '../support/kernel-data.ts';
import type { NativeDevices } from '../support/native-devices.ts';
import {
  buildRecipe,
  decoded,
  type Form,
  type Recipe,
  recipeArguments,
} from '../support/random-kernel.ts';
import { buildOps, type OpsRecipe } from '../support/random-ops.ts';
import { runOnNative } from '../support/run-kernel.ts';

function usesF64(kernel: Kernel): boolean {
  const uses = (s: Statement): boolean =>
    s.kind === 'loop' ? s.body.some(uses) : 'dtype' in s && s.dtype === 'f64';
  return (
    [...kernel.buffers, ...kernel.locals].some((b) => b.dtype === 'f64') || kernel.body.some(uses)
  );
}

function sameBytes(x: TypedArray, y: TypedArray): boolean {
  const bytes = ({ buffer, byteOffset, byteLength }: TypedArray) =>
    new Uint8Array(buffer, byteOffset, byteLength);
  return Buffer.compare(bytes(x), bytes(y)) === 0;
}

/**
 * Runs a random kernel by the kernel interpreter and as machine code between guard pages; kernels
 * that threads share on two of them, too.
 *
 * @returns false when the kernel is none for native
 * @throws Error where an element or the index out of range differs
 */
export async function checkNativeRecipe(
  recipe: Recipe,
  form: Form,
  devices: NativeDevices,
): Promise<boolean> {
  const kernel = buildRecipe(recipe, form, kernelsOf(devices.target));
  if (usesF64(kernel)) return false;
  verifyKernel(kernel, kernelsOf(devices.target));
  const { buffers, vars } = recipeArguments(recipe, kernel);
  await compare(kernel, buffers, vars, devices, recipe.seed);
  return true;
}

/** The same for kernels of single operations. */
export async function checkNativeOps(recipe: OpsRecipe, devices: NativeDevices): Promise<void> {
  const kernel = buildOps(recipe, kernelsOf(devices.target));
  verifyKernel(kernel, kernelsOf(devices.target));
  const { buffers, vars } = kernelData(kernel, recipe.seed);
  await compare(kernel, buffers, vars, devices, recipe.seed);
}

async function compare(
  kernel: Kernel,
  buffers: readonly TypedArray[],
  vars: readonly number[],
  devices: NativeDevices,
  seed: number,
): Promise<void> {
  const copies = buffers.map((b) => b.slice());
  const { check } = interpretKernel(kernel, { buffers, vars }, { fusedFma: true });
  const { name: isa, guarded, threads } = devices;
  guarded.edge = seed % 2 === 0 ? 'end' : 'start';
  guarded.byKernels = seed % 4 < 2;
  const runs: [NativeDevices['guarded' | 'threads'], string][] = [
    [guarded, `between guards (${guarded.edge})`],
  ];
  // Threads cost a hundred times as much: now and then must do.
  if (isParallel(kernel) && seed % 8 === 0) runs.push([threads, 'on two threads']);
  for (const [device, where] of runs) {
    const { buffers: results, error } = await runOnNative(device, kernel, copies, vars);
    // Threads go on to the end of their pieces: any of the offenders may be the one named.
    const wanted = check ? `index ${device === guarded ? `${check.value} ` : ''}` : undefined;
    if ((error === undefined) !== (wanted === undefined) || !String(error).includes(wanted ?? '')) {
      throw new Error(`${where}: ${String(error)}, expected ${wanted ?? 'none'}`);
    }
    kernel.buffers.forEach(({ dtype, name }, i) => {
      if (sameBytes(buffers[i], results[i])) return;
      const [want, got] = [decoded(dtype, buffers[i]), decoded(dtype, results[i])];
      const at = want.findIndex((x, k) => !Object.is(x, got[k]));
      if (at < 0) return;
      throw new Error(
        `${isa}, ${where}: element ${at} of '${name}' is ${got[at]}, the interpreter says ${want[at]}`,
      );
    });
  }
}
