import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type RopeScaling, ropeFrequencies } from '../../src/nn/index.ts';
import { rope } from '../../src/tensor/functions/index.ts';
import { arange, random, tensor } from '../../src/tensor/index.ts';
import { readJson } from '../support/fixtures.ts';
import { ROOT } from '../support/source-tree.ts';

interface Case {
  readonly name: string;
  readonly scaling: RopeScaling;
  readonly dims: number;
  readonly theta: number;
  readonly maxPositions: number;
  readonly length: number | null;
  readonly frequencies: readonly number[];
  readonly scale: number;
}

const { cases } = readJson<{ cases: Case[] }>(ROOT, join('test', 'fixtures', 'rope-scaling.json'));

describe('frequencies of rotary positions', () => {
  test.each(cases)('as transformers: $name', ({ scaling, length, ...c }) => {
    const { frequencies, scale } = ropeFrequencies(scaling, {
      dims: c.dims,
      theta: c.theta,
      maxPositions: c.maxPositions,
      ...(length === null ? {} : { length }),
    });
    expect(frequencies.length).toBe(c.dims / 2);
    c.frequencies.forEach((want, i) => {
      expect(Math.abs(frequencies[i] - want) / want).toBeLessThan(5e-7);
    });
    expect(scale).toBeCloseTo(c.scale, 12);
  });

  test('without scaling they are what rope takes by itself', async () => {
    const { frequencies, scale } = ropeFrequencies({ rope_type: 'default' }, { dims: 8 });
    const x = random.normal([1, 2, 5, 8]);
    const want = await rope(x, arange(5)).data();
    const got = await rope(x, arange(5), { frequencies: tensor(frequencies), scale }).data();
    want.forEach((w, i) => {
      expect(got[i]).toBeCloseTo(w, 5);
    });
  });

  test('a scale multiplies what turns', async () => {
    const x = random.normal([1, 1, 3, 6]);
    const plain = await rope(x, arange(3), { dims: 4 }).data();
    const scaled = await rope(x, arange(3), { dims: 4, scale: 1.5 }).data();
    plain.forEach((p, i) => {
      expect(scaled[i]).toBeCloseTo(i % 6 < 4 ? 1.5 * p : p, 5);
    });
  });

  test('errors name what is missing', () => {
    const sizes = { dims: 8 };
    expect(() => ropeFrequencies({ rope_type: 'linear' } as never, sizes)).toThrow(/factor.*> 0/);
    expect(() => ropeFrequencies({ rope_type: 'ntk' } as never, sizes)).toThrow(/rope_type.*yarn/);
    expect(() => ropeFrequencies({ rope_type: 'dynamic', factor: 2 }, sizes)).toThrow(
      /maxPositions/,
    );
    expect(() => ropeFrequencies({ rope_type: 'default' }, { dims: 7 })).toThrow(/dims.*even/);
  });
});
