import { describe, expect, test } from 'vitest';
import { device } from '../../src/device/index.ts';
import { AdamW, GradScaler, SGD } from '../../src/optim/index.ts';
import { jit, Parameter, type Tensor, tensor } from '../../src/tensor/index.ts';
import { DEVICE_NAMES } from '../support/device-names.ts';
import { describeWithFixtures, readJson } from '../support/fixtures.ts';

type Numbers = readonly (number | 'inf' | '-inf' | 'nan')[];

interface Run {
  readonly name: string;
  readonly options: Readonly<Record<string, number>>;
  readonly initial_parameter: Numbers;
  readonly optimizer: { readonly lr: number };
  readonly steps: readonly {
    readonly scale: number;
    readonly scaled_gradient: Numbers;
    readonly stepped: boolean;
    readonly next_scale: number;
    readonly growth_tracker: number;
    readonly parameter: Numbers;
  }[];
}

const NUMBERS = {
  inf: Number.POSITIVE_INFINITY,
  '-inf': Number.NEGATIVE_INFINITY,
  nan: Number.NaN,
};
const numbers = (list: Numbers) =>
  Float32Array.from(list.map((x) => (typeof x === 'string' ? NUMBERS[x] : x)));

describeWithFixtures('the loss scaler as torch has it', (folder) => {
  const { runs } = readJson<{ runs: readonly Run[] }>(folder, 'optim', 'grad_scaler.json');

  for (const name of DEVICE_NAMES) {
    for (const jitted of [true, false]) {
      test.each(runs)(`${name}, ${jitted ? 'in a jitted step' : 'eager'}: $name`, async (run) => {
        const on = { device: device(name) };
        const p = new Parameter(tensor(numbers(run.initial_parameter), on), 'p');
        const { options: o } = run;
        const scaler = new GradScaler({
          initScale: o['init_scale'] as number,
          growthFactor: o['growth_factor'] as number,
          backoffFactor: o['backoff_factor'] as number,
          growthInterval: o['growth_interval'] as number,
          ...on,
        });
        const optimizer = new SGD(new Map([['p', p]]), { lr: run.optimizer.lr });
        const plain = (scaled: Tensor) => {
          const { grads, finite } = scaler.unscale(new Map([['p', scaled]]));
          scaler.step(optimizer, grads, finite);
          return finite;
        };
        const step = jitted ? jit(plain) : async (g: Tensor) => plain(g);
        const value = async (key: string) => (await scaler.state().get(key)?.value.data())?.[0];
        for (const want of run.steps) {
          expect(await value('scale')).toBe(want.scale);
          const finite = await step(tensor(numbers(want.scaled_gradient), on));
          expect(Boolean(await finite.item())).toBe(want.stepped);
          expect(await value('scale')).toBe(want.next_scale);
          expect(await value('growth_tracker')).toBe(want.growth_tracker);
          expect([...(await p.value.data())]).toEqual([...numbers(want.parameter)]);
        }
      });
    }
  }
});

describe('the loss scaler', () => {
  test('leaves the state of the optimiser as it was when it skips', async () => {
    const p = new Parameter(tensor([1, 2]), 'p');
    const optimizer = new AdamW(new Map([['p', p]]));
    const scaler = new GradScaler({ initScale: 8 });
    const run = async (numbers: number[]) => {
      const { grads, finite } = scaler.unscale(new Map([['p', tensor(numbers)]]));
      scaler.step(optimizer, grads, finite);
      const cells = [p, ...optimizer.state().values()];
      return Promise.all(cells.map(async (cell) => [...(await cell.value.data())]));
    };
    const good = await run([8, 16]);
    expect(await run([Number.NaN, 8])).toEqual(good);
    expect(await run([8, 16])).not.toEqual(good);
    expect((await scaler.scale(tensor(3)).data())[0]).toBe(12);
  });

  test('refuses what cannot be', () => {
    expect(() => new GradScaler({ initScale: 0 })).toThrow('initScale is 0');
    expect(() => new GradScaler({ growthFactor: 0.5 })).toThrow('growthFactor is 0.5');
    expect(() => new GradScaler({ growthInterval: 1.5 })).toThrow('growthInterval is 1.5');
    expect(() => new GradScaler().unscale(new Map())).toThrow('at least one gradient');
  });
});
