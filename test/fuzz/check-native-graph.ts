import { kernelsOf } from '../../src/compile/code.ts';
import type { CompileOptions } from '../../src/compile/index.ts';
import { KernelInterpreter } from '../../src/device/index.ts';
import type { TypedArray } from '../../src/ir/dtype.ts';
import { isSmallFloat } from '../../src/ir/float-formats.ts';
import type { BufferNode } from '../../src/ir/graph/build.ts';
import type { Node } from '../../src/ir/graph/types.ts';
import type { NativeTarget } from '../support/guarded-device.ts';
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

const wide = WIDE_KERNELS.map((target) => new KernelInterpreter(true, target));

/** Kernels that multiply bf16 as a target does; others round alike whatever their vectors. */
function byTarget(target: NativeTarget): KernelInterpreter {
  return new KernelInterpreter(true, kernelsOf(target));
}

/**
 * Runs a graph as machine code of every kind that this machine has, and by the kernel interpreter:
 * all bits must be equal.
 *
 * @param seed chooses where arrays lie, and who runs on threads
 * @throws Error naming device, output and element
 */
export async function compareNative(c: GraphCase, seed: number, what: string): Promise<void> {
  const { inputs, outputs, values, vars, options } = c;
  // Small floats may pass by bf16 on their way.
  const hasBf16 = inputs.some(({ dtype }) => isSmallFloat(dtype));
  const known = new Map<string | undefined, TypedArray[]>();
  for (const [i, { name, target, guarded, threads }] of nativeDevices().entries()) {
    // Where there is no bf16 its ways are all the same, but tiles multiply bytes as well.
    const way = hasBf16 ? target.bf16Products : undefined;
    if (!hasBf16 && target.bf16Products === 'pairs') continue;
    const kernels = way === undefined ? wide[seed % 2] : byTarget(target);
    const wanted =
      known.get(way) ?? (await runGraph(kernels, outputs, inputs, values, options, vars));
    known.set(way, wanted);
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
