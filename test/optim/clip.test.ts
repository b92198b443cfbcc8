import { describe, expect, test } from 'vitest';
import { device } from '../../src/device/index.ts';
import { clipByGlobalNorm, clipByParameterNorm, clipByValue } from '../../src/optim/index.ts';
import { realize, type Tensor, tensor } from '../../src/tensor/index.ts';
import { DEVICE_NAMES } from '../support/device-names.ts';
import { describeWithFixtures, readJson, readSafetensors } from '../support/fixtures.ts';
import { agrees, difference, type Stored } from '../support/stored.ts';

interface Case {
  readonly name: string;
  readonly op: 'clip_grad_norm' | 'clip_grad_value';
  readonly max_norm: number;
  readonly norm_type: number | 'inf';
  readonly clip_value: number;
  readonly count: number;
  readonly total_norm: number | 'inf' | 'nan';
}

const NUMBERS = { inf: Number.POSITIVE_INFINITY, nan: Number.NaN };
const number = (x: number | 'inf' | 'nan') => (typeof x === 'string' ? NUMBERS[x] : x);

describeWithFixtures('clipping as torch does it', (folder) => {
  const file = readJson<{ cases: readonly Case[]; rtol: number; atol: number }>(
    folder,
    'optim',
    'clip.json',
  );
  const tensors = readSafetensors(folder, 'optim', 'clip.safetensors');

  for (const name of DEVICE_NAMES) {
    test.each(file.cases)(`${name}: $name`, async (c) => {
      const stored = (which: string, i: number) => tensors.get(`${c.name}/${which}${i}`) as Stored;
      const grads = new Map(
        Array.from({ length: c.count }, (_, i): [string, Tensor] => {
          const { data, shape } = stored('in', i);
          return [`${i}`, tensor(data as Float32Array, { shape, device: device(name) })];
        }),
      );
      let clipped: ReadonlyMap<string, Tensor>;
      if (c.op === 'clip_grad_value') clipped = clipByValue(grads, c.clip_value);
      else {
        const result = clipByGlobalNorm(grads, c.max_norm, number(c.norm_type));
        const norm = await result.norm.item();
        expect(agrees(norm, number(c.total_norm), file), `norm ${norm}`).toBe(true);
        clipped = result.grads;
      }
      await realize(...clipped.values());
      for (let i = 0; i < c.count; i++) {
        const got = await clipped.get(`${i}`)?.data();
        expect(difference(got as Float32Array, stored('out', i).data, file)).toBeUndefined();
      }
    });
  }
});

describe('clipping', () => {
  const grads = new Map([
    ['a', tensor([3, 4])],
    ['b', tensor([0.3, 0.4])],
  ]);

  test('by the norm of each gradient leaves small ones alone', async () => {
    const clipped = clipByParameterNorm(grads, 1);
    const [a, b] = await Promise.all([...clipped.values()].map((t) => t.data()));
    expect(a?.[0]).toBeCloseTo(0.6, 5);
    expect(a?.[1]).toBeCloseTo(0.8, 5);
    expect([...(b ?? [])]).toEqual([...Float32Array.of(0.3, 0.4)]);
  });

  test('refuses what cannot be met', () => {
    expect(() => clipByGlobalNorm(grads, 0)).toThrow('maxNorm is 0; expected a number > 0');
    expect(() => clipByGlobalNorm(grads, 1, -1)).toThrow('p is -1; expected a number > 0');
    expect(() => clipByValue(grads, Number.NaN)).toThrow('limit is NaN');
    expect(() => clipByGlobalNorm(new Map(), 1)).toThrow('at least one gradient');
  });
});
