import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileProgram } from '../../src/compile/index.ts';
import * as g from '../../src/ir/graph/build.ts';
import { gradientGraph } from '../../src/ir/graph/gradient.ts';
import { sizeOf } from '../../src/ir/shape.ts';
import {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  avgPool1d,
  avgPool2d,
  maxPool1d,
  maxPool1dWithIndices,
  maxPool2d,
  maxPool2dWithIndices,
} from '../../src/tensor/functions/index.ts';
import { maxPooled, sumPooled } from '../../src/tensor/functions/pooling-graph.ts';
import { vjp } from '../../src/tensor/grad.ts';
import { tensor, zeros } from '../../src/tensor/tensor.ts';
import { COMPILED_DEVICES, DEVICE_NAMES } from '../support/device-names.ts';
import { eachPlace } from '../support/naive-convolution.ts';
import { numbers } from '../support/run-graph.ts';

const perAxis = (max: number, min = 1) =>
  fc.array(fc.integer({ min, max }), { minLength: 2, maxLength: 2 });

const anyPool = fc
  .record({
    image: perAxis(9),
    kernel: perAxis(4),
    stride: perAxis(4),
    padding: perAxis(2, 0),
    dilation: perAxis(2),
    ceilMode: fc.boolean(),
    countIncludePad: fc.boolean(),
  })
  .filter((p) =>
    p.image.every((n, i) => {
      const fits = (reach: number) => 2 * p.padding[i] <= reach && n + 2 * p.padding[i] >= reach;
      return fits(p.kernel[i]) && fits((p.kernel[i] - 1) * p.dilation[i] + 1);
    }),
  );
type Pool = typeof anyPool extends fc.Arbitrary<infer P> ? P : never;

function resultOf(p: Pool, dilation: readonly number[]): number[] {
  return p.image.map((n, i) => {
    const { stride, padding } = p;
    const reach = (p.kernel[i] - 1) * dilation[i] + 1;
    const room = (n + 2 * padding[i] - reach) / stride[i];
    const count = (p.ceilMode ? Math.ceil(room) : Math.floor(room)) + 1;
    // A last window that begins behind the image is left out.
    return p.ceilMode && (count - 1) * stride[i] >= n + padding[i] ? count - 1 : count;
  });
}

/** Calls `visit` for every window of a plane with the places of the image that it sees, in order. */
function eachWindow(
  p: Pool,
  dilation: readonly number[],
  visit: (window: number, seen: number[], at: readonly number[]) => void,
): void {
  eachPlace(resultOf(p, dilation), (at, window) => {
    const seen: number[] = [];
    eachPlace(p.kernel, (k) => {
      const place = at.map((o, i) => o * p.stride[i] + k[i] * dilation[i] - p.padding[i]);
      if (place.every((v, i) => v >= 0 && v < p.image[i]))
        seen.push(place[0] * p.image[1] + place[1]);
    });
    visit(window, seen, at);
  });
}

/** Values with ties, infinities and NaN among them. */
function rough(seed: number, size: number): Float32Array {
  const special = [Number.NEGATIVE_INFINITY, Number.NaN, Number.POSITIVE_INFINITY, 1, 1, -1];
  return numbers(seed, size).map((v, i) =>
    (i * 7 + seed) % 5 === 0 ? special[(i + seed) % 6] : v,
  );
}

/** Here a mask that holds anyhow was needed to prove an access, which then went without it. */
const halfOutside: Pool = {
  image: [2, 2],
  kernel: [2, 2],
  stride: [1, 3],
  padding: [1, 1],
  dilation: [1, 1],
  ceilMode: false,
  countIncludePad: false,
};

describe('max pooling', () => {
  it.each(DEVICE_NAMES)(
    'is what its loops say, on %s, forward and backward',
    async (device) => {
      const check = async (p: Pool, seed: number) => {
        const shape = [2, 1, ...p.image];
        const data = rough(seed, sizeOf(shape));
        const result = [2, 1, ...resultOf(p, p.dilation)];
        const [values, indices] = [
          new Float32Array(sizeOf(result)),
          new Int32Array(sizeOf(result)),
        ];
        const up = numbers(seed + 1, sizeOf(result));
        const gradient = new Float64Array(data.length);
        const [plane, windows] = [sizeOf(p.image), sizeOf(result) / 2];
        for (let n = 0; n < 2; n++) {
          eachWindow(p, p.dilation, (window, seen) => {
            // PyTorch's loop: a larger one or a NaN takes over; the first place stands at the start.
            let [best, value] = [seen[0], Number.NEGATIVE_INFINITY];
            for (const place of seen) {
              const v = data[n * plane + place];
              if (v > value || Number.isNaN(v)) [best, value] = [place, v];
            }
            values[n * windows + window] = value;
            // Dilated windows may see nothing but padding: they have no winner.
            indices[n * windows + window] = best ?? -1;
            if (best === undefined) return;
            gradient[n * plane + best] += up[n * windows + window];
          });
        }
        const x = tensor(data, { shape, device });
        const pooled = maxPool2dWithIndices(x, p.kernel, p);
        const [dx] = vjp([pooled.values], [tensor(up, { shape: result, device })], [x]);
        expect(pooled.values.shape).toEqual(result);
        expect(await pooled.values.data()).toEqual(values);
        (await pooled.indices.data()).forEach((place, i) => {
          if (indices[i] >= 0) expect(place).toBe(indices[i]);
        });
        (await dx.data()).forEach((v, i) => {
          expect(v).toBeCloseTo(gradient[i], 4);
        });
      };
      await fc.assert(fc.asyncProperty(anyPool, fc.nat({ max: 99 }), check), {
        numRuns: Number(process.env.FUZZ_RUNS ?? (device === 'wasm' ? 40 : 15)),
        examples: [[halfOutside, 0]],
      });
    },
    120_000,
  );

  it('of one axis, and of an image without a batch', async () => {
    const x = tensor([[3, 1, 4, 1, 5, 9]]);
    expect(await maxPool1d(x, 2).toArray()).toEqual([[3, 4, 9]]);
    const { values, indices } = maxPool1dWithIndices(x, 3, { stride: 2, padding: 1 });
    expect(await values.toArray()).toEqual([[3, 4, 9]]);
    expect(await indices.toArray()).toEqual([[0, 2, 5]]);
  });

  it('names what does not fit', () => {
    const x = zeros([1, 1, 4, 4]);
    expect(() => maxPool2d(x, 2, { padding: 2 })).toThrow(/padding is 2; expected at most half/);
    expect(() => maxPool2d(x, 5)).toThrow(/kernelSize is 5; expected windows of at most 4/);
    expect(() => maxPool2d(x, 0)).toThrow(/kernelSize is 0; expected an integer >= 1/);
    expect(() => maxPool2d(x.cast('i32'), 2)).toThrow(/the type of x is "i32"; expected a float/);
    expect(() => maxPool1d(x, 2)).toThrow(/x is \[1, 1, 4, 4\]; expected static \[n, c, length\]/);
  });
});

describe('average pooling', () => {
  const one = [1, 1];
  it.each(COMPILED_DEVICES)(
    'is what its loops say, on %s, forward and backward',
    async (device) => {
      const check = async (p: Pool, seed: number) => {
        const shape = [1, 2, ...p.image];
        const data = numbers(seed, sizeOf(shape));
        const result = [1, 2, ...resultOf(p, one)];
        const means = new Float64Array(sizeOf(result));
        const up = numbers(seed + 1, sizeOf(result));
        const gradient = new Float64Array(data.length);
        const [plane, windows] = [sizeOf(p.image), sizeOf(result) / 2];
        for (let c = 0; c < 2; c++) {
          eachWindow(p, one, (window, seen, at) => {
            const extents = p.image.map((n, i) => {
              const start = at[i] * p.stride[i] - p.padding[i];
              return Math.min(start + p.kernel[i], n + p.padding[i]) - start;
            });
            const count = p.countIncludePad ? extents[0] * extents[1] : seen.length;
            const at0 = c * windows + window;
            for (const place of seen) {
              means[at0] += data[c * plane + place] / count;
              gradient[c * plane + place] += up[at0] / count;
            }
          });
        }
        const x = tensor(data, { shape, device });
        const { stride, padding, ceilMode, countIncludePad } = p;
        const y = avgPool2d(x, p.kernel, { stride, padding, ceilMode, countIncludePad });
        const [dx] = vjp([y], [tensor(up, { shape: result, device })], [x]);
        (await y.data()).forEach((v, i) => {
          expect(v).toBeCloseTo(means[i], 5);
        });
        (await dx.data()).forEach((v, i) => {
          expect(v).toBeCloseTo(gradient[i], 5);
        });
      };
      await fc.assert(fc.asyncProperty(anyPool, fc.nat({ max: 99 }), check), {
        numRuns: Number(process.env.FUZZ_RUNS ?? (device === 'wasm' ? 40 : 15)),
      });
    },
    120_000,
  );

  it('divides by what it is told', async () => {
    const x = tensor([[1, 2, 3, 4]]);
    expect(await avgPool1d(x, 2).toArray()).toEqual([[1.5, 3.5]]);
    expect(await avgPool1d(x, 2, { divisorOverride: 10 }).toArray()).toEqual([
      [Math.fround(0.3), Math.fround(0.7)],
    ]);
    expect(() => avgPool1d(x, 2, { divisorOverride: 0 })).toThrow(/divisorOverride is 0/);
  });

  it('adapts windows to an output size, also where they overlap', async () => {
    const x = tensor([[1, 2, 3, 4, 5]]);
    expect(await adaptiveAvgPool1d(x, 3).toArray()).toEqual([[1.5, 3, 4.5]]);
    expect(await adaptiveAvgPool1d(x, 1).toArray()).toEqual([[3]]);
    expect(await adaptiveAvgPool1d(x, 7).toArray()).toEqual([[1, 1.5, 2.5, 3, 3.5, 4.5, 5]]);
    const image = tensor(numbers(1, 2 * 4 * 6), { shape: [2, 4, 6] });
    const halves = adaptiveAvgPool2d(image, [2, 3]);
    const pooled = avgPool2d(image, 2);
    expect(await halves.sub(pooled).abs().max().item()).toBeLessThan(1e-6);
    // An infinity reaches only the windows that hold it.
    const far = adaptiveAvgPool1d(tensor([[1, 2, 3, 4, Number.POSITIVE_INFINITY]]), 3);
    expect(await far.toArray()).toEqual([[1.5, 3, Number.POSITIVE_INFINITY]]);
  });
});

describe('memory of pooling', () => {
  const x = g.bufferNode('f32', [2, 8, 20, 20], 'x');
  const span = { image: 20, result: 10, kernel: 3, stride: 2, dilation: 1, before: 1 };
  const pooled = maxPooled(x, [span, span]).values;
  const up = g.bufferNode('f32', pooled.shape, 'up');

  it('holds no windows, only where the maxima are', () => {
    expect(compileProgram([pooled], [x], { fuse: true }).steps).toHaveLength(1);
    const backward = compileProgram(gradientGraph([pooled], [up], [x]), [x, up], { fuse: true });
    expect(backward.steps).toHaveLength(2);
    expect(backward.scratchBytes).toBeLessThanOrEqual(4 * sizeOf(pooled.shape));
  });

  it('of means holds nothing at all', () => {
    const sums = sumPooled(x, [span, span]);
    expect(compileProgram([sums], [x], { fuse: true }).steps).toHaveLength(1);
    const backward = compileProgram(gradientGraph([sums], [up], [x]), [x, up], { fuse: true });
    expect(backward.steps).toHaveLength(1);
    expect(backward.scratchBytes).toBe(0);
  });
});
