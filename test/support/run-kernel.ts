import { emitWasm } from '../../src/compile/index.ts';
import type { WasmDevice } from '../../src/device/index.ts';
import { DTYPES, type TypedArray } from '../../src/ir/dtype.ts';
import type { Kernel } from '../../src/ir/kernel/types.ts';
import { alignUp, type Place, type Program, runPlan } from '../../src/ir/program.ts';

/** A program of one step that runs a kernel as it is. */
export function programOf(kernel: Kernel): Program {
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

/**
 * Emits a kernel, runs it once and gives its first output.
 *
 * @param buffers a value for each buffer of the kernel, outputs too
 */
export async function runOnWasm(
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
