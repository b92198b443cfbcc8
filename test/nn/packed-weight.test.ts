import { describe, expect, it } from 'vitest';
import { PackedWeight } from '../../src/nn/index.ts';
import { dequantize, quantize, quantScheme } from '../../src/tensor/functions/index.ts';
import { scope, type Tensor, tensor, valueAndGrad, vmap } from '../../src/tensor/index.ts';
import { DEVICE_NAMES } from '../support/device-names.ts';
import { numbers } from '../support/run-graph.ts';

const NAMES = DEVICE_NAMES;
const SCHEMES = ['int8-g32', 'int8-row', 'int4-g32', 'int4-g128'] as const;
const [ROWS, COLUMNS] = [7, 256];

describe.each(NAMES)('a packed weight on %s', (name) => {
  const on = { device: name } as const;
  const matrix = () => tensor(numbers(3, ROWS * COLUMNS), { ...on, shape: [ROWS, COLUMNS] });
  const rows = (count: number) =>
    tensor(numbers(5, count * COLUMNS), { ...on, shape: [1, count, COLUMNS] });

  it.each(SCHEMES)('%s: keeps codes, scales and values', async (scheme) => {
    const weight = matrix();
    const { packed, scales } = quantize(weight, scheme);
    const made = await PackedWeight.round(weight, scheme).realize();
    const plain = made.plain();
    expect(plain.codes.shape).toEqual(packed.shape);
    expect(plain.codes.dtype).toBe(packed.dtype);
    expect(await plain.codes.data()).toEqual(await packed.data());
    expect(plain.scales.dtype).toBe('f16');
    expect(await plain.scales.data()).toEqual(await scales.data());
    const again = new PackedWeight({ scheme, shape: [ROWS, COLUMNS], ...plain });
    const values = dequantize({ scheme: quantScheme(scheme, COLUMNS), packed, scales });
    const want = await values.data();
    expect(await again.dequantize().data()).toEqual(want);
    const looked = again.embedding(tensor([6, 0, 6, 3], { ...on, dtype: 'i32' }));
    const picked = [6, 0, 6, 3].flatMap((r) => [...want.slice(r * COLUMNS, (r + 1) * COLUMNS)]);
    expect([...(await looked.data())]).toEqual(picked);
  });

  it.each(SCHEMES)('%s: a product is that of rounded activations', async (scheme) => {
    const weight = PackedWeight.round(matrix(), scheme);
    const x = rows(3);
    const rounded = dequantize({ ...quantize(x, 'int8-g32', { scales: 'f32' }) });
    // Steps of 1 / 127 and not of 1 / 127.5: nearly the same rounding, twice its error.
    const exact = [...(await weight.linear(x, { activations: 'f32' }).data())];
    const got = weight.linear(x);
    expect(got.shape).toEqual([1, 3, ROWS]);
    const near = await rounded.linear(weight.dequantize()).data();
    const values = [...(await got.data())];
    const spread = Math.sqrt(exact.reduce((s, v) => s + v * v, 0) / exact.length);
    values.forEach((v, i) => {
      expect(Math.abs(v - exact[i])).toBeLessThan(0.03 * spread);
      expect(Math.abs(v - near[i])).toBeLessThan(0.03 * spread);
    });
    const half = weight.linear(x.cast('f16'));
    expect(half.dtype).toBe('f16');
    // Rows do not know of each other.
    const alone = await weight.linear(x.narrow(1, 1, 1)).data();
    expect([...alone]).toEqual(values.slice(ROWS, 2 * ROWS));
  });

  it('gradients pass straight through the rounding', async () => {
    const weight = PackedWeight.round(matrix(), 'int4-g32');
    const upstream = tensor(numbers(8, 2 * ROWS), { ...on, shape: [1, 2, ROWS] });
    const step = (activations: 'int8' | 'f32') =>
      valueAndGrad((y: Tensor) => weight.linear(y, { activations }).mul(upstream).sum())(rows(2));
    const { grads } = step('int8');
    const got = await grads.data();
    const want = await upstream.matmul(weight.dequantize()).data();
    expect(got).toEqual(want);
    const exact = await step('f32').grads.data();
    got.forEach((v, i) => {
      expect(v).toBeCloseTo(exact[i], 4);
    });
  });

  it('is batched by vmap', async () => {
    const weight = PackedWeight.round(matrix(), 'int4-g32');
    const x = rows(3).squeeze(0);
    const each = vmap((row: Tensor) => weight.linear(row))(x);
    expect(await each.data()).toEqual(await weight.linear(x).data());
  });

  it('NaN and infinity spoil their own row alone', async () => {
    const weight = PackedWeight.round(matrix(), 'int4-g32');
    const x = numbers(5, 3 * COLUMNS);
    const clean = await weight.linear(tensor(x, { ...on, shape: [3, COLUMNS] })).data();
    x[5] = Number.NaN;
    x[COLUMNS + 40] = Number.POSITIVE_INFINITY;
    const got = await weight.linear(tensor(x, { ...on, shape: [3, COLUMNS] })).data();
    expect([...got.slice(0, 2 * ROWS)].every(Number.isNaN)).toBe(true);
    expect([...got.slice(2 * ROWS)]).toEqual([...clean.slice(2 * ROWS)]);
  });

  it('refuses by name what no panel can hold', () => {
    scope(() => {
      const narrow = tensor(new Float32Array(2 * 48), { ...on, shape: [2, 48] });
      expect(() => PackedWeight.round(narrow, 'int4-g32')).toThrow(
        /weight is \[2, 48\]; expected rows of whole blocks of 32/,
      );
      expect(() => PackedWeight.round(narrow, 'int8-row')).toThrow(
        /block is 48; expected a multiple of 32/,
      );
      expect(() => PackedWeight.round(matrix(), 'int4-g32-zero')).toThrow(/zero points/);
      const weight = PackedWeight.round(matrix(), 'int8-g32');
      expect(() => weight.linear(narrow)).toThrow(/x is "f32\[2, 48\]"; expected f32, f16 or bf16/);
    });
  });
});
