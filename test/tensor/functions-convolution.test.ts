import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileProgram } from '../../src/compile/index.ts';
import type { DeviceName } from '../../src/device/index.ts';
import * as g from '../../src/ir/graph/build.ts';
import { gradientGraph } from '../../src/ir/graph/gradient.ts';
import { sizeOf } from '../../src/ir/shape.ts';
import { convolve } from '../../src/tensor/functions/convolution-graph.ts';
import {
  col2im,
  conv1d,
  conv2d,
  convTranspose1d,
  convTranspose2d,
  im2col,
} from '../../src/tensor/functions/index.ts';
import { vjp } from '../../src/tensor/grad.ts';
import { ones, type Tensor, tensor, zeros } from '../../src/tensor/tensor.ts';
import { DEVICE_NAMES } from '../support/device-names.ts';
import { type ConvolutionCase, eachProduct, resultOf } from '../support/naive-convolution.ts';
import { numbers } from '../support/run-graph.ts';

const upTo = (max: number, min = 1) => fc.integer({ min, max });
const perAxis = (axes: number, max: number, min = 1) =>
  fc.array(upTo(max, min), { minLength: axes, maxLength: axes });

const anyCase: fc.Arbitrary<ConvolutionCase> = fc
  .record({ axes: upTo(2), groups: upTo(3), inGroup: upTo(3), outGroup: upTo(5), batch: upTo(3) })
  .chain(({ axes, groups, inGroup, outGroup, batch }) =>
    fc.record({
      batch: fc.constant(batch),
      channels: fc.constant(groups * inGroup),
      outputs: fc.constant(groups * outGroup),
      groups: fc.constant(groups),
      image: perAxis(axes, 11),
      kernel: perAxis(axes, 4),
      stride: perAxis(axes, 4),
      padding: perAxis(axes, 4, 0),
      dilation: perAxis(axes, 3),
    }),
  )
  .filter((c) => resultOf(c).every((n) => n >= 1));

function shapesOf(c: ConvolutionCase) {
  const x = [c.batch, c.channels, ...c.image];
  const w = [c.outputs, c.channels / c.groups, ...c.kernel];
  return { x, w, y: [c.batch, c.outputs, ...resultOf(c)] };
}

/** Sums of the products of two operands into a third, and of their magnitudes. */
function sums(
  c: ConvolutionCase,
  pick: (image: number, weight: number, result: number) => readonly [number, number],
  to: 'image' | 'weight' | 'result',
) {
  const shapes = shapesOf(c);
  const size = sizeOf({ image: shapes.x, weight: shapes.w, result: shapes.y }[to]);
  const [values, magnitudes] = [new Float64Array(size), new Float64Array(size)];
  eachProduct(c, (image, weight, result) => {
    const [a, b] = pick(image, weight, result);
    const target = { image, weight, result }[to];
    values[target] += a * b;
    magnitudes[target] += Math.abs(a * b);
  });
  return { values, magnitudes };
}

type Sums = ReturnType<typeof sums>;

async function agree(what: string, got: Tensor, { values, magnitudes }: Sums): Promise<void> {
  const data = await got.data();
  expect(data.length, what).toBe(values.length);
  values.forEach((want, i) => {
    const allowed = 1e-6 * magnitudes[i] * 4;
    if (!(Math.abs(data[i] - want) <= allowed)) {
      expect.fail(`${what}, element ${i}: ${data[i]}; the loops say ${want}`);
    }
  });
}

async function check(c: ConvolutionCase, seed: number, name: DeviceName): Promise<void> {
  const shapes = shapesOf(c);
  const data = [shapes.x, shapes.w, shapes.y].map((shape, i) => numbers(seed + i, sizeOf(shape)));
  const [x, w, up] = [shapes.x, shapes.w, shapes.y].map((shape, i) =>
    tensor(data[i], { shape, device: name }),
  );
  const { stride, padding, dilation, groups } = c;
  const options = { stride, padding, dilation, groups };
  const [forward, transpose] =
    c.image.length === 1 ? [conv1d, convTranspose1d] : [conv2d, convTranspose2d];
  const y = forward(x, w, options);
  expect(y.shape).toEqual(shapes.y);
  const [dx, dw] = vjp([y], [up], [x, w]);
  const toImage = sums(c, (_i, k, r) => [data[1][k], data[2][r]], 'image');
  const toWeight = sums(c, (i, _k, r) => [data[0][i], data[2][r]], 'weight');
  const toResult = sums(c, (i, k) => [data[0][i], data[1][k]], 'result');
  await agree('result', y, toResult);
  await agree('gradient of the image', dx, toImage);
  await agree('gradient of the weight', dw, toWeight);

  // The transpose is the image's gradient where the sizes that a stride leaves open agree.
  const outputPadding = c.image.map((n, i) => {
    const reach = (c.kernel[i] - 1) * dilation[i] + 1;
    return n - ((resultOf(c)[i] - 1) * stride[i] + reach - 2 * padding[i]);
  });
  const t = transpose(up, w, { ...options, outputPadding });
  const [du, dw2] = vjp([t], [x], [up, w]);
  await agree('transpose', t, toImage);
  await agree('gradient of the transpose by its image', du, toResult);
  await agree('gradient of the transpose by its weight', dw2, toWeight);
}

describe('convolution', () => {
  it.each(DEVICE_NAMES)(
    'is what its loops say, on %s, forward and backward',
    async (name) => {
      await fc.assert(
        fc.asyncProperty(anyCase, fc.nat({ max: 99 }), (c, seed) => check(c, seed, name)),
        { numRuns: Number(process.env.FUZZ_RUNS ?? (name === 'wasm' ? 40 : 15)) },
      );
    },
    120_000,
  );

  it('is differentiated twice: gradients are convolutions, too', async () => {
    const c: ConvolutionCase = {
      batch: 2,
      channels: 2,
      outputs: 3,
      groups: 1,
      image: [6, 5],
      kernel: [3, 2],
      stride: [2, 1],
      padding: [1, 0],
      dilation: [1, 2],
    };
    const shapes = shapesOf(c);
    const sizes = [shapes.x, shapes.w, shapes.y];
    const data = [...sizes, shapes.x].map((shape, i) => numbers(i, sizeOf(shape)));
    const [x, w, up, v] = [...sizes, shapes.x].map((shape, i) => tensor(data[i], { shape }));
    const [dx] = vjp([conv2d(x, w, c)], [up], [x]);
    // <v, dx> = <conv(v, w), up>: its gradient by w is that of the weight at image v.
    const [byWeight, byUp] = vjp([dx], [v], [w, up]);
    await agree(
      'by weight',
      byWeight,
      sums(c, (i, _k, r) => [data[3][i], data[2][r]], 'weight'),
    );
    await agree(
      'by upstream',
      byUp,
      sums(c, (i, k) => [data[3][i], data[1][k]], 'result'),
    );
  });

  it('keeps the size of an image with padding "same", more zeros behind an even kernel', async () => {
    const x = tensor([[[1, 2, 3, 4]]]);
    const w = tensor([[[1, 10]]]);
    expect(await conv1d(x, w, { padding: 'same' }).toArray()).toEqual([[[21, 32, 43, 4]]]);
    expect(await conv1d(x, w, { padding: 'valid' }).toArray()).toEqual([[[21, 32, 43]]]);
  });

  it('takes an image without a batch, and adds a bias', async () => {
    const x = tensor([[1, 2, 3]]);
    const y = conv1d(x, tensor([[[1, 1]], [[0, 2]]]), { bias: tensor([10, 20]) });
    expect(await y.toArray()).toEqual([
      [13, 15],
      [24, 26],
    ]);
  });

  it('adds a bias in every way a product can lie, and gives its gradient', async () => {
    for (const [groups, image] of [
      [1, 6],
      [1, 3],
      [2, 6],
      [2, 3],
    ]) {
      const x = ones([3, 4, image, image]);
      const bias = tensor([1, 2, 3, 4, 5, 6]);
      const y = conv2d(x, zeros([6, 4 / groups, 2, 2]), { bias, groups });
      const [db] = vjp([y], [ones(y.shape as number[])], [bias]);
      const places = (image - 1) ** 2;
      expect(await y.sum([0, 2, 3]).data()).toEqual(
        Float32Array.from([1, 2, 3, 4, 5, 6], (v) => v * 3 * places),
      );
      expect(await db.data()).toEqual(new Float32Array(6).fill(3 * places));
    }
  });

  it('gives an image the same bits alone and in a batch', async () => {
    for (const [size, groups] of [
      [4, 1],
      [7, 1],
      [4, 2],
    ]) {
      const shape = [3, 4, size, size];
      const x = tensor(numbers(1, sizeOf(shape)), { shape });
      const w = tensor(numbers(2, (6 * 4 * 9) / groups), { shape: [6, 4 / groups, 3, 3] });
      const together = conv2d(x, w, { groups });
      const [dx] = vjp([together], [together], [x]);
      const alone = conv2d(x.narrow(0, 1, 1), w, { groups });
      const [first, second] = [together.narrow(0, 1, 1), dx.narrow(0, 1, 1)];
      expect(await alone.data()).toEqual(await first.data());
      const one = tensor(await alone.data(), { shape: alone.shape as number[] });
      const x1 = tensor(await x.narrow(0, 1, 1).data(), { shape: [1, 4, size, size] });
      const [dx1] = vjp([conv2d(x1, w, { groups })], [one], [x1]);
      expect(await dx1.data()).toEqual(await second.data());
    }
  });

  it('names what does not fit', () => {
    const x = zeros([1, 4, 8, 8]);
    const w = zeros([6, 4, 3, 3]);
    expect(() => conv2d(zeros([8]), w)).toThrow(
      /x is \[8\]; expected static \[n, c, height, width\]/,
    );
    expect(() => conv2d(x, zeros([6, 3, 3, 3]))).toThrow(
      /weight is \[6, 3, 3, 3\]; expected \[o, 4/,
    );
    expect(() => conv2d(x, zeros([6, 4, 3]))).toThrow(
      /weight is \[6, 4, 3\]; expected 4 static axes/,
    );
    expect(() => conv2d(x, w, { groups: 3 })).toThrow(/groups is 3; expected a divisor of the 4/);
    expect(() => conv2d(x, w, { stride: 0 })).toThrow(/stride is 0; expected an integer >= 1/);
    expect(() => conv2d(x, w, { stride: [1, 2, 3] })).toThrow(/stride is \[1, 2, 3\]/);
    expect(() => conv2d(x, w, { padding: -1 })).toThrow(/padding is -1; expected an integer >= 0/);
    expect(() => conv2d(x, w, { padding: 'same', stride: 2 })).toThrow(/stride is 2; expected 1/);
    expect(() => conv2d(x, w, { dilation: 4 })).toThrow(/reach of the kernel on axis 0 is 9/);
    expect(() => conv2d(x, w, { bias: zeros([4]) })).toThrow(/bias is f32\[4\]; expected f32\[6\]/);
    expect(() => conv2d(x, w.cast('i32'))).toThrow(/weight is i32; expected f32/);
    expect(() => convTranspose2d(x, w)).toThrow(/weight is \[6, 4, 3, 3\]; expected \[4, o/);
    expect(() => convTranspose2d(x, zeros([4, 6, 3, 3]), { outputPadding: 1 })).toThrow(
      /outputPadding is 1; expected less than stride 1/,
    );
  });
});

describe('memory of a convolution', () => {
  const [n, c, o, size] = [16, 16, 24, 20];
  const x = g.bufferNode('f32', [n, c, size, size], 'x');
  const w = g.bufferNode('f32', [o, c, 3, 3], 'w');
  const bias = g.bufferNode('f32', [o], 'bias');
  const span = { image: size, result: size, kernel: 3, stride: 1, dilation: 1, before: 1 };
  const y = convolve(x, w, { spans: [span, span], groups: 1 }, bias);
  const up = g.bufferNode('f32', y.shape, 'up');
  const [dx, dw, db] = gradientGraph([y], [up], [x, w, bias]);
  const image = 4 * n * c * (size + 2) * (size + 2);
  const result = 4 * n * o * (size + 2) * (size + 2);
  /** Packed panels and sums of the product's blocks. */
  const blocks = 4 * (384 * 256 + 4 * 256 + 400 * 400);

  it('holds a padded image, and no patches', () => {
    const relu = g.binary('max', y, g.constLike(y, 0));
    const program = compileProgram([relu], [x, w, bias], { fuse: true });
    expect(program.steps.map((s) => s.label)).toEqual(['pad_16x16x22x22', 'dot_max_16x24x20x20']);
    expect(program.scratchBytes).toBeLessThanOrEqual(image + blocks);
    expect(image + blocks).toBeLessThan(9 * 4 * n * c * size * size);
  });

  it('backward, too', () => {
    const toImage = compileProgram([dx], [w, up], { fuse: true });
    expect(toImage.steps.map((s) => s.label)).toEqual(['pad_16x24x22x22', 'dot_16x16x20x20']);
    expect(toImage.scratchBytes).toBeLessThanOrEqual(result + blocks);
    const toWeight = compileProgram([dw], [x, up], { fuse: true });
    expect(toWeight.steps.map((s) => s.label)).toEqual(['pad_16x16x22x22', 'dot_24x16x3x3']);
    expect(toWeight.scratchBytes).toBeLessThanOrEqual(image + blocks);
    const all = compileProgram([y, dx, dw, db], [x, w, bias, up], { fuse: true });
    expect(all.steps).toHaveLength(6);
    expect(all.scratchBytes).toBeLessThanOrEqual(image + result + blocks);
  });
});

describe('im2col', () => {
  it('gives the columns that a convolution multiplies by, col2im adds them up again', async () => {
    const x = tensor(numbers(1, 2 * 3 * 6 * 5), { shape: [2, 3, 6, 5] });
    const w = tensor(numbers(2, 4 * 3 * 3 * 2), { shape: [4, 3, 3, 2] });
    const options = { stride: [1, 2], padding: [1, 0], dilation: [2, 1] };
    const columns = im2col(x, [3, 2], options);
    const y = conv2d(x, w, options);
    const product = w.reshape([4, -1]).matmul(columns).reshape(y.shape);
    const difference = await y.sub(product).abs().max().item();
    expect(difference).toBeLessThan(1e-4);
    const up = tensor(numbers(3, columns.size), { shape: columns.shape as number[] });
    const [dx] = vjp([columns], [up], [x]);
    const folded = col2im(up, [6, 5], [3, 2], options);
    expect(await folded.data()).toEqual(await dx.data());
    // <im2col(x), up> = <x, col2im(up)>.
    const [left, right] = [columns.mul(up).sum(), x.mul(folded).sum()];
    expect(await left.item()).toBeCloseTo(await right.item(), 3);
  });

  it('names what does not fit', () => {
    expect(() => col2im(zeros([1, 12, 10]), [4, 4], 2)).toThrow(/columns is \[1, 12, 10\]/);
    expect(() => im2col(zeros([1, 2, 4, 4]), 5)).toThrow(/kernelSize is 5/);
  });
});
