import type { CompileOptions } from '../../src/compile/index.ts';
import { KernelInterpreter } from '../../src/device/index.ts';
import type { TypedArray } from '../../src/ir/dtype.ts';
import type { BufferNode } from '../../src/ir/graph/build.ts';
import type { Node } from '../../src/ir/graph/types.ts';
import { nativeDevices } from '../support/native-devices.ts';
import { firstDifference, runGraph } from '../support/run-graph.ts';
import { WIDE_KERNELS } from '../support/wide-kernels.ts';

export interface GraphCase {
  readonly inputs: readonly BufferNode[];
  readonly outputs: readonly Node[];
  readonly values: readonly TypedArray[];
  readonly vars?: ReadonlyMap<string, number>;
  readonly options?: CompileOptions;
}

const kernels = WIDE_KERNELS.map((target) => new KernelInterpreter(true, target));

/**
 * Runs a graph as machine code of every kind that this machine has, and by the kernel interpreter:
 * all bits must be equal.
 *
 * @param seed chooses where arrays lie, and who runs on threads
 * @throws Error naming device, output and element
 */
export async function compareNative(c: GraphCase, seed: number, what: string): Promise<void> {
  const { inputs, outputs, values, vars, options } = c;
  const wanted = await runGraph(kernels[seed % 2], outputs, inputs, values, options, vars);
  for (const [i, { name, guarded, threads }] of nativeDevices().entries()) {
    const shared = (seed + i) % 4 === 0;
    guarded.edge = (seed >> 1) % 2 === 0 ? 'end' : 'start';
    guarded.byKernels = (seed >> 2) % 4 === 0;
    const device = shared ? threads : guarded;
    const got = await runGraph(device, outputs, inputs, values, options, vars);
    wanted.forEach((want, o) => {
      const at = firstDifference(want, got[o]);
      if (at < 0) return;
      throw new Error(
        `${what}, seed ${seed}, output ${o}, element ${at}: ${got[o][at]} on ${name}` +
          `${shared ? ' with two threads' : ''}, but ${want[at]} by the kernel interpreter`,
      );
    });
  }
}
