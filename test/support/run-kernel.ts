import { emitWasm, emitX64 } from '../../src/compile/index.ts';
import type { Device, WasmDevice } from '../../src/device/index.ts';
import { DTYPES, type TypedArray } from '../../src/ir/dtype.ts';
import type { Kernel } from '../../src/ir/kernel/types.ts';
import {
  alignUp,
  type Code,
  type Place,
  type Program,
  runPlan,
  type Target,
} from '../../src/ir/program.ts';

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

/** What a run left: its buffers, and the RangeError of an index out of range. */
export interface KernelOutcome {
  readonly buffers: TypedArray[];
  readonly error: RangeError | undefined;
}

/** Runs code of a kernel once on buffers, outputs too. */
async function runCode(
  device: Device,
  kernel: Kernel,
  code: Code,
  buffers: readonly TypedArray[],
  vars: readonly number[],
): Promise<KernelOutcome> {
  const executable = await device.load(code);
  const allocations = buffers.map((data) => {
    const allocation = device.allocate(data.byteLength);
    device.write(allocation, data);
    return allocation;
  });
  const ofRole = (role: string) => allocations.filter((_, i) => kernel.buffers[i].role === role);
  const values = new Map(kernel.vars.map((v, i) => [v.name, vars[i]]));
  let error: RangeError | undefined;
  try {
    await executable.run(ofRole('in'), ofRole('out'), values);
  } catch (e) {
    if (!(e instanceof RangeError)) throw e;
    error = e;
  }
  const after = allocations.map((a, i) =>
    device.read(a, kernel.buffers[i].dtype, buffers[i].length),
  );
  for (const allocation of allocations) device.free(allocation);
  executable.dispose();
  return { buffers: after, error };
}

/**
 * Emits a kernel as WebAssembly, runs it once and gives its first output.
 *
 * @param buffers a value for each buffer of the kernel, outputs too
 * @throws RangeError for an index out of range
 */
export async function runOnWasm(
  device: WasmDevice,
  kernel: Kernel,
  buffers: readonly TypedArray[],
  vars: readonly number[],
): Promise<TypedArray> {
  const program = programOf(kernel);
  const { bytes, sharedLoops } = emitWasm(program, device.target);
  const code = { kind: 'wasm', plan: runPlan(program), bytes, sharedLoops } as const;
  const outcome = await runCode(device, kernel, code, buffers, vars);
  if (outcome.error) throw outcome.error;
  return outcome.buffers[kernel.buffers.findIndex((b) => b.role === 'out')];
}

/** Emits a kernel as x86-64 code and runs it once. */
export async function runOnNative(
  device: Device & { readonly target: Target & { readonly kind: 'x64' } },
  kernel: Kernel,
  buffers: readonly TypedArray[],
  vars: readonly number[],
): Promise<KernelOutcome> {
  const program = programOf(kernel);
  const { text: _, ...code } = emitX64(program, device.target);
  const plan = runPlan(program);
  return runCode(device, kernel, { kind: 'x64', plan, ...code }, buffers, vars);
}
