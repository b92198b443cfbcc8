import { emitWasm } from '../../src/compile/index.ts';
import { WasmDevice } from '../../src/device/index.ts';
import { DTYPES, type TypedArray } from '../../src/ir/dtype.ts';
import { interpretKernel } from '../../src/ir/kernel/interpret.ts';
import type { Kernel, Statement } from '../../src/ir/kernel/types.ts';
import { alignUp, type Place, type Program, runPlan } from '../../src/ir/program.ts';
import {
  buildRecipe,
  decoded,
  type Form,
  type Recipe,
  recipeArguments,
} from '../support/random-kernel.ts';

/** A program of one step that runs a kernel as it is. */
function programOf(kernel: Kernel): Program {
  let inputs = 0;
  let outputs = 0;
  let localBytes = 0;
  const places = kernel.buffers.map(
    ({ role }): Place =>
      role === 'in' ? { kind: 'input', index: inputs++ } : { kind: 'output', index: outputs++ },
  );
  for (const { size, dtype } of kernel.locals) {
    places.push({ kind: 'local', offset: localBytes });
    localBytes += alignUp(size * DTYPES[dtype].bytes);
  }
  const bindings = (role: string) => kernel.buffers.filter((b) => b.role === role);
  return {
    kernels: [kernel],
    steps: [{ kernel: 0, label: kernel.name, barrier: false, instructions: 1, places }],
    inputs: bindings('in'),
    outputs: bindings('out').map((b) => ({ ...b, mayReuse: undefined, keeps: false })),
    vars: kernel.vars,
    scratchBytes: 0,
    localBytes,
    firstCommit: 1,
    instructions: 1,
  };
}

/** WebAssembly has no f64 or small-float kernels, and fuses whole vectors only. */
function isForWasm(kernel: Kernel): boolean {
  const supported = (s: Statement): boolean => {
    if (s.kind === 'loop') return s.body.every(supported);
    return s.kind === 'store' || (s.dtype !== 'f64' && !(s.kind === 'fma' && s.lanes === 1));
  };
  const types = [...kernel.buffers, ...kernel.locals].map((b) => b.dtype);
  const plain = types.every((d) => ['f32', 'i32', 'u32', 'i8', 'u8', 'bool'].includes(d));
  return plain && kernel.body.every(supported);
}

const devices = [1, 3].map(
  (threads) => new WasmDevice({ relaxedSimd: true, threads, worthThreads: 0 }),
);

async function runOnWasm(
  device: WasmDevice,
  kernel: Kernel,
  buffers: readonly TypedArray[],
  vars: readonly number[],
) {
  const program = programOf(kernel);
  const { bytes, sharedLoops } = emitWasm(program, device.target);
  const executable = await device.load({
    kind: 'wasm',
    plan: runPlan(program),
    bytes,
    sharedLoops,
  });
  const allocations = buffers.map((data) => {
    const allocation = device.allocate(data.byteLength);
    device.write(allocation, data);
    return allocation;
  });
  const ofRole = (role: string) => allocations.filter((_, i) => kernel.buffers[i].role === role);
  const values = new Map(kernel.vars.map((v, i) => [v.name, vars[i]]));
  try {
    await executable.run(ofRole('in'), ofRole('out'), values);
    const out = kernel.buffers.findIndex((b) => b.role === 'out');
    return device.read(allocations[out], kernel.buffers[out].dtype, buffers[out].length);
  } finally {
    for (const allocation of allocations) device.free(allocation);
    executable.dispose();
  }
}

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
