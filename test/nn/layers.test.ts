import { describe, expect, test } from 'vitest';
import * as nn from '../../src/nn/index.ts';
import * as F from '../../src/tensor/functions/index.ts';
import { type DeviceName, jit, ones, random, type Tensor, tensor } from '../../src/tensor/index.ts';
import { MACHINE_DEVICES } from '../support/device-names.ts';

const DEVICES: readonly DeviceName[] = ['interpret', ...MACHINE_DEVICES];

/** Both compute the same, to the last bit. */
async function same(got: Tensor, want: Tensor): Promise<void> {
  expect(got.shape).toEqual(want.shape);
  expect(await got.data()).toEqual(await want.data());
}

describe.each(DEVICES)('layers on %s', (device) => {
  random.seed(5);
  const images = random.normal([2, 6, 5, 7], { device });
  const signals = random.normal([2, 6, 9], { device });
  const vary = { device, init: 'normal', biasInit: 'normal' } as const;
  /** Scales and shifts that are not 1 and 0. */
  const stirred = <T extends nn.Module>(module: T): T => {
    for (const p of module.parameters().values()) p.set(random.normal(p.shape, { device }));
    return module;
  };

  test('normalisations are their functions', async () => {
    const layer = stirred(new nn.LayerNorm([5, 7], { device, eps: 1e-3 }));
    const { weight, bias } = Object.fromEntries(layer.stateDict());
    await same(layer.forward(images), F.layerNorm(images, { axes: 2, weight, bias, eps: 1e-3 }));

    const group = stirred(new nn.GroupNorm(3, 6, { device }));
    const g = Object.fromEntries(group.stateDict());
    const options = { weight: g.weight, bias: g.bias };
    await same(group.forward(images), F.groupNorm(images, 3, options));
    await same(group.forward(signals), F.groupNorm(signals, 3, options));

    const batch = stirred(new nn.BatchNorm2d(6, { device, momentum: 0.3, eps: 1e-4 }));
    const b = Object.fromEntries(batch.stateDict());
    const past = { mean: b.running_mean, variance: b.running_var };
    const want = F.batchNorm(images, past, {
      weight: b.weight,
      bias: b.bias,
      momentum: 0.3,
      eps: 1e-4,
    });
    await same(batch.forward(images), want.output);
    await same(batch.stateDict().get('running_mean') as Tensor, want.running.mean);
    await same(batch.stateDict().get('running_var') as Tensor, want.running.variance);
  });

  test('without learned values or running statistics', async () => {
    const layer = new nn.LayerNorm(7, { device, affine: false });
    expect(layer.parameterCount()).toBe(0);
    await same(layer.forward(images), F.layerNorm(images));
    const { weight, bias } = new nn.LayerNorm(7, { device, bias: false });
    expect([weight?.shape, bias]).toEqual([[7], undefined]);
    const batch = new nn.BatchNorm1d(6, { device, affine: false, trackRunningStats: false }).eval();
    const none = { mean: ones([6], { device }), variance: ones([6], { device }) };
    await same(batch.forward(signals), F.batchNorm(signals, none).output);
    expect(batch.state().size).toBe(0);
  });

  test('convolutions are their functions', async () => {
    const options = { stride: 2, padding: [1, 2], dilation: [1, 2], groups: 2 } as const;
    const conv = new nn.Conv2d(6, 4, [3, 2], { ...vary, ...options });
    const c = Object.fromEntries(conv.stateDict());
    expect(c.weight.shape).toEqual([4, 3, 3, 2]);
    await same(conv.forward(images), F.conv2d(images, c.weight, { ...options, bias: c.bias }));
    const line = new nn.Conv1d(6, 4, 3, { ...vary, padding: 'same', bias: false });
    expect([...line.parameters().keys()]).toEqual(['weight']);
    const weight = line.weight.value;
    await same(line.forward(signals), F.conv1d(signals, weight, { padding: 'same' }));
    expect(() => new nn.Conv2d(6, 4, 3, { groups: 4 })).toThrow(/groups is 4; expected a divisor/);
    expect(() => new nn.Conv1d(6, 0, 3)).toThrow(/Conv1d: outChannels is 0/);
  });

  test('pools are their functions', async () => {
    const options = { stride: 1, padding: 1 };
    await same(new nn.MaxPool2d(2, options).forward(images), F.maxPool2d(images, 2, options));
    await same(new nn.AvgPool2d([2, 3]).forward(images), F.avgPool2d(images, [2, 3]));
    await same(new nn.MaxPool1d(3).forward(signals), F.maxPool1d(signals, 3));
    await same(new nn.AvgPool1d(3).forward(signals), F.avgPool1d(signals, 3));
    await same(new nn.AdaptiveAvgPool2d(2).forward(images), F.adaptiveAvgPool2d(images, 2));
    await same(new nn.AdaptiveAvgPool1d(4).forward(signals), F.adaptiveAvgPool1d(signals, 4));
  });

  test('activations are their functions', async () => {
    const x = random.normal([40], { device, std: 3 });
    const pairs: [nn.Layer, Tensor][] = [
      [new nn.ReLU(), x.relu()],
      [new nn.ReLU6(), F.relu6(x)],
      [new nn.ReLUSquared(), F.reluSquared(x)],
      [new nn.GELU(), x.gelu()],
      [new nn.GELU({ approximate: 'tanh' }), x.gelu('tanh')],
      [new nn.SiLU(), x.silu()],
      [new nn.Tanh(), x.tanh()],
      [new nn.Sigmoid(), x.sigmoid()],
      [new nn.LogSigmoid(), F.logSigmoid(x)],
      [new nn.Softplus(), F.softplus(x)],
      [new nn.Mish(), F.mish(x)],
      [new nn.Hardswish(), F.hardswish(x)],
      [new nn.SELU(), F.selu(x)],
      [new nn.ELU({ alpha: 0.5 }), F.elu(x, { alpha: 0.5 })],
      [new nn.LeakyReLU({ negativeSlope: 0.2 }), F.leakyRelu(x, { negativeSlope: 0.2 })],
      [new nn.Softmax(), x.softmax()],
    ];
    for (const [layer, want] of pairs) await same(layer.forward(x), want);
    await same(nn.activation('quick_gelu')(x), x.mul(x.mul(1.702).sigmoid()));
    expect(() => nn.activation('gellu' as never)).toThrow(/the name is "gellu"; expected one of/);
  });

  test('containers name their modules by place', async () => {
    const model = new nn.Sequential(
      new nn.Residual(new nn.Sequential(new nn.Linear(4, 4, { device }), new nn.ReLU())),
      new nn.Identity(),
      new nn.Flatten(),
      new nn.Linear(12, 2, { device, bias: true }),
    );
    expect([...model.parameters().keys()]).toEqual(['0.body.0.weight', '3.weight', '3.bias']);
    const x = random.normal([2, 3, 4], { device });
    const { '0.body.0.weight': w, '3.weight': v } = Object.fromEntries(model.stateDict());
    const want = x
      .add(x.linear(w).relu())
      .reshape([2, 12])
      .linear(v, ones([2], { device }).mul(0));
    await same(
      await jit((y: Tensor) => model.forward(y))(x),
      await jit((y: Tensor) => y.mul(1))(want),
    );
    const widened = new nn.Residual(
      new nn.Linear(4, 6, { device }),
      new nn.Linear(4, 6, { device }),
    );
    expect(widened.forward(x).shape).toEqual([2, 3, 6]);
  });

  test('gated layers take their activation', async () => {
    const x = random.normal([3, 4], { device });
    for (const name of ['silu', 'gelu', 'relu', 'linear'] as const) {
      const mlp = new nn.GatedMLP(4, 6, { device, std: 0.5, activation: name });
      const { gate_proj, up_proj, down_proj } = mlp;
      const gate = nn.activation(name)(gate_proj.forward(x));
      await same(mlp.forward(x), down_proj.forward(gate.mul(up_proj.forward(x))));
    }
    const plain = new nn.MLP(4, 6, { device, std: 0.5 });
    await same(plain.forward(x), plain.down_proj.forward(plain.up_proj.forward(x).gelu()));
  });

  test('dropout draws from its generator', async () => {
    const x = ones([500], { device });
    const drop = () => new nn.Dropout(0.3, { generator: new random.Generator(9) }).forward(x);
    await same(drop(), drop());
    const kept = [...(await drop().data())].filter((v) => v !== 0);
    expect(kept.every((v) => Math.abs(v - 1 / 0.7) < 1e-6)).toBe(true);
    expect(Math.abs(kept.length - 350)).toBeLessThan(60);
    expect(() => new nn.Dropout(1.5)).toThrow(/p is 1.5/);
  });
});

describe('errors of layers', () => {
  test('name the argument', () => {
    const x = tensor([[1, 2, 3]]);
    expect(() => new nn.BatchNorm2d(3).forward(x)).toThrow(/BatchNorm2d: x is \[1, 3\].*4 axes/);
    expect(() => new nn.BatchNorm1d(4).forward(x)).toThrow(/expected \[n, 4, ...\]/);
    expect(() => new nn.GroupNorm(4, 6)).toThrow(/groups is 4; expected a divisor of 6/);
    expect(() => new nn.Linear(2, 2, { init: 'xavier' as never })).toThrow(/the name is "xavier"/);
  });
});
