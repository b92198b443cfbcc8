import { describe, expect, it } from 'vitest';
import { tensor } from '../../src/tensor/index.ts';

const values = [1e6, 1 / 3, -2.7, 65519, 1e-8];

describe('small floats', () => {
  it('are rounded at every step, also within what could be one kernel', async () => {
    for (const dtype of ['f16', 'bf16', 'f8e5m2', 'f8e4m3'] as const) {
      const chain = async (device: 'interpret' | 'interpret-kernels') => {
        const x = tensor(values, { device }).cast(dtype);
        return x.mul(3).add(x).cast('f32').mul(2).toArray();
      };
      expect(await chain('interpret-kernels')).toEqual(await chain('interpret'));
    }
  });

  it('are refused on wasm by name', async () => {
    const half = tensor(values, { device: 'wasm' }).cast('f16').cast('f32');
    await expect(half.data()).rejects.toThrow('device wasm has no f16 arrays; cast to f32');
  });
});
