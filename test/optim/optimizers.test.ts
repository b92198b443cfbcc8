import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileProgram } from '../../src/compile/index.ts';
import {
  CombinedOptimizer,
  Lion,
  Muon,
  makeOptimizer,
  OPTIMIZER_NAMES,
  type OptimizerSpec,
  SGD,
} from '../../src/optim/index.ts';
import { jit, Parameter, type Tensor, tensor } from '../../src/tensor/index.ts';
import { cutAtMemory } from '../../src/tensor/realize.ts';

const parameter = (name: string, data: number[] | number[][]) => new Parameter(tensor(data), name);

/** A model's worth of parameters: a matrix, a vector, a scalar. */
const model = () =>
  new Map([
    [
      'layer.weight',
      parameter('layer.weight', [
        [1, -2, 3],
        [4, 5, -6],
      ]),
    ], //
    ['layer.bias', parameter('layer.bias', [0.5, -0.5])],
    [
      'embed.weight',
      parameter('embed.weight', [
        [1, 2],
        [3, 4],
      ]),
    ], //
  ]);

const gradients = (parameters: ReadonlyMap<string, Parameter>, value = 0.5) =>
  new Map([...parameters].map(([name, p]) => [name, p.value.mul(0).add(value)]));

const values = async (parameters: ReadonlyMap<string, Parameter>) =>
  Object.fromEntries(
    await Promise.all(
      [...parameters].map(async ([name, p]) => [name, [...(await p.value.data())]] as const),
    ),
  );

describe('Lion', () => {
  test('is algorithm 2 of its paper', async () => {
    const number = fc.integer({ min: -128, max: 128 }).map((n) => n / 64);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(number, fc.array(number, { minLength: 4, maxLength: 4 })), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.constantFrom(0, 0.1),
        async (start, weightDecay) => {
          const [lr, beta1, beta2] = [0.03, 0.9, 0.99];
          const p = parameter(
            'p',
            start.map(([x]) => x),
          );
          const lion = new Lion(new Map([['p', p]]), { lr, betas: [beta1, beta2], weightDecay });
          const theta = start.map(([x]) => x);
          const m = theta.map(() => 0);
          for (let t = 0; t < 4; t++) {
            const g = start.map(([, gs]) => Math.fround(gs[t] as number));
            lion.update(new Map([['p', tensor(g)]]));
            theta.forEach((x, i) => {
              const [mi, gi] = [m[i] as number, g[i] as number];
              const c = beta1 * mi + (1 - beta1) * gi;
              // The sign of a sum that cancels is a matter of rounding.
              fc.pre(c === 0 || Math.abs(c) >= 1e-5 * (Math.abs(mi) + Math.abs(gi)));
              theta[i] = x - lr * (Math.sign(c) + weightDecay * x);
              m[i] = beta2 * mi + (1 - beta2) * gi;
            });
          }
          const got = await p.value.data();
          theta.forEach((x, i) => {
            expect(got[i]).toBeCloseTo(x, 5);
          });
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe('an optimiser', () => {
  const pointwise = OPTIMIZER_NAMES.filter((name) => !['adafactor', 'muon'].includes(name));

  test.each(pointwise)('%s updates the whole of a parameter by one kernel', async (name) => {
    const parameters = new Map(
      ['a', 'b'].map((key, i) => {
        const data = new Float32Array(4096 + 64 * i).fill(1);
        return [key, new Parameter(tensor(data, { device: 'wasm' }), key)];
      }),
    );
    const optimizer = makeOptimizer({ name, weightDecay: 0.1 }, parameters);
    const cells = [...parameters.values(), ...optimizer.state().values()];
    const grads = new Map<string, Tensor>();
    for (const [key, p] of parameters) grads.set(key, await p.value.mul(2).realize());
    for (const cell of cells) await cell.held.realize();
    optimizer.update(grads);
    const { outputs, inputs } = cutAtMemory(cells.map((cell) => cell.held.node));
    const program = compileProgram(outputs, inputs);
    // What all parameters share (counts, rates) has kernels of one element, said by their names.
    const kernels = program.steps.filter(({ label }) => !label.endsWith('_1')).length;
    // Lion's new moment and its step both need the old one, and neither the other.
    expect(kernels).toBe(name === 'lion' ? 4 : 2);
  });

  test.each(OPTIMIZER_NAMES)('%s goes down a hill, and up one with maximize', async (name) => {
    for (const maximize of [false, true]) {
      const parameters = new Map([
        [
          'w',
          parameter('w', [
            [1, -1],
            [2, 0.5],
          ]),
        ],
      ]); //
      const sign = maximize ? -1 : 1;
      const optimizer = makeOptimizer({ name, lr: 0.05, maximize }, parameters);
      const w = parameters.get('w') as Parameter;
      const height = async () => await w.value.mul(w.value).sum().item();
      const step = jit(() => {
        optimizer.update(new Map([['w', w.value.mul(2 * sign)]]));
      });
      const before = await height();
      for (let t = 0; t < 10; t++) await step();
      expect(await height()).toBeLessThan(before);
      expect(step.traces).toBe(1);
    }
  });

  test('keeps the rates of groups in their ratio, and leaves alone what is not trained', async () => {
    const parameters = model();
    (parameters.get('embed.weight') as Parameter).trainable = false;
    const optimizer = new SGD(parameters, {
      lr: 0.1,
      groups: [{ parameters: ['*.bias'], lr: 0.2 }],
    });
    expect([...optimizer.parameters().keys()]).toEqual(['layer.bias', 'layer.weight']);
    optimizer.setLearningRate(1);
    optimizer.update(gradients(parameters, 1));
    expect(await values(parameters)).toEqual({
      'layer.weight': [0, -3, 2, 3, 4, -7],
      'layer.bias': [-1.5, -2.5],
      'embed.weight': [1, 2, 3, 4],
    });
  });

  test('lets matrices alone decay', async () => {
    const parameters = model();
    const optimizer = makeOptimizer(
      { name: 'adamw', lr: 0.5, weightDecay: 0.5, decays: 'matrices' },
      parameters,
    );
    optimizer.update(gradients(parameters, 0));
    const { 'layer.bias': bias, 'embed.weight': embed } = await values(parameters);
    expect(bias).toEqual([0.5, -0.5]);
    expect(embed).toEqual([0.75, 1.5, 2.25, 3]);
  });

  test('takes a new momentum without a new trace, where it has one', async () => {
    const parameters = new Map([['p', parameter('p', [0])]]);
    const optimizer = new SGD(parameters, { lr: 1, momentum: 0.5 });
    const step = jit((g: Tensor) => optimizer.update(new Map([['p', g]])));
    await step(tensor([1]));
    optimizer.setMomentum(0.25);
    await step(tensor([0]));
    expect(await values(parameters)).toEqual({ p: [-1.25] });
    expect(step.traces).toBe(1);
    expect(() => new SGD(model()).setMomentum(0.5)).toThrow('SGD: momentum is set, but');
  });
});

describe('makeOptimizer', () => {
  test('gives matrices to one optimiser and the rest to another', async () => {
    const parameters = model();
    const optimizer = makeOptimizer(
      {
        name: 'muon',
        lr: 0.1,
        rest: { name: 'sgd', lr: 0.2 },
        restParameters: ['embed*'],
      },
      parameters,
    );
    expect(optimizer).toBeInstanceOf(CombinedOptimizer);
    expect([...optimizer.parameters().keys()].sort()).toEqual([...parameters.keys()].sort());
    expect([...optimizer.state().keys()]).toEqual(['layer.weight.momentum_buffer']);
    optimizer.setLearningRate(0.5);
    optimizer.update(gradients(parameters, 1));
    expect((await values(parameters))['embed.weight']).toEqual([0, 1, 2, 3]);
    expect(() => new Muon(parameters)).toThrow("makeOptimizer's rest");
  });

  test.each([
    [{ name: 'adamm' }, 'optimizer: unknown name "adamm" (did you mean "adam"?)'],
    [
      { name: 'adamw', weight_decy: 1 },
      'unknown option "weight_decy" (did you mean "weightDecay"?)',
    ],
    [{ name: 'adamw', frobnicate: 1 }, 'unknown option "frobnicate"; expected one of lr, betas'],
    [{ name: 'adamw', betas: [0.9] }, 'AdamW: betas is [0.9]; expected 2 numbers'],
    [{ name: 'adamw', betas: [0.9, 1] }, 'AdamW: betas[1] is 1; expected a number from 0'],
    [{ name: 'adamw', lr: '1' }, 'AdamW: lr is "1"; expected a number'],
    [{ name: 'adamw', lr: -1 }, 'AdamW: lr is -1; expected a number >= 0'],
    [{ name: 'adamw', decays: 'some' }, "AdamW: decays is \"some\"; expected 'all', 'matrices'"],
    [{ name: 'sgd', nesterov: true }, 'SGD: nesterov is true; expected a momentum above 0'],
    [{ name: 'sgd', groups: [{ parameters: ['x*'] }] }, 'groups[0].parameters is ["x*"]; expected'],
    [{ name: 'sgd', groups: {} }, 'SGD: groups is Object; expected a list'],
    [
      { name: 'sgd', groups: [{ parameters: ['*'], Lr: 1 }] },
      'unknown option "Lr" (did you mean "lr"',
    ],
    [{ name: 'muon', rest: { name: 'sgd', lr: 1 } }, 'optimizer muon: lr is undefined'],
    [{ name: 'muon', adjustLrFn: 'x' }, 'adjustLrFn is "x"; expected original or match_rms_adamw'],
  ])('refuses %j', (spec, message) => {
    expect(() => makeOptimizer(spec as OptimizerSpec, model())).toThrow(message);
  });

  test('names the gradient that is missing', () => {
    const optimizer = makeOptimizer({ name: 'adam' }, model());
    expect(() => optimizer.update(new Map())).toThrow(
      'Adam: the gradient of layer.weight is missing',
    );
  });
});
