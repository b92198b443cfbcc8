import { KernelInterpreter, WasmDevice } from '../../src/device/index.ts';
import { arrayClass, type TypedArray } from '../../src/ir/dtype.ts';
import { encodeFloat, type SmallFloat } from '../../src/ir/float-formats.ts';
import { sizeOf } from '../../src/ir/shape.ts';
import { buildGraph, type Recipe } from '../support/random-graph.ts';
import { firstDifference, numbers, runGraph } from '../support/run-graph.ts';

const DEVICES = [
  new KernelInterpreter(true),
  new WasmDevice({ relaxedSimd: true, threads: 1 }),
  new WasmDevice({ relaxedSimd: true, threads: 3, worthThreads: 0 }),
];

/** Bits of the format, of numbers between -2 and 2. */
export function elements(dtype: SmallFloat, seed: number, size: number): TypedArray {
  const Bits = arrayClass(dtype);
  const bits = new Bits(size);
  numbers(seed, size).forEach((v, i) => {
    bits[i] = encodeFloat(dtype, v);
  });
  return bits;
}

/**
 * Runs a random graph of one small format, with casts by others on its way. Rounded in registers or
 * by memory, interpreted or as WebAssembly, every element must have the same bits.
 *
 * @throws Error naming graph, output and element
 */
export async function checkSmallFloats(
  recipe: Recipe,
  dtype: SmallFloat,
  seed: number,
): Promise<void> {
  const { inputs, outputs, description } = buildGraph(recipe, dtype);
  const values = inputs.map((node, i) => elements(dtype, seed + i, sizeOf(node.shape)));
  let first: TypedArray[] | undefined;
  for (const [d, device] of DEVICES.entries()) {
    for (const fuse of d === 2 ? [true] : [true, false]) {
      const run = await runGraph(device, outputs, inputs, values, { fuse });
      first ??= run;
      for (const [o, wanted] of first.entries()) {
        const at = firstDifference(wanted, run[o]);
        if (at < 0) continue;
        throw new Error(
          `${dtype} ${description}, seed ${seed}, output ${o}, element ${at}: ${run[o][at]} on ` +
            `${device.name} (device ${d}, fuse ${fuse}), but ${wanted[at]} by the kernel interpreter`,
        );
      }
    }
  }
}
