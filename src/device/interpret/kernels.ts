import { InternalError } from '../../base/errors.ts';
import { arrayClass } from '../../ir/dtype.ts';
import { indexOutOfRange } from '../../ir/graph/ops/indexing.ts';
import { interpretKernel } from '../../ir/kernel/interpret.ts';
import { type KernelTarget, WASM_KERNELS } from '../../ir/kernel/types.ts';
import type { Code, Place, Step, Target } from '../../ir/program.ts';
import { runInSlices } from '../slices.ts';
import type { Allocation, Device, Executable } from '../types.ts';
import { HostMemory } from './host-memory.ts';

/** The kernel interpreter as a device: runs what the compiler made, without generated code. */
export class KernelInterpreter extends HostMemory implements Device {
  readonly name = 'interpret-kernels';
  readonly target: Target;
  readonly #fusedFma: boolean;

  /**
   * @param fusedFma round multiply-adds once, as a device with such an instruction does
   * @param kernelTarget what kernels are built for
   */
  constructor(fusedFma = false, kernelTarget: KernelTarget = WASM_KERNELS) {
    super();
    this.target = { kind: 'kernels', kernelTarget };
    this.#fusedFma = fusedFma;
  }

  async load(code: Code): Promise<Executable> {
    if (code.kind !== 'kernels')
      throw new InternalError(`interpret-kernels cannot run ${code.kind}`);
    const { program } = code;
    const run = (
      inputs: readonly Allocation[],
      outputs: readonly Allocation[],
      vars: ReadonlyMap<string, number>,
      signal?: AbortSignal,
    ) => {
      const scratch = new ArrayBuffer(program.scratchBytes);
      const locate = (place: Place): [ArrayBuffer, number] => {
        if (place.kind === 'scratch') return [scratch, place.offset];
        if (place.kind === 'local') throw new InternalError('the interpreter makes its own locals');
        const list = place.kind === 'input' ? inputs : outputs;
        return [this.bufferOf(list[place.index]), 0];
      };
      const execute = (step: Step) => {
        const kernel = program.kernels[step.kernel];
        const buffers = kernel.buffers.map((buffer, i) => {
          const [memory, offset] = locate(step.places[i]);
          return new (arrayClass(buffer.dtype))(memory, offset, buffer.size);
        });
        const values = kernel.vars.map((v) => vars.get(v.name) ?? v.max);
        const { check } = interpretKernel(
          kernel,
          { buffers, vars: values },
          { fusedFma: this.#fusedFma },
        );
        if (check) throw indexOutOfRange(kernel.checks[check.check], check.value, check.size);
      };
      const some = (from: number, to: number) => {
        program.steps.slice(from, to).forEach(execute);
        return 0;
      };
      if (signal) return runInSlices(program, some, signal).then(() => undefined);
      some(0, program.steps.length);
      return undefined;
    };
    return { run, dispose: () => {} };
  }
}
