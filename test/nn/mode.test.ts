import { describe, expect, test } from 'vitest';
import { BatchNorm1d, Dropout, Linear, Module, Sequential } from '../../src/nn/index.ts';
import { jit, ones, random, type Tensor, tensor, valueAndGrad } from '../../src/tensor/index.ts';

const wasm = { device: 'wasm' } as const;
const zerosIn = async (x: Tensor) => [...(await x.data())].filter((v) => v === 0).length;

describe('train and eval', () => {
  test('reach every module below', () => {
    const inner = new Dropout();
    const model = new Sequential(new Linear(2, 2, wasm), new Sequential(inner));
    expect([model.training, inner.training]).toEqual([true, true]);
    expect(model.eval()).toBe(model);
    expect([model.training, inner.training]).toEqual([false, false]);
    inner.train();
    expect([model.training, inner.training]).toEqual([false, true]);
  });

  test('a jitted step follows the mode in both directions', async () => {
    random.seed(1);
    const drop = new Dropout(0.5);
    const step = jit((x: Tensor) => drop.forward(x).mul(1));
    const x = ones([1000], wasm);
    const dropped = async () => zerosIn(await step(x));
    for (let i = 0; i < 2; i++) {
      drop.train();
      expect(Math.abs((await dropped()) - 500)).toBeLessThan(100);
      drop.eval();
      expect(await dropped()).toBe(0);
    }
    expect(step.traces).toBe(2);
  });

  test('a step that reads no mode is not traced again', async () => {
    const model = new Sequential(new Linear(3, 3, wasm), new Dropout(0));
    const step = jit((x: Tensor) => model.forward(x));
    await step(ones([1, 3], wasm));
    model.eval();
    await step(ones([1, 3], wasm));
    expect(step.traces).toBe(1);
  });

  test('gradients in a jitted step are those of its mode', async () => {
    random.seed(2);
    const model = new Sequential(new Linear(1, 200, { ...wasm, init: 'ones' }), new Dropout(0.5));
    const step = jit((x: Tensor) => valueAndGrad((m: Sequential) => m.forward(x).sum())(model));
    const gradient = async () =>
      (await step(ones([1, 1], wasm))).grads.get('0.weight') as unknown as Tensor;
    expect(new Set(await (await gradient()).data())).toEqual(new Set([0, 2]));
    model.eval();
    expect(new Set(await (await gradient()).data())).toEqual(new Set([1]));
    model.train();
    expect(new Set(await (await gradient()).data())).toEqual(new Set([0, 2]));
  });

  test('cannot be called inside a jitted step', async () => {
    const drop = new Dropout(0.5);
    const step = jit((x: Tensor) => drop.eval().forward(x));
    await expect(step(ones([2], wasm))).rejects.toThrow(/Dropout.training: set to false inside/);
  });

  test('batch statistics move in training alone', async () => {
    const norm = new BatchNorm1d(2, wasm);
    const x = tensor(
      [
        [1, 10],
        [3, 30],
      ],
      wasm,
    );
    const step = jit((y: Tensor) => norm.forward(y).mul(1));
    const running = async () => [
      ...(await (norm.running_mean as { value: Tensor }).value.data()),
      ...(await (norm.running_var as { value: Tensor }).value.data()),
    ];
    const close = (got: readonly number[], want: readonly number[]) =>
      got.forEach((v, i) => {
        expect(v).toBeCloseTo(want[i], 4);
      });
    close([...(await (await step(x)).data())], [-1, -1, 1, 1]);
    close(await running(), [0.2, 2, 0.9 + 0.1 * 2, 0.9 + 0.1 * 200]);
    norm.eval();
    const [a, b] = await (await step(x)).data();
    close([a, b], [(1 - 0.2) / Math.sqrt(1.1 + 1e-5), (10 - 2) / Math.sqrt(20.9 + 1e-5)]);
    close(await running(), [0.2, 2, 1.1, 20.9]);
    expect([...norm.parameters().keys()]).toEqual(['weight', 'bias']);
    expect([...norm.buffers().keys()]).toEqual(['running_mean', 'running_var']);
  });
});

describe('the state of a module', () => {
  class Two extends Module {
    readonly first = new Linear(2, 1, { ...wasm, bias: true });
    readonly second = new Linear(2, 1, wasm);
  }

  test('goes out by dotted names and into another one', async () => {
    const [from, to] = [new Two(), new Two()];
    const state = from.stateDict();
    expect([...state.keys()]).toEqual(['first.weight', 'first.bias', 'second.weight']);
    to.loadState(state);
    for (const value of state.values()) value.dispose();
    for (const [name, cell] of to.state()) {
      expect(await cell.value.toArray()).toEqual(await from.state().get(name)?.value.toArray());
    }
  });

  test('is refused by name, and then nothing is changed', async () => {
    const module = new Two();
    const before = await module.first.stateDict().get('weight')?.toArray();
    const weight = ones([1, 2], wasm);
    const full = { 'first.weight': weight, 'first.bias': ones([1], wasm), 'second.weight': weight };
    const load = (values: Record<string, Tensor>, strict = true) =>
      module.loadState(new Map(Object.entries(values)), { strict });
    expect(() => load({ 'first.weight': weight })).toThrow(/2 names are missing: first.bias/);
    expect(() => load({ ...full, other: weight })).toThrow(/1 names are of no cell: other/);
    expect(() => load({ ...full, 'second.weight': ones([2, 1], wasm) })).toThrow(
      /second.weight is f32\[2, 1\]; expected f32\[1, 2\]/,
    );
    expect(await module.first.stateDict().get('weight')?.toArray()).toEqual(before);
    load({ 'second.weight': weight, other: weight }, false);
    expect(await module.second.stateDict().get('weight')?.toArray()).toEqual([[1, 1]]);
  });
});
