import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DType } from '../../src/ir/dtype.ts';
import { KernelBuilder } from '../../src/ir/kernel/builder.ts';
import { type KernelCost, kernelCost } from '../../src/ir/kernel/cost.ts';
import {
  add,
  constant,
  laneAtom,
  mul,
  sub,
  varIndex,
  ZERO,
} from '../../src/ir/kernel/index-expr.ts';
import { WASM_KERNELS } from '../../src/ir/kernel/types.ts';
import { variable } from '../../src/ir/shape.ts';
import { anyRecipe, buildRecipe } from '../support/random-kernel.ts';

const LANE = laneAtom(WASM_KERNELS.lanes);

/** Reads 4 elements `step` apart in each of n turns, and adds them up. */
function strided(step: number, masked = false, dtype: DType = 'f32'): KernelCost {
  const b = new KernelBuilder(WASM_KERNELS);
  const x = b.buffer('x', dtype, 1000, 'in');
  const out = b.buffer('out', 'f32', 4, 'out');
  const n = varIndex(variable('n', 1, 10));
  const [sum] = b.loop(n, 'reduce', [b.splat(b.const('f32', 0))], (i, [acc]) => {
    const value = b.load(x, add(i, mul(LANE, step)), masked ? [sub(i, 3)] : []);
    return [b.fma(b.splat(value), b.splat(value), acc)];
  });
  b.store(out, LANE, sum);
  return kernelCost(b.build('strided'));
}

describe('the cost of a kernel', () => {
  test('counts operations and bytes, vars at their maximum', () => {
    expect(strided(1)).toMatchObject({ flops: 80, loads: 160, stores: 16 });
  });

  test('grows with strides and masks', () => {
    const unit = strided(1).instructions;
    expect(strided(2).instructions).toBeGreaterThan(2 * unit - 1);
    expect(strided(1, true).instructions).toBeGreaterThan(unit);
    expect(strided(3).instructions).toBe(strided(2).instructions);
  });

  test('words are four bytes each, and bytes are multiplied at once', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const x = b.buffer('x', 'u8', 32, 'in');
    const out = b.buffer('out', 'i32', 4, 'out');
    const left = b.words(x, ZERO);
    const right = b.binary('and', b.words(x, constant(16)), b.splat(b.const('i32', 15)));
    b.store(out, LANE, b.byteDot([left], [right]));
    const cost = kernelCost(b.build('bytes'));
    expect(cost).toMatchObject({ loads: 32, stores: 16, gathered: 0 });
    expect(cost.instructions).toBeLessThan(10);
  });

  test('small floats are fewer bytes and more instructions', () => {
    const half = strided(1, false, 'bf16');
    expect(half.loads).toBe(80);
    expect(half.instructions).toBeGreaterThan(strided(1).instructions);
  });

  test('counts a loop that depends on another at its mean', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const out = b.buffer('out', 'f32', 9, 'out');
    b.loop(9, 'serial', [], (i) => {
      b.loop(add(i, 1), 'serial', [], (j) => b.store(out, j, b.const('f32', 1)));
    });
    expect(kernelCost(b.build('triangle')).stores).toBe(4 * 45);
  });

  test('prefers vectors to single elements', () => {
    const build = (lanes: number) => {
      const b = new KernelBuilder(WASM_KERNELS);
      const x = b.buffer('x', 'f32', 64, 'in');
      const out = b.buffer('out', 'f32', 64, 'out');
      b.loop(64 / lanes, 'serial', [], (i) => {
        const at = lanes === 1 ? i : add(mul(i, 4), LANE);
        b.store(out, at, b.unary('sqrt', b.load(x, at)));
      });
      return kernelCost(b.build('sqrt'));
    };
    const [single, vector] = [build(1), build(4)];
    expect(vector.instructions * 4).toBe(single.instructions);
    expect({ ...vector, instructions: 0 }).toEqual({ ...single, instructions: 0 });
  });

  test('is finite and not negative', () => {
    fc.assert(
      fc.property(anyRecipe(), (recipe) => {
        for (const cost of Object.values(kernelCost(buildRecipe(recipe, 'masked')))) {
          expect(cost).toBeGreaterThanOrEqual(0);
          expect(Number.isFinite(cost)).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });
});
