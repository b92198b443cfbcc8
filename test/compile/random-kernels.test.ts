import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emitWasm } from '../../src/compile/index.ts';
import { WasmDevice } from '../../src/device/index.ts';
import { DTYPES, type TypedArray } from '../../src/ir/dtype.ts';
import { interpretKernel } from '../../src/ir/kernel/interpret.ts';
import type { Kernel, Statement } from '../../src/ir/kernel/types.ts';
import { alignUp, type Place, type Program } from '../../src/ir/program.ts';
import { anyRecipe, buildRecipe, decoded, recipeArguments } from '../support/random-kernel.ts';

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
    steps: [{ kernel: 0, label: kernel.name, barrier: false, places }],
    inputs: bindings('in'),
    outputs: bindings('out').map((b) => ({ ...b, mayReuse: undefined })),
    vars: kernel.vars,
    scratchBytes: 0,
    localBytes,
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
  const executable = await device.load({ kind: 'wasm', program, bytes, sharedLoops });
  const allocations = buffers.map((data) => {
    const allocation = device.allocate(data.byteLength);
    device.write(allocation, data);
    return allocation;
  });
  const ofRole = (role: string) => allocations.filter((_, i) => kernel.buffers[i].role === role);
  const values = new Map(kernel.vars.map((v, i) => [v.name, vars[i]]));
  await executable.run(ofRole('in'), ofRole('out'), values);
  const out = kernel.buffers.findIndex((b) => b.role === 'out');
  return device.read(allocations[out], kernel.buffers[out].dtype, buffers[out].length);
}

describe('random kernels', () => {
  it.each(['scalar', 'vector', 'masked'] as const)(
    '%s: wasm gives the bits of the interpreter',
    async (form) => {
      await fc.assert(
        fc.asyncProperty(anyRecipe(['f32', 'i32', 'u32']), async (recipe) => {
          const kernel = buildRecipe(recipe, form);
          fc.pre(isForWasm(kernel));
          const { buffers, vars } = recipeArguments(recipe, kernel);
          const copies = buffers.map((b) => b.slice());
          const { check } = interpretKernel(kernel, { buffers, vars }, { fusedFma: true });
          if (check) {
            const wanted = `index ${check.value} is out of range; expected 0 to ${check.size - 1}`;
            const [alone, together] = devices.map((d) => runOnWasm(d, kernel, copies, vars));
            await expect(alone).rejects.toThrow(wanted);
            // Threads go on to the end of their pieces: any of the offenders may be the one named.
            await expect(together).rejects.toThrow('is out of range; expected 0 to');
            return;
          }
          const out = kernel.buffers.findIndex((b) => b.role === 'out');
          for (const device of devices) {
            const got = await runOnWasm(device, kernel, copies, vars);
            expect(decoded(recipe.output, got)).toEqual(decoded(recipe.output, buffers[out]));
          }
        }),
        { numRuns: Number(process.env.FUZZ_RUNS ?? 300) },
      );
    },
  );
});
