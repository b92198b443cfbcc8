import { describe, expect, test } from 'vitest';
import { KernelBuilder } from '../../src/ir/kernel/builder.ts';
import { constant, laneAtom, mul, sub, varIndex } from '../../src/ir/kernel/index-expr.ts';
import { interpretKernel } from '../../src/ir/kernel/interpret.ts';
import { WASM_KERNELS } from '../../src/ir/kernel/types.ts';
import { verifyKernel } from '../../src/ir/kernel/verify.ts';
import { variable } from '../../src/ir/shape.ts';

const LANE = laneAtom(WASM_KERNELS.lanes);

describe('the kernel builder', () => {
  test('stores one value to lanes that lie apart', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const out = b.buffer('out', 'f32', 8, 'out');
    b.store(out, mul(LANE, 2), b.const('f32', 1));
    const kernel = b.build('apart');
    verifyKernel(kernel);
    const array = new Float32Array(8);
    interpretKernel(kernel, { buffers: [array], vars: [] });
    expect([...array]).toEqual([1, 0, 1, 0, 1, 0, 1, 0]);
  });

  test('stores one value under a mask of lanes', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const out = b.buffer('out', 'f32', 4, 'out');
    b.store(out, LANE, b.const('f32', 1), [sub(constant(1), LANE)]);
    const kernel = b.build('masked');
    verifyKernel(kernel);
    const array = new Float32Array(4);
    interpretKernel(kernel, { buffers: [array], vars: [] });
    expect([...array]).toEqual([1, 1, 0, 0]);
  });

  test('declares vars that only a store, its mask or a read of an output uses', () => {
    const n = variable('n', 1, 4);
    const m = variable('m', 0, 3);
    const b = new KernelBuilder(WASM_KERNELS);
    const out = b.buffer('out', 'f32', 4, 'out');
    b.loop(4, 'serial', [], (i) => {
      const value = b.load(out, i, [sub(varIndex(m), i)]);
      b.store(out, i, value, [sub(varIndex(n), i)]);
    });
    b.store(out, varIndex(variable('k', 0, 3)), b.const('f32', 2));
    const kernel = b.build('vars');
    expect(kernel.vars.map((v) => v.name).sort()).toEqual(['k', 'm', 'n']);
    verifyKernel(kernel);
  });

  test('keeps reads apart that give 0 and -0 where the mask fails', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const x = b.buffer('x', 'f32', 4, 'in');
    const mask = [sub(varIndex(variable('n', 0, 3)), 1)];
    const [plus, minus] = [0, -0].map((other) => b.load(x, constant(0), mask, other));
    expect(minus).toMatchObject({ kind: 'load', other: -0 });
    expect(plus).not.toBe(minus);
  });
});
