import { describe, expect, test } from 'vitest';
import { device } from '../../src/device/index.ts';
import { makeOptimizer, type Optimizer, type OptimizerSpec } from '../../src/optim/index.ts';
import { jit, Parameter, type Tensor, tensor } from '../../src/tensor/index.ts';
import { DEVICE_NAMES } from '../support/device-names.ts';
import { describeWithFixtures, readJson, readSafetensors } from '../support/fixtures.ts';
import { difference, type Stored } from '../support/stored.ts';

interface Run {
  readonly name: string;
  readonly optimizer: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly groups?: readonly Readonly<Record<string, unknown>>[];
  readonly steps: number;
  readonly parameters: readonly string[];
  readonly state: readonly string[];
  readonly lr?: readonly (readonly [number])[];
  readonly atol: number;
  readonly rtol: number;
}

/** torch's option names in ours. */
const camelCase = (options: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(
    Object.entries(options).map(([name, value]) => {
      return [name.replaceAll(/_([a-z])/g, (_, letter) => letter.toUpperCase()), value];
    }),
  );

function rows({ data, shape }: Stored): Float32Array[] {
  const [count = 1, ...rest] = shape;
  const size = rest.reduce((a, b) => a * b, 1);
  const numbers = data as Float32Array;
  return Array.from({ length: count }, (_, i) => numbers.slice(i * size, (i + 1) * size));
}

/** Torch counts steps and products for each parameter, ours for each group. */
function stateOf(optimizer: Optimizer, parameter: string, key: string) {
  const state = optimizer.state();
  return state.get(`${parameter}.${key}`) ?? state.get(`groups.0.${key}`) ?? state.get(key);
}

describeWithFixtures('optimisers as torch has them', (folder) => {
  const { runs, count } = readJson<{ runs: readonly Run[]; count: number }>(
    folder,
    'optim',
    'trajectories.json',
  );
  const tensors = readSafetensors(folder, 'optim', 'trajectories.safetensors');
  const stored = (name: string) => tensors.get(name) as Stored;

  test('all runs are there', () => expect(runs.length).toBe(count));

  for (const name of DEVICE_NAMES) {
    describe(name, () => {
      for (const run of runs) {
        test(run.name, async () => {
          const on = { device: device(name) };
          const shapeOf = (p: string) => stored(`${run.name}/params/${p}`).shape.slice(1);
          const wanted = new Map(
            run.parameters.map((p) => [p, rows(stored(`${run.name}/params/${p}`))]),
          );
          const gradients = new Map(
            run.parameters.map((p) => [p, rows(stored(`${run.name}/grads/${p}`))]),
          );
          const make = (p: string, data: Float32Array) =>
            tensor(data, { shape: shapeOf(p), ...on });
          const parameters = new Map(
            [...wanted].map(([p, values]) => [
              p,
              new Parameter(make(p, values[0] as Float32Array), p),
            ]),
          );
          const optimizer = makeOptimizer(
            {
              name: run.optimizer,
              ...camelCase(run.options),
              groups: (run.groups ?? []).map(camelCase),
            } as OptimizerSpec,
            parameters,
          );
          const step = jit((grads: Record<string, Tensor>) => {
            optimizer.update(new Map(Object.entries(grads)));
          });
          for (let t = 0; t < run.steps; t++) {
            const rate = run.lr?.[t]?.[0];
            if (rate !== undefined) optimizer.setLearningRate(rate);
            const given = [...gradients].map(([p, g]) => [p, make(p, g[t] as Float32Array)]);
            await step(Object.fromEntries(given));
            for (const [p, parameter] of parameters) {
              const got = (await parameter.value.data()) as Float32Array;
              const want = wanted.get(p)?.[t + 1] as Float32Array;
              expect(difference(got, want, run), `${p} after step ${t + 1}`).toBeUndefined();
            }
          }
          expect(step.traces).toBe(1);
          for (const entry of run.state) {
            const [p, key] = entry.split('/') as [string, string];
            const cell = stateOf(optimizer, p, key);
            if (key === 'step' && !cell) continue;
            const got = (await cell?.value.data()) as Float32Array;
            const want = stored(`${run.name}/state/${entry}`).data;
            expect(difference(got, want, run), entry).toBeUndefined();
          }
          step.dispose();
          optimizer.dispose();
          for (const p of parameters.values()) p.dispose();
        });
      }
    });
  }
});
