import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { overDepth, planDepth } from '../../src/compile/kernels/depth.ts';
import { KernelBuilder } from '../../src/ir/kernel/builder.ts';
import { range } from '../../src/ir/kernel/index-expr.ts';
import { WASM_KERNELS } from '../../src/ir/kernel/types.ts';

describe('depth of a product', () => {
  it('is cut into blocks that hold inner axes whole', () => {
    // Three of 192 rather than two of 256 and one of 64.
    expect(planDepth([576], 256)).toEqual({ block: 192, inner: [] });
    expect(planDepth([64, 3, 3], 256)).toEqual({ block: 252, inner: [3, 3] });
    expect(planDepth([6, 1, 5], 256)).toEqual({ block: 30, inner: [5] });
    // Rows of 28 go 7 at a time into a block, for 7 divides an image's 28 rows and 9 does not.
    expect(planDepth([8, 28, 28], 256)).toEqual({ block: 196, inner: [28] });
    expect(planDepth([8, 1000], 256)).toEqual({ block: 250, inner: [] });
    expect(planDepth([0, 3], 256)).toEqual({ block: 1, inner: [] });
  });

  it('is walked through in order, each step once', () => {
    const axes = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(axes, fc.integer({ min: 1, max: 40 }), (sizes, most) => {
        const depth = planDepth(sizes, most);
        const total = sizes.reduce((n, size) => n * size, 1);
        expect(total % depth.inner.reduce((n, size) => n * size, 1)).toBe(0);
        for (const length of [Math.min(depth.block, total), total % depth.block]) {
          if (length === 0) continue;
          const b = new KernelBuilder(WASM_KERNELS);
          let highest = -1;
          overDepth(b, depth, length, 'serial', [], (step) => {
            // Steps of one turn of the loops come one after the other.
            expect(range(step).min).toBeGreaterThanOrEqual(0);
            highest = Math.max(highest, range(step).max);
            return [];
          });
          expect(highest).toBe(length - 1);
        }
      }),
    );
  });
});
