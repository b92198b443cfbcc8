import { describe, expect, it } from 'vitest';
import { jit, random, tensor } from '../../src/tensor/index.ts';

const words = (...values: number[]) => values.map((v) => tensor(Uint32Array.of(v)));

async function encrypt(key: [number, number], counter: [number, number]): Promise<string[]> {
  const [k0, k1] = words(...key);
  const [c0, c1] = words(...counter);
  const result = random.threefry([k0, k1], [c0, c1]);
  const values = await Promise.all(result.map((t) => t.item()));
  return values.map((v) => v.toString(16).padStart(8, '0'));
}

describe('random places', () => {
  it('permutation has every number once, differently for each draw', async () => {
    random.seed(5);
    const [first, second] = [random.permutation(100), random.permutation(100)];
    const [a, b] = [[...(await first.data())], [...(await second.data())]];
    expect([...a].sort((x, y) => x - y)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(a).not.toEqual(b);
    expect(random.permutation(3, { dtype: 'f32' }).dtype).toBe('f32');
  });

  it('multinomial draws places about as often as they weigh', async () => {
    random.seed(6);
    const weights = tensor([
      [1, 0, 3, 0],
      [0, 2, 0, 0],
    ]);
    const draws = random.multinomial(weights, 4000, { replacement: true });
    expect(draws.shape).toEqual([2, 4000]);
    const data = await draws.data();
    const share = (row: number, place: number) =>
      data.subarray(row * 4000, (row + 1) * 4000).filter((v) => v === place).length / 4000;
    // Four standard deviations of a share of 4000 draws.
    expect(Math.abs(share(0, 2) - 0.75)).toBeLessThan(0.028);
    expect([share(0, 1), share(0, 3), share(1, 1)]).toEqual([0, 0, 1]);
  });

  it('multinomial without replacement draws distinct places, weightless ones last', async () => {
    random.seed(7);
    const rows = tensor([0, 1, 0, 5]).expand([500, 4]);
    const data = await random.multinomial(rows, 3).data();
    let heavyFirst = 0;
    for (let row = 0; row < 500; row++) {
      const drawn = [...data.subarray(row * 3, row * 3 + 3)];
      expect([...drawn.slice(0, 2)].sort()).toEqual([1, 3]);
      expect([0, 2]).toContain(drawn[2]);
      if (drawn[0] === 3) heavyFirst++;
    }
    // Four standard deviations.
    expect(Math.abs(heavyFirst / 500 - 5 / 6)).toBeLessThan(0.067);
    expect(() => random.multinomial(rows, 5)).toThrow(
      /count is 5; expected an integer from 1 to 4/,
    );
  });
});

describe('random', () => {
  it('threefry gives the known answers of its authors', async () => {
    const all = 0xffffffff;
    expect(await encrypt([0, 0], [0, 0])).toEqual(['6b200159', '99ba4efe']);
    expect(await encrypt([all, all], [all, all])).toEqual(['1cb996fc', 'bb002be7']);
    expect(await encrypt([0x13198a2e, 0x03707344], [0x243f6a88, 0x85a308d3])).toEqual([
      'c4923a9c',
      '483df7a0',
    ]);
  });

  it('the same seed gives the same numbers on every device, another seed others', async () => {
    const draw = async (seed: number, device: 'wasm' | 'interpret') => {
      random.seed(seed);
      return [...(await random.uniform([50], { device }).data())];
    };
    const first = await draw(3, 'wasm');
    expect(await draw(3, 'interpret')).toEqual(first);
    expect(await draw(4, 'wasm')).not.toEqual(first);
  });

  it('draws have the moments of their distributions', async () => {
    random.seed(11);
    const moments = async (t: ReturnType<typeof random.normal>) => {
      const data = [...(await t.data())];
      const mean = data.reduce((s, v) => s + v, 0) / data.length;
      return {
        mean,
        std: Math.sqrt(data.reduce((s, v) => s + (v - mean) ** 2, 0) / data.length),
        data,
      };
    };
    const normal = await moments(random.normal([20000], { mean: 1, std: 2 }));
    expect(normal.mean).toBeCloseTo(1, 1);
    expect(normal.std).toBeCloseTo(2, 1);
    const uniform = await moments(random.uniform([20000], { low: -1, high: 3 }));
    expect(uniform.mean).toBeCloseTo(1, 1);
    expect(Math.min(...uniform.data)).toBeGreaterThanOrEqual(-1);
    expect(Math.max(...uniform.data)).toBeLessThan(3);
    const dice = await moments(random.randint([6000], 1, 7));
    expect(new Set(dice.data)).toEqual(new Set([1, 2, 3, 4, 5, 6]));
    const coin = await moments(random.bernoulli([20000], 0.25).cast('f32'));
    expect(coin.mean).toBeCloseTo(0.25, 1);
  });

  it('refuses what is no seed, range or probability', () => {
    expect(() => random.seed(-1)).toThrow('seed is -1');
    expect(() => random.randint([1], 3, 3)).toThrow('bounds');
    expect(() => random.bernoulli([1], 2)).toThrow('probability is 2');
  });
});

it('a generator goes on where its state was taken, in jitted steps and outside', async () => {
  const generator = new random.Generator(7);
  const step = jit(() => random.uniform([4], { generator }));
  const draw = async () => [
    ...(await (await step()).data()),
    ...(await random.normal([3], { generator }).data()),
  ];
  await draw();
  const state = JSON.parse(JSON.stringify(await generator.state()));
  const expected = [await draw(), await draw()];
  generator.seed(99);
  await draw();
  generator.restore(state);
  expect([await draw(), await draw()]).toEqual(expected);
  // One that has run no step yet, as in a new process.
  const other = new random.Generator(0);
  other.restore(state);
  const own = jit(() => random.uniform([4], { generator: other }));
  const first = [...(await (await own()).data())];
  expect(first).toEqual(expected[0]?.slice(0, 4));
  expect(() => other.restore({ ...state, draws: -1 })).toThrow(
    'state.draws is -1; expected an integer',
  );
  step.dispose();
  own.dispose();
});
