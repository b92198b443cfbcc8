import { describe, expect, test } from 'vitest';
import { init, Linear } from '../../src/nn/index.ts';
import { random } from '../../src/tensor/index.ts';

const { normal, uniform, truncNormal, xavierNormal, xavierUniform, kaimingNormal } = init;

/** What numbers of an initialiser look like. */
async function moments(make: init.Initialiser, shape: readonly number[]) {
  random.seed(4);
  const values = [...(await make(shape, { device: 'wasm' }).data())];
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
  return { mean, std: Math.sqrt(variance), low: Math.min(...values), high: Math.max(...values) };
}

describe('initialisers', () => {
  const shape = [40, 30, 3, 5]; // fan in 450, fan out 600

  test.each<[string, init.Initialiser, { std: number; mean?: number; bound?: number }]>([
    ['normal', normal({ mean: 3, std: 0.5 }), { mean: 3, std: 0.5 }],
    ['uniform', uniform({ low: -2, high: 2 }), { std: 2 / Math.sqrt(3), bound: 2 }],
    ['xavier uniform', xavierUniform({ gain: 2 }), { std: 2 * Math.sqrt(2 / 1050) }],
    ['xavier normal', xavierNormal(), { std: Math.sqrt(2 / 1050) }],
    ['kaiming normal', kaimingNormal(), { std: Math.sqrt(2 / 450) }],
    [
      'kaiming normal by outputs',
      kaimingNormal({ mode: 'fanOut', nonlinearity: 'tanh' }),
      { std: 5 / 3 / Math.sqrt(600) },
    ],
    [
      'kaiming uniform',
      init.kaimingUniform({ negativeSlope: Math.sqrt(5) }),
      { std: 1 / Math.sqrt(450 * 3), bound: 1 / Math.sqrt(450) },
    ],
    ['fan uniform', init.fanUniform(450), { std: 1 / Math.sqrt(1350), bound: 1 / Math.sqrt(450) }],
    // A normal distribution cut at one deviation.
    ['truncated', truncNormal({ mean: 1, std: 2, low: -1, high: 3 }), { mean: 1, std: 2 * 0.5396 }],
  ])('%s', async (_, make, { mean = 0, std, bound }) => {
    const found = await moments(make, shape);
    expect(Math.abs(found.std / std - 1)).toBeLessThan(0.03);
    expect(Math.abs(found.mean - mean)).toBeLessThan(0.03 * std + 0.01 * Math.abs(mean));
    if (bound === undefined) return;
    expect(found.high).toBeLessThanOrEqual(bound);
    expect(found.low).toBeGreaterThanOrEqual(-bound);
    expect(found.high).toBeGreaterThan(0.99 * bound);
  });

  test('truncated normal numbers follow the distribution, tails too', async () => {
    const make = truncNormal({ low: -3, high: 2 });
    const values = [...(await make([100_000], { device: 'wasm' }).data())];
    expect(values.every((v) => v >= -3 && v <= 2)).toBe(true);
    // Phi at these places, over Phi(2) - Phi(-3).
    const total = 0.9772499 - 0.0013499;
    for (const [at, phi] of [
      [-2.5, 0.0062097],
      [-1, 0.1586553],
      [0, 0.5],
      [1.5, 0.9331928],
    ]) {
      const below = values.filter((v) => v < at).length / values.length;
      expect(Math.abs(below - (phi - 0.0013499) / total)).toBeLessThan(0.006);
    }
  });

  test.each([
    [24, 24],
    [10, 33],
    [33, 10],
    [6, 4, 3],
  ])('orthogonal [%s, %s, %s]', async (...sizes) => {
    const shape = sizes.filter((d) => typeof d === 'number');
    random.seed(8);
    const w = init.orthogonal({ gain: 2 })(shape, { device: 'wasm' }).reshape([shape[0], -1]);
    const [rows, columns] = w.shape as readonly number[];
    const gram = rows <= columns ? w.matmul(w.transpose()) : w.transpose().matmul(w);
    const found = (await gram.toArray()) as number[][];
    found.forEach((row, i) => {
      row.forEach((value, j) => {
        expect(value).toBeCloseTo(i === j ? 4 : 0, 4);
      });
    });
  });

  test('by name, constants, gains', async () => {
    const layer = new Linear(3, 3, { init: 'orthogonal', bias: true, biasInit: init.constant(7) });
    expect(await layer.bias?.value.toArray()).toEqual([7, 7, 7]);
    expect(await init.initialiser('ones')([2]).toArray()).toEqual([1, 1]);
    expect(() => init.initialiser('he' as never)).toThrow(/"he"; expected a function or one of/);
    expect(init.gain('leakyRelu', 1)).toBeCloseTo(1, 12);
    expect(() => init.gain('gelu' as never)).toThrow(/nonlinearity is "gelu"/);
    expect(() => kaimingNormal()([3])).toThrow(/the shape is \[3\]/);
    expect(() => truncNormal({ low: 2, high: 1 })).toThrow(/high is 1; expected more than low/);
  });
});
