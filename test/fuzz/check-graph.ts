import { GraphInterpreter, KernelInterpreter, WasmDevice } from '../../src/device/index.ts';
import { sizeOf } from '../../src/ir/shape.ts';
import { buildGraph, type Recipe } from '../support/random-graph.ts';
import { firstDifference, numbers, runGraph } from '../support/run-graph.ts';

const oracle = new GraphInterpreter();
const EPS = 2 ** -23;
/** Errors of a chain of sums and products grow with its length. */
const SLACK = 64;

/** The compiler's devices with and without fused multiply-adds; two of them use threads always. */
const targets = [false, true].map((relaxedSimd) => ({
  kernels: new KernelInterpreter(relaxedSimd),
  alone: new WasmDevice({ relaxedSimd, threads: 1 }),
  together: new WasmDevice({ relaxedSimd, threads: 3, worthThreads: 0 }),
}));

/**
 * Runs a random graph on every device, fused and unfused. Compiled results must have the same bits
 * everywhere; moves and integers must equal the graph interpreter's, floats lie within
 * c eps sum |a||b| of it.
 *
 * @throws Error naming graph, output and element
 */
export async function checkGraph(recipe: Recipe, seed: number): Promise<void> {
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
  const { kernels, alone, together } = targets[seed % 2];
  const fused = await run(kernels, true);
  const others = {
    'wasm, fused': await run(alone, true),
    'wasm, unfused': await run(alone, false),
    'wasm with threads': await run(together, true),
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
}
