import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  encodeGgmlBlocks,
  type GgmlBlockType,
  joinGgmlBlocks,
  splitGgmlBlocks,
} from '../../src/io/index.ts';
import { dequantize } from '../../src/tensor/functions/index.ts';
import { tensor } from '../../src/tensor/tensor.ts';
import { DEVICE_NAMES } from '../support/device-names.ts';
import { describeWithFixtures, readJson, readSafetensors } from '../support/fixtures.ts';
import { difference } from '../support/stored.ts';

const TYPES: readonly GgmlBlockType[] = ['Q4_0', 'Q8_0'];
const NAMES = DEVICE_NAMES;

describeWithFixtures('blocks as ggml has them', (folder) => {
  interface Type {
    readonly type: string;
    readonly quantize?: { readonly sha256_of_ramp: string };
  }
  const { types } = readJson<{ types: readonly Type[] }>(folder, 'quant', 'ggml.json');
  const tensors = readSafetensors(folder, 'quant', 'ggml.safetensors');
  const bytes = (name: string) => Uint8Array.from(tensors.get(name)?.data ?? []);
  const floats = (name: string) => Float32Array.from(tensors.get(name)?.data ?? []);

  describe.each(TYPES)('%s', (type) => {
    it.each(NAMES)('values are equal on %s', async (device) => {
      for (const kind of ['dequantize', 'quantize']) {
        const want = floats(`${kind}/${type}/values`);
        const { scheme, packed, scales } = splitGgmlBlocks(type, bytes(`${kind}/${type}/packed`));
        const q = {
          scheme,
          packed: tensor(packed, { device }),
          scales: tensor(scales, { dtype: 'f16', device }),
        };
        const got = await dequantize(q).data();
        const exact = { rtol: 0, atol: 0 };
        expect(want.length).toBeGreaterThan(2000);
        expect(difference([...got], [...want], exact)).toBeUndefined();
      }
    });

    it('taken apart and joined they are the same bytes', () => {
      const blocks = bytes(`dequantize/${type}/packed`);
      expect([...joinGgmlBlocks(type, splitGgmlBlocks(type, blocks))]).toEqual([...blocks]);
    });

    it('numbers become the same bytes', () => {
      const got = encodeGgmlBlocks(type, floats('quantize/input'));
      expect([...got]).toEqual([...bytes(`quantize/${type}/packed`)]);
      const ramp = Float32Array.from(
        { length: 4096 },
        (_, i) => (Math.imul(i, 2654435761) >>> 8) / 2 ** 24 - 0.5,
      );
      const hash = createHash('sha256').update(encodeGgmlBlocks(type, ramp)).digest('hex');
      expect(hash).toBe(types.find((t) => t.type === type)?.quantize?.sha256_of_ramp);
    });
  });
});

describe('blocks', () => {
  it('that are not whole are refused', () => {
    expect(() => splitGgmlBlocks('Q4_0', new Uint8Array(20))).toThrow(
      'length is 20; expected a multiple of 18',
    );
    const parts = { packed: new Uint8Array(16), scales: new Uint16Array(2) };
    expect(() => joinGgmlBlocks('Q4_0', parts)).toThrow(
      'expected 16 bytes for each of the 2 scales',
    );
  });
});
