import { describe, expect, it } from 'vitest';
import { roundTo } from '../../src/ir/float-formats.ts';
import * as g from '../../src/ir/graph/build.ts';
import { codeRange } from '../../src/ir/quantization.ts';
import {
  dequantize,
  embedding,
  type Quantized,
  type QuantSchemeName,
  quantize,
} from '../../src/tensor/functions/index.ts';
import { valueAndGrad } from '../../src/tensor/grad.ts';
import { type Tensor, tensor } from '../../src/tensor/tensor.ts';
import { DEVICE_NAMES } from '../support/device-names.ts';
import { describeWithFixtures, readJson, readSafetensors } from '../support/fixtures.ts';
import { numbers } from '../support/run-graph.ts';
import { difference } from '../support/stored.ts';

const NAMES = DEVICE_NAMES;
const SCHEMES: readonly QuantSchemeName[] = [
  'int8-g32',
  'int8-row',
  'int4-g32',
  'int4-g128',
  'int4-g32-zero',
  'int4-g128-zero',
];
const ROWS = 5;
const LENGTH = 384;

function even(x: number): number {
  const near = Math.round(x);
  return Math.abs(x % 1) === 0.5 && near % 2 !== 0 ? near - 1 : near;
}

/** The scheme in plain arithmetic: codes one by one, and what they stand for. */
function plain(x: Float32Array, { scheme }: Quantized, scaleType: 'f32' | 'f16' | 'bf16') {
  const { bits, block, zeroPoint } = scheme;
  const range = codeRange(scheme);
  const codes: number[] = [];
  const values: number[] = [];
  for (let start = 0; start < x.length; start += block) {
    const part = x.subarray(start, start + block);
    const low = Math.min(0, ...part);
    const reach = zeroPoint
      ? Math.fround(Math.max(0, ...part) - low)
      : 2 * Math.max(...part.map(Math.abs));
    const exact = roundTo(scaleType, Math.fround(reach / (2 ** bits - 1)));
    const scale = exact === 0 ? 1 : exact;
    const zero = zeroPoint ? even(-Math.fround(low / scale)) : range.zero;
    for (const v of part) {
      const code = even(Math.fround(v / scale)) + zero;
      codes.push(Math.min(range.high, Math.max(range.low, code)));
      values.push(Math.fround((codes[codes.length - 1] - zero) * scale));
    }
  }
  const bytes =
    bits === 8 ? codes : codes.flatMap((c, i) => (i % 2 ? [codes[i - 1] + 16 * c] : []));
  return { bytes, values };
}

const input = numbers(7, ROWS * LENGTH);
input.fill(0, 0, 128);
input[200] = 40;

describe.each(NAMES)('quantisation on %s', (name) => {
  const on = { device: name } as const;
  const x = () => tensor(input, { ...on, shape: [ROWS, LENGTH] });

  it.each(SCHEMES)('%s is what plain arithmetic says', async (scheme) => {
    for (const scales of ['f32', 'f16', 'bf16'] as const) {
      const q = quantize(x(), scheme, { scales });
      const want = plain(input, q, scales);
      expect([...(await q.packed.data())]).toEqual(want.bytes);
      const got = [...(await dequantize(q).data())];
      expect(got).toEqual(want.values.map((v) => v + 0));
    }
  });

  it('wide and small inputs keep their places', async () => {
    const q = quantize(x().cast('f16'), 'int4-g32');
    const rows = dequantize(q);
    const want = await rows.toArray();
    const turned = await rows.permute([1, 0]).add(0).toArray();
    expect(turned).toEqual(transposed(want as number[][]));
    const middle = await rows
      .slice([
        [1, 4],
        [33, 97],
      ])
      .add(0)
      .toArray();
    expect(middle).toEqual((want as number[][]).slice(1, 4).map((r) => r.slice(33, 97)));
  });

  it('products and embeddings unpack on their way', async () => {
    for (const scheme of SCHEMES) {
      const q = quantize(x(), scheme);
      const weight = dequantize(q);
      const stored = tensor(Float32Array.from(await weight.data()), {
        ...on,
        shape: [ROWS, LENGTH],
      });
      for (const rows of [1, 9]) {
        const a = tensor(numbers(rows, rows * LENGTH), { ...on, shape: [rows, LENGTH] });
        const [got, want] = [weight, stored].map((w) => a.matmul(w.transpose(0, 1)));
        expect([...(await got.data())]).toEqual([...(await want.data())]);
        const b = tensor(numbers(rows, rows * ROWS), { ...on, shape: [rows, ROWS] });
        const [got2, want2] = [weight, stored].map((w) => b.matmul(w));
        expect([...(await got2.data())]).toEqual([...(await want2.data())]);
      }
      const tokens = tensor([3, 0, 4, 4], { ...on, dtype: 'i32' });
      const looked = await embedding(tokens, weight).data();
      expect([...looked]).toEqual([...(await embedding(tokens, stored).data())]);
    }
  });

  it('NaN becomes 0 and what is too large the last code', async () => {
    const block = new Float32Array(32).fill(1);
    block.set([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -300]);
    const values = tensor(block, on);
    const scales = tensor([1], on);
    const signed = { bits: 8, block: 32, zeroPoint: false } as const;
    const codes = g.quantize(values.node, scales.node, undefined, signed);
    const got = [...(await values.derive(codes, scales).data())].slice(0, 5);
    expect(got).toEqual([0, 127, -128, -128, 1]);
    const zeros = tensor([3], { ...on, dtype: 'u8' });
    const nibbles = g.quantize(values.node, scales.node, zeros.node, {
      bits: 4,
      block: 32,
      zeroPoint: true,
    });
    const bytes = [...(await values.derive(nibbles, scales, zeros).data())].slice(0, 3);
    expect(bytes).toEqual([3 + 16 * 15, 0, 4 + 16 * 4]);
  });

  it('the gradient of a scale is the sum over its block', async () => {
    const q = quantize(x(), 'int4-g32', { scales: 'f32' });
    const scales = tensor(Float32Array.from(await q.scales.data()), {
      ...on,
      shape: [ROWS, LENGTH / 32],
    });
    const weights = tensor(numbers(3, ROWS * LENGTH), { ...on, shape: [ROWS, LENGTH] });
    const loss = (s: Tensor) =>
      dequantize({ ...q, scales: s })
        .mul(weights)
        .sum();
    const { grads } = valueAndGrad(loss)(scales);
    const scaleData = await scales.data();
    const upstream = numbers(3, ROWS * LENGTH);
    const want = Array.from(scaleData, () => 0);
    plain(input, q, 'f32').values.forEach((v, i) => {
      const block = Math.floor(i / 32);
      want[block] += (v / scaleData[block]) * upstream[i];
    });
    expect(difference([...(await grads.data())], want, { rtol: 1e-5, atol: 1e-4 })).toBeUndefined();
  });
});

function transposed(rows: readonly number[][]): number[][] {
  return rows[0].map((_, i) => rows.map((row) => row[i]));
}

describe('schemes', () => {
  it('refuse what they do not fit, by name', () => {
    const x = tensor(new Float32Array(40));
    expect(() => quantize(x, 'int4-g32')).toThrow('x is "[40]"; expected blocks of 32');
    expect(() => quantize(x, { bits: 4, block: 5, zeroPoint: false })).toThrow(
      'block is 5; expected an even integer',
    );
    const q = quantize(tensor(new Float32Array(64)), 'int4-g32');
    expect(() => dequantize({ ...q, scheme: { bits: 8, block: 32, zeroPoint: false } })).toThrow(
      'codes are u8; expected i8',
    );
    expect(() => dequantize({ ...q, scales: q.packed })).toThrow('scales are u8[32]; expected f32');
    expect(() => dequantize({ ...q, scheme: { ...q.scheme, zeroPoint: true } })).toThrow(
      'zero points are missing',
    );
  });
});

describeWithFixtures('rounding to the nearest as numpy has it', (folder) => {
  interface Case {
    readonly name: string;
    readonly method: string;
    readonly options: { bits: number; group: number; scheme: string };
  }
  const { cases } = readJson<{ cases: readonly Case[] }>(folder, 'quant', 'compress.json');
  const tensors = readSafetensors(folder, 'quant', 'compress.safetensors');
  const data = (name: string) => tensors.get(name)?.data ?? [];
  const rtn = cases.filter(
    (c) => c.method === 'rtn' && (c.options.bits === 4 || c.options.bits === 8),
  );

  it.each(rtn.flatMap((c) => NAMES.map((name) => [c.name, name, c] as const)))(
    '%s on %s',
    async (_, name, { name: key, options }) => {
      const { bits, group: block } = options;
      const zeroPoint = options.scheme === 'asymmetric';
      const w = tensor(Float32Array.from(data('w')), { shape: [64, 128], device: name });
      const scheme = { bits: bits as 4 | 8, block, zeroPoint };
      const q = quantize(w, scheme, { scales: 'f32' });
      const close = { rtol: 2e-7, atol: 0 };
      expect(difference([...(await q.scales.data())], data(`${key}/scale`), close)).toBeUndefined();
      if (q.zeros) expect([...(await q.zeros.data())]).toEqual([...data(`${key}/zero`)]);
      const values = await dequantize(q).data();
      const scales = await q.scales.data();
      const want = data(`${key}/value`);
      values.forEach((v, i) => {
        // A symmetric group's largest weight lies between two codes: either is right.
        const step = scales[Math.floor(i / block)];
        const border =
          !zeroPoint && Math.abs(Math.abs(data('w')[i] / step) - (2 ** bits - 1) / 2) < 1e-4;
        expect(Math.abs(v - want[i])).toBeLessThanOrEqual(
          border ? step * 1.001 : Math.abs(want[i]) * 3e-7,
        );
      });
    },
  );
});
