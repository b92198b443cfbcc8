import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { WasmDevice } from '../../src/device/index.ts';
import { KernelBuilder } from '../../src/ir/kernel/builder.ts';
import { add, constant, laneAtom } from '../../src/ir/kernel/index-expr.ts';
import { interpretKernel } from '../../src/ir/kernel/interpret.ts';
import { printKernel } from '../../src/ir/kernel/print.ts';
import { WASM_KERNELS } from '../../src/ir/kernel/types.ts';
import { verifyKernel } from '../../src/ir/kernel/verify.ts';
import { runOnWasm } from '../support/run-kernel.ts';

const LANE = laneAtom(WASM_KERNELS.lanes);

const devices = [true, false].map((relaxedSimd) => new WasmDevice({ relaxedSimd, threads: 1 }));

/** Sums of products of `pairs` vectors of bytes, from some byte on. */
function kernelOf(pairs: number, mask: number, first: number) {
  const b = new KernelBuilder(WASM_KERNELS);
  const [x, y] = ['x', 'y'].map((name) => b.buffer(name, 'i8', 16 * pairs + first, 'in'));
  const out = b.buffer('out', 'i32', 4, 'out');
  const at = (i: number) => constant(16 * i + first);
  const left = Array.from({ length: pairs }, (_, i) => b.words(x, at(i)));
  const small = b.splat(b.const('i32', mask));
  const right = left.map((_, i) => b.binary('and', b.words(y, at(i)), small));
  b.store(out, add(LANE, 0), b.byteDot(left, right));
  const kernel = b.build('bytes');
  verifyKernel(kernel);
  return kernel;
}

const byte = fc.oneof(fc.integer({ min: -128, max: 127 }), fc.constantFrom(-128, 127, 15));

it('products of bytes are exact, with and without relaxed SIMD', async () => {
  // So many pairs as 16 bits can hold: sums at both ends occur.
  const sizes = fc.constantFrom([1, 0x7f7f7f7f], [2, 0x3f3f3f3f], [8, 0x0f0f0f0f], [3, 0x0f1f0301]);
  await fc.assert(
    fc.asyncProperty(
      sizes,
      fc.integer({ min: 0, max: 3 }),
      fc.infiniteStream(byte),
      async (s, first, bytes) => {
        const [pairs, mask] = s;
        const kernel = kernelOf(pairs, mask, first);
        const data = () => Int8Array.from({ length: 16 * pairs + first }, () => bytes.next().value);
        const buffers = [data(), data(), new Int32Array(4)];
        const copies = buffers.map((b) => b.slice());
        interpretKernel(kernel, { buffers, vars: [] }, { fusedFma: true });
        for (const device of devices) {
          const got = await runOnWasm(device, kernel, copies, []);
          expect([...got]).toEqual([...buffers[2]]);
        }
      },
    ),
    { numRuns: 40, seed: 3 },
  );
  const extremes = kernelOf(8, 0x0f0f0f0f, 0);
  const low = new Int8Array(128).fill(-128);
  const ones = new Int8Array(128).fill(-1);
  for (const device of devices) {
    const got = await runOnWasm(device, extremes, [low, ones, new Int32Array(4)], []);
    expect([...got]).toEqual(new Array(4).fill(8 * 4 * -128 * 15));
  }
});

it('is printed with its pairs', () => {
  const text = printKernel(kernelOf(2, 15, 0));
  expect(text).toMatch(/words b0\[16\]/);
  expect(text).toMatch(/byteDot %\d+ %\d+ by %\d+ %\d+/);
});
