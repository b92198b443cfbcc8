import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { LeNet5, LeNet1989, LeNet300100 } from '../../src/models/index.ts';
import { Conv2d, Flatten, Linear, MaxPool2d, Module } from '../../src/nn/index.ts';
import { SGD } from '../../src/optim/index.ts';
import { crossEntropy } from '../../src/tensor/functions/index.ts';
import { type DeviceName, jit, type Tensor, tensor, valueAndGrad } from '../../src/tensor/index.ts';
import { MACHINE_DEVICES } from '../support/device-names.ts';
import { describeWithFixtures, readJson, readSafetensors } from '../support/fixtures.ts';
import { ROOT } from '../support/source-tree.ts';
import { agrees, difference, type Stored } from '../support/stored.ts';

const DEVICES: readonly DeviceName[] = ['interpret', ...MACHINE_DEVICES];

interface Case {
  readonly name: string;
  readonly output: readonly number[][];
  readonly loss: number;
  readonly grads: Readonly<Record<string, { norm: number; first: readonly number[] }>>;
}

const { cases } = readJson<{ cases: Case[] }>(ROOT, join('test', 'fixtures', 'lenets.json'));
const MODELS = { LeNet1989, LeNet300100, LeNet5 };

/** The numbers of the fixtures: see "made" in lenets.json. */
function wave(size: number, k: number, scale: number): Float32Array {
  return Float32Array.from({ length: size }, (_, i) => Math.sin(1 + 0.37 * i + 0.5 * k) * scale);
}

const sizeOf = (shape: readonly unknown[]) => shape.reduce((n: number, d) => n * Number(d), 1);

describe('classic networks', () => {
  test.each(DEVICES.flatMap((device) => cases.map((c) => ({ device, ...c }))))(
    '$name as in torch, on $device',
    async ({ device, ...want }) => {
      const model = new MODELS[want.name as keyof typeof MODELS]({ device });
      const values = [...model.parameters()].map(([name, { shape }], k): [string, Tensor] => {
        const inputs = name.endsWith('weight') ? sizeOf(shape.slice(1)) : 25;
        const sizes = shape as readonly number[];
        const data = wave(sizeOf(shape), k, 1.5 / Math.sqrt(inputs));
        return [name, tensor(data, { shape: sizes, device })];
      });
      model.loadState(new Map(values));
      const side = want.name === 'LeNet1989' ? 16 : 28;
      const images = tensor(wave(2 * side * side, 0, 1), { shape: [2, 1, side, side], device });
      const labels = tensor(Int32Array.of(3, 8), { device });
      const step = jit((x: Tensor, y: Tensor) => ({
        output: model.forward(x),
        ...valueAndGrad((_: Module) => model.loss(x, y))(model),
      }));
      const { output, value, grads } = await step(images, labels);
      const near = { rtol: 2e-4, atol: 1e-5 };
      expect(difference(await output.data(), want.output.flat(), near)).toBeUndefined();
      expect(await value.item()).toBeCloseTo(want.loss, 5);
      expect([...grads.keys()]).toEqual(Object.keys(want.grads));
      for (const [name, { norm, first }] of Object.entries(want.grads)) {
        const got = await (grads.get(name) as Tensor).data();
        let squares = 0;
        for (const g of got) squares += g * g;
        const found = Math.sqrt(squares);
        expect([name, agrees(found, norm, { rtol: 2e-4, atol: 1e-6 })]).toEqual([name, true]);
        expect([name, difference(got.slice(0, 4), first, near)]).toEqual([name, undefined]);
      }
      step.dispose();
    },
  );

  test('have the parameters of the papers', () => {
    const counts = (model: Module) => {
      const layers = new Map<string, number>();
      for (const [name, { size }] of model.parameters()) {
        const layer = name.split('.')[0];
        layers.set(layer, (layers.get(layer) ?? 0) + size);
      }
      return [...layers.values()];
    };
    const first = new LeNet1989();
    expect(counts(first)).toEqual([1068, 2592, 5790, 310]);
    expect(first.parameterCount()).toBe(9760);
    expect(new LeNet300100().parameterCount()).toBe(266_610);
    expect(counts(new LeNet5())).toEqual([520, 25_050, 400_500, 5_010]);
  });
});

describe('the network of 1989', () => {
  test('begins within 2.4 / inputs, modernised within its root', async () => {
    const largest = async (model: LeNet1989) => {
      const data = await model.h3.parameters().get('weight')?.value.data();
      return Math.max(...Array.from(data ?? [], Math.abs));
    };
    expect(await largest(new LeNet1989())).toBeCloseTo(2.4 / 192, 3);
    const modern = new LeNet1989({ activation: 'relu' });
    expect(await largest(modern)).toBeCloseTo(2.4 / Math.sqrt(192), 2);
  });

  test('drops units in training alone, and gives scores with relu', async () => {
    const model = new LeNet1989({ activation: 'relu', dropout: 0.5 });
    const images = tensor(wave(256, 0, 1), { shape: [1, 1, 16, 16] });
    const scores = async () => [...(await model.forward(images).data())];
    expect(await scores()).not.toEqual(await scores());
    model.eval();
    expect(await scores()).toEqual(await scores());
    expect(() => new LeNet1989({ activation: 'gelu' as 'relu' })).toThrow('expected tanh or relu');
  });
});

/** The network of lenet.json. */
class Net extends Module {
  readonly conv1: Conv2d;
  readonly conv2: Conv2d;
  readonly fc1: Linear;
  readonly fc2: Linear;
  readonly fc3: Linear;
  readonly #pool = new MaxPool2d(2);
  readonly #flatten = new Flatten();

  constructor(device: DeviceName) {
    super();
    this.conv1 = new Conv2d(1, 6, 5, { padding: 2, device });
    this.conv2 = new Conv2d(6, 16, 5, { device });
    this.fc1 = new Linear(400, 120, { bias: true, device });
    this.fc2 = new Linear(120, 84, { bias: true, device });
    this.fc3 = new Linear(84, 10, { bias: true, device });
  }

  forward(x: Tensor): Tensor {
    const maps = this.#pool.forward(this.conv1.forward(x).relu());
    const rows = this.#flatten.forward(this.#pool.forward(this.conv2.forward(maps).relu()));
    return this.fc3.forward(this.fc2.forward(this.fc1.forward(rows).relu()).relu());
  }
}

describeWithFixtures('a conv net in training', (folder) => {
  const { losses, rtol, atol, optimizer } = readJson<{
    losses: number[];
    rtol: number;
    atol: number;
    optimizer: { lr: number; momentum: number; weight_decay: number };
  }>(folder, 'optim', 'lenet.json');
  const tensors = readSafetensors(folder, 'optim', 'lenet.safetensors');

  test.each(DEVICES)('goes the way of torch, on %s', async (device) => {
    const stored = (name: string) => tensors.get(name) as Stored;
    const load = (name: string) => {
      const { data, shape } = stored(name);
      return tensor(data, { shape, device });
    };
    const net = new Net(device);
    net.loadState(new Map([...net.state().keys()].map((name) => [name, load(`before/${name}`)])));
    const sgd = new SGD(net.parameters(), {
      lr: optimizer.lr,
      momentum: optimizer.momentum,
      weightDecay: optimizer.weight_decay,
    });
    const step = jit((x: Tensor, y: Tensor) => {
      const logits = net.forward(x);
      const { value, grads } = valueAndGrad((m: Net) => crossEntropy(m.forward(x), y))(net);
      sgd.update(grads);
      return { logits, value, grads };
    });
    const [x, target] = [load('x'), load('target')];
    const near = { rtol, atol };
    const seen: number[] = [];
    // The interpreter takes seconds a step.
    const steps = device === 'interpret' ? 2 : losses.length;
    for (let i = 0; i < steps; i++) {
      const { logits, value, grads } = await step(x, target);
      seen.push(await value.item());
      if (i > 0) continue;
      const wrong = [difference(await logits.data(), stored('logits').data, near)];
      for (const [name, parameter] of net.parameters()) {
        const grad = await (grads.get(name) as Tensor).data();
        wrong.push(difference(grad, stored(`grad/${name}`).data, near));
        wrong.push(difference(await parameter.value.data(), stored(`after/${name}`).data, near));
      }
      expect(wrong.filter((w) => w !== undefined)).toEqual([]);
    }
    expect(difference(seen, losses.slice(0, steps), near)).toBeUndefined();
    expect(step.traces).toBe(1);
    step.dispose();
  });
});
