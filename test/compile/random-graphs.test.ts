import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GraphInterpreter, KernelInterpreter, WasmDevice } from '../../src/device/index.ts';
import { sizeOf } from '../../src/ir/shape.ts';
import { anyGraphRecipe, buildGraph, type Recipe } from '../support/random-graph.ts';
import { firstDifference, numbers, runGraph } from '../support/run-graph.ts';

const oracle = new GraphInterpreter();
/** Every program goes to the threads, however short. */
const threaded = [false, true].map(
  (relaxedSimd) => new WasmDevice({ relaxedSimd, threads: 3, worthThreads: 0 }),
);
const EPS = 2 ** -23;

/** Errors of a chain of sums and products grow with its length. */
const SLACK = 64;

async function compare(recipe: Recipe, seed: number): Promise<void> {
  const { inputs, outputs, bounds, description } = buildGraph(recipe);
  const values = inputs.map((node, i) => numbers(seed + i, sizeOf(node.shape)));
  const wanted = await runGraph(oracle, outputs, inputs, values);
  const limits = await runGraph(
    oracle,
    bounds.map((b, i) => b ?? outputs[i]),
    inputs,
    values,
  );
  for (const relaxed of [false, true]) {
    const kernels = new KernelInterpreter(relaxed);
    const wasm = new WasmDevice({ relaxedSimd: relaxed, threads: 1 });
    const together = threaded[Number(relaxed)];
    const [fused, apart, code, codeApart, shared, sharedApart] = [
      await runGraph(kernels, outputs, inputs, values, { fuse: true }),
      await runGraph(kernels, outputs, inputs, values, { fuse: false }),
      await runGraph(wasm, outputs, inputs, values, { fuse: true }),
      await runGraph(wasm, outputs, inputs, values, { fuse: false }),
      await runGraph(together, outputs, inputs, values, { fuse: true }),
      await runGraph(together, outputs, inputs, values, { fuse: false }),
    ];
    outputs.forEach((_, o) => {
      const where = `${description}, output ${o}, relaxed ${relaxed}`;
      expect(firstDifference(fused[o], apart[o]), `fusion changes bits: ${where}`).toBe(-1);
      expect(firstDifference(fused[o], code[o]), `wasm is not the kernel: ${where}`).toBe(-1);
      expect(firstDifference(apart[o], codeApart[o]), `unfused wasm: ${where}`).toBe(-1);
      expect(firstDifference(fused[o], shared[o]), `threads change bits: ${where}`).toBe(-1);
      expect(firstDifference(apart[o], sharedApart[o]), `unfused threads: ${where}`).toBe(-1);
      for (let i = 0; i < wanted[o].length; i++) {
        const [x, y] = [fused[o][i], wanted[o][i]];
        if (Object.is(x, y) || x === y) continue;
        const allowed = bounds[o] ? SLACK * EPS * limits[o][i] : 0;
        if (!(Math.abs(x - y) <= allowed)) {
          expect.fail(
            `${where}, element ${i}: ${x}, the interpreter says ${y} (allowed ${allowed})`,
          );
        }
      }
    });
  }
}

describe('random graphs', () => {
  it('agree between graph interpreter, kernel interpreter and wasm, fused or not', async () => {
    await fc.assert(fc.asyncProperty(anyGraphRecipe, fc.nat({ max: 999 }), compare), {
      numRuns: Number(process.env.FUZZ_RUNS ?? 150),
    });
  }, 120_000);
});
