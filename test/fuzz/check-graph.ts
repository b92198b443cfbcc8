import { GraphInterpreter, KernelInterpreter, WasmDevice } from '../../src/device/index.ts';
import type { TypedArray } from '../../src/ir/dtype.ts';
import { sizeOf } from '../../src/ir/shape.ts';
import { buildGraph, type Recipe } from '../support/random-graph.ts';
import { firstDifference, numbers, runGraph } from '../support/run-graph.ts';
import { WIDE_KERNELS } from '../support/wide-kernels.ts';

const EPS = 2 ** -23;
/** Errors of a chain of sums and products grow with its length. */
const SLACK = 64;

/** What a graph is run on. */
export interface GraphDevices {
  readonly oracle: GraphInterpreter;
  /** The compiler's devices without and with fused multiply-adds. */
  readonly targets: readonly {
    readonly kernels: KernelInterpreter;
    /** The same by wider vectors. */
    readonly wide: readonly KernelInterpreter[];
    readonly alone: WasmDevice;
    /** Uses threads always; undefined where there are none. */
    readonly together: WasmDevice | undefined;
  }[];
}

/** @param threads of the devices that share programs between threads; 1: none does */
export function graphDevices(threads: number): GraphDevices {
  return {
    oracle: new GraphInterpreter(),
    targets: [false, true].map((relaxedSimd) => ({
      kernels: new KernelInterpreter(relaxedSimd),
      wide: WIDE_KERNELS.map((target) => new KernelInterpreter(relaxedSimd, target)),
      alone: new WasmDevice({ relaxedSimd, threads: 1 }),
      together: threads > 1 ? new WasmDevice({ relaxedSimd, threads, worthThreads: 0 }) : undefined,
    })),
  };
}

/**
 * Runs a random graph on every device, fused and unfused. Compiled results must have the same bits
 * everywhere; moves and integers must equal the graph interpreter's, floats lie within
 * c eps sum |a||b| of it.
 *
 * @returns the outputs
 * @throws Error naming graph, output and element
 */
export async function compareGraph(
  recipe: Recipe,
  seed: number,
  { oracle, targets }: GraphDevices,
): Promise<TypedArray[]> {
  const { inputs, outputs, bounds, description } = buildGraph(recipe);
  const values = inputs.map((node, i) => numbers(seed + i, sizeOf(node.shape)));
  const run = (device: Parameters<typeof runGraph>[0], fuse: boolean) =>
    runGraph(device, outputs, inputs, values, { fuse });
  const wanted = await run(oracle, true);
  const limits = await runGraph(
    oracle,
    bounds.map((b, i) => b ?? outputs[i]),
    inputs,
    values,
  );
  const { kernels, wide, alone, together } = targets[seed % 2];
  const [eight, sixteen] = wide;
  const fused = await run(kernels, true);
  const others = {
    'wasm, fused': await run(alone, true),
    'wasm, unfused': await run(alone, false),
    'kernels of 8 lanes': await run(eight, true),
    'kernels of 16 lanes': await run(sixteen, seed % 4 < 2),
    ...(together && { 'wasm with threads': await run(together, true) }),
  };
  outputs.forEach((_, o) => {
    const where = `${description}, output ${o}, seed ${seed}`;
    for (const [name, results] of Object.entries(others)) {
      const at = firstDifference(fused[o], results[o]);
      if (at >= 0) {
        throw new Error(
          `${where}, element ${at}: ${results[o][at]} on ${name}, but ${fused[o][at]} by the kernel interpreter`,
        );
      }
    }
    for (let i = 0; i < wanted[o].length; i++) {
      const [x, y] = [fused[o][i], wanted[o][i]];
      if (Object.is(x, y) || x === y) continue;
      const allowed = bounds[o] ? SLACK * EPS * limits[o][i] : 0;
      if (Math.abs(x - y) <= allowed) continue;
      throw new Error(
        `${where}, element ${i}: ${x}, the interpreter says ${y} (allowed ${allowed})`,
      );
    }
  });
  return others['wasm, fused'];
}

let devices: GraphDevices | undefined;

/** The same on devices that are made once, some with three threads. */
export async function checkGraph(recipe: Recipe, seed: number): Promise<void> {
  devices ??= graphDevices(3);
  await compareGraph(recipe, seed, devices);
}
