import { describe, expect, test } from 'vitest';
import { MixtureOfExperts, type MixtureOfExpertsOptions } from '../../src/nn/index.ts';
import { type DeviceName, grad, jit, random, type Tensor, tensor } from '../../src/tensor/index.ts';
import { DEVICE_NAMES } from '../support/device-names.ts';
import { difference } from '../support/stored.ts';

const DEVICES: readonly DeviceName[] = DEVICE_NAMES;
const near = { rtol: 1e-4, atol: 1e-6 };

function mixture(options: Partial<MixtureOfExpertsOptions>, device: DeviceName) {
  random.seed(11);
  return new MixtureOfExperts(6, 8, { experts: 4, topK: 2, std: 0.5, device, ...options });
}

const input = (device: DeviceName) => {
  random.seed(3);
  return random.normal([2, 5, 6], { device });
};

/** Value and gradients of a loss that uses the output and what training adds. */
async function everything(moe: MixtureOfExperts, x: Tensor): Promise<Map<string, Tensor>> {
  const step = jit((y: Tensor) => {
    const { output, balanceLoss, zLoss, dropped } = moe.mixture(y);
    const [parameters, dx] = grad(([m, z]: [MixtureOfExperts, Tensor]) => {
      const r = m.mixture(z);
      return r.output.square().sum().add(r.balanceLoss.mul(0.3)).add(r.zLoss.mul(0.1));
    })([moe, y]) as unknown as [Map<string, Tensor>, Tensor];
    return new Map([...parameters, ...Object.entries({ dx, output, balanceLoss, zLoss, dropped })]);
  });
  return step(x);
}

describe.each(DEVICES)('a mixture of experts on %s', (device) => {
  test.each([{ topK: 1 }, { topK: 2 }, { topK: 2, normalise: false }])(
    'with room for all is the dense mixture, gradients too: %o',
    async (options) => {
      const x = input(device);
      const dense = await everything(mixture(options, device), x);
      const sorted = await everything(mixture({ ...options, capacityFactor: 4 }, device), x);
      for (const [name, want] of dense) {
        const got = await (sorted.get(name) as Tensor).data();
        expect([name, difference(got, await want.data(), near)]).toEqual([name, undefined]);
      }
      expect(await dense.get('dropped')?.item()).toBe(0);
    },
  );

  test('is the sum of the chosen experts by their weights', async () => {
    const moe = mixture({}, device);
    const rows = input(device).reshape([10, 6]);
    const { output, chosen, weights, probabilities, balanceLoss } = moe.mixture(rows);
    const [experts, shares, p] = [
      (await chosen.toArray()) as number[][],
      (await weights.toArray()) as number[][],
      (await probabilities.toArray()) as number[][],
    ];
    const outputs = await Promise.all(
      moe.experts.map(async (e) => (await e.forward(rows).toArray()) as number[][]),
    );
    const got = (await output.toArray()) as number[][];
    experts.forEach((list, t) => {
      const order = [0, 1, 2, 3].toSorted((a, b) => p[t][b] - p[t][a]);
      expect(list).toEqual(order.slice(0, 2));
      const total = p[t][order[0]] + p[t][order[1]];
      list.forEach((e, i) => {
        expect(shares[t][i]).toBeCloseTo(p[t][e] / total, 5);
      });
      got[t].forEach((value, d) => {
        const want = list.reduce((sum, e, i) => sum + shares[t][i] * outputs[e][t][d], 0);
        expect(value).toBeCloseTo(want, 4);
      });
    });
    const part = (e: number) => experts.flat().filter((x) => x === e).length / 10;
    const mean = (e: number) => p.reduce((sum, row) => sum + row[e], 0) / 10;
    const want = 4 * [0, 1, 2, 3].reduce((sum, e) => sum + part(e) * mean(e), 0);
    expect(await balanceLoss.item()).toBeCloseTo(want, 5);
  });

  test('drops what comes after an expert is full, second choices first', async () => {
    const moe = mixture({ topK: 2, capacityFactor: 0.5, normalise: false }, device);
    const rows = input(device).reshape([10, 6]);
    const { output, chosen, weights, dropped } = moe.mixture(rows);
    const experts = (await chosen.toArray()) as number[][];
    const shares = (await weights.toArray()) as number[][];
    const outputs = await Promise.all(
      moe.experts.map(async (e) => (await e.forward(rows).toArray()) as number[][]),
    );
    const room = [3, 3, 3, 3]; // ceil(0.5 * 10 * 2 / 4)
    const want = experts.map(() => [0, 0, 0, 0, 0, 0]);
    let lost = 0;
    for (const rank of [0, 1]) {
      experts.forEach((list, t) => {
        const e = list[rank];
        if (room[e]-- <= 0) lost++;
        else want[t] = want[t].map((v, d) => v + shares[t][rank] * outputs[e][t][d]);
      });
    }
    expect(lost).toBeGreaterThan(2);
    expect(await dropped.item()).toBeCloseTo(lost / 20, 6);
    const got = (await output.toArray()) as number[][];
    got.forEach((row, t) => {
      row.forEach((value, d) => {
        expect(value).toBeCloseTo(want[t][d], 4);
      });
    });
  });
});

test('errors of mixtures name the argument', () => {
  expect(() => mixture({ topK: 5 }, 'wasm')).toThrow(/topK is 5; expected at most the 4 experts/);
  expect(() => mixture({ capacityFactor: 0 }, 'wasm')).toThrow(/capacityFactor is 0/);
  expect(() => mixture({}, 'wasm').forward(tensor([1, 2]))).toThrow(/x is \[2\]/);
});
