import { expect, test } from 'vitest';
import {
  type ActivationName,
  GatedMLP,
  GRU,
  LayerNorm,
  Linear,
  LSTM,
  Module,
  MultiheadAttention,
  RMSNorm,
  RNN,
  TransformerEncoderLayer,
} from '../../src/nn/index.ts';
import { type DeviceName, grad, jit, type Tensor, tensor } from '../../src/tensor/index.ts';
import { MACHINE_DEVICES } from '../support/device-names.ts';
import { describeWithFixtures, readJson, readSafetensors } from '../support/fixtures.ts';
import { difference, type Stored } from '../support/stored.ts';

type Options = Readonly<Record<string, number | boolean | string>>;

interface Case {
  readonly name: string;
  readonly kind: string;
  readonly options: Options;
  readonly params: readonly string[];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly grads: readonly string[];
  readonly rtol: number;
  readonly atol: number;
}

/** A network, the outputs it gives for inputs by name, and where the fixture's parameters are in it. */
interface Subject {
  readonly module: Module;
  run(inputs: Readonly<Record<string, Tensor>>): Record<string, Tensor>;
  /** For each of the network's parameters the fixture's, joined along the first axis. */
  readonly sources: (name: string) => readonly string[];
}

/** x + attention(norm(x)), then x + mlp(norm(x)). */
class GptBlock extends Module {
  readonly ln1: LayerNorm;
  readonly attn: MultiheadAttention;
  readonly ln2: LayerNorm;
  readonly fc: Linear;
  readonly out: Linear;

  constructor(o: Options, device: DeviceName) {
    super();
    const [d, ff] = [Number(o.d), Number(o.ff)];
    this.ln1 = new LayerNorm(d, { device });
    this.attn = new MultiheadAttention(d, { heads: Number(o.heads), device });
    this.ln2 = new LayerNorm(d, { device });
    this.fc = new Linear(d, ff, { bias: true, device });
    this.out = new Linear(ff, d, { bias: true, device });
  }

  forward(x: Tensor): Tensor {
    const y = x.add(this.attn.forward(this.ln1.forward(x), { isCausal: true }));
    return y.add(this.out.forward(this.fc.forward(this.ln2.forward(y)).gelu('tanh')));
  }
}

class LlamaBlock extends Module {
  readonly norm1: RMSNorm;
  readonly attn: MultiheadAttention;
  readonly norm2: RMSNorm;
  readonly mlp: GatedMLP;

  constructor(o: Options, device: DeviceName) {
    super();
    const [d, eps] = [Number(o.d), Number(o.eps)];
    this.norm1 = new RMSNorm(d, { eps, device });
    this.attn = new MultiheadAttention(d, {
      heads: Number(o.heads),
      kvHeads: Number(o.kv_heads),
      headSize: Number(o.head_dim),
      bias: false,
      rope: { theta: Number(o.rope_theta) },
      device,
    });
    this.norm2 = new RMSNorm(d, { eps, device });
    this.mlp = new GatedMLP(d, Number(o.ff), { device });
  }

  forward(x: Tensor): Tensor {
    const y = x.add(this.attn.forward(this.norm1.forward(x), { isCausal: true }));
    return y.add(this.mlp.forward(this.norm2.forward(y)));
  }
}

const BLOCK_NAMES: Readonly<Record<string, readonly string[]>> = {
  'attn.in_proj_weight': ['qkv.weight'],
  'attn.in_proj_bias': ['qkv.bias'],
  'attn.out_proj.weight': ['proj.weight'],
  'attn.out_proj.bias': ['proj.bias'],
  'mlp.gate_proj.weight': ['gate.weight'],
  'mlp.up_proj.weight': ['up.weight'],
  'mlp.down_proj.weight': ['down.weight'],
};
const LLAMA_NAMES: Readonly<Record<string, readonly string[]>> = {
  ...BLOCK_NAMES,
  'attn.in_proj_weight': ['q.weight', 'k.weight', 'v.weight'],
  'attn.out_proj.weight': ['o.weight'],
};

function subjectOf({ kind, name, options: o }: Case, device: DeviceName): Subject {
  const [inputSize, hiddenSize] = [Number(o.input_size), Number(o.hidden_size)];
  const recurrent = {
    layers: Number(o.num_layers),
    bidirectional: Boolean(o.bidirectional),
    bias: Boolean(o.bias),
    batchFirst: Boolean(o.batch_first),
    device,
  };
  const same = (parameter: string) => [parameter];
  if (kind === 'LSTM') {
    const module = new LSTM(inputSize, hiddenSize, recurrent);
    return {
      module,
      sources: same,
      run: ({ x, h0, c0 }) => {
        const { output, h, c } = module.forward(x, { h: h0, c: c0 });
        return { y: output, h_n: h, c_n: c };
      },
    };
  }
  if (kind === 'GRU' || kind === 'RNN') {
    const nonlinearity = o.nonlinearity === 'relu' ? 'relu' : 'tanh';
    const module =
      kind === 'GRU'
        ? new GRU(inputSize, hiddenSize, recurrent)
        : new RNN(inputSize, hiddenSize, { ...recurrent, nonlinearity });
    return {
      module,
      sources: same,
      run: ({ x, h0 }) => {
        const { output, h } = module.forward(x, h0);
        return { y: output, h_n: h };
      },
    };
  }
  if (kind === 'TransformerEncoderLayer') {
    const module = new TransformerEncoderLayer(Number(o.d), {
      heads: Number(o.heads),
      hidden: Number(o.ff),
      activation: o.activation as ActivationName,
      normFirst: Boolean(o.norm_first),
      device,
    }).eval();
    return {
      module,
      sources: same,
      run: ({ x, padding }) => ({ y: module.forward(x, { padding }) }),
    };
  }
  const isGpt = name === 'gpt_block';
  const module = isGpt ? new GptBlock(o, device) : new LlamaBlock(o, device);
  const names = isGpt ? BLOCK_NAMES : LLAMA_NAMES;
  return {
    module,
    sources: (parameter) => names[parameter] ?? [parameter],
    run: ({ x }) => ({ y: module.forward(x) }),
  };
}

/** Fixtures joined along the first axis. */
function joined(parts: readonly Stored[]): Stored {
  const [first] = parts;
  const rows = parts.reduce((n, p) => n + p.shape[0], 0);
  const data = Float32Array.from(parts.flatMap((p) => [...p.data]));
  return { type: first.type, shape: [rows, ...first.shape.slice(1)], data };
}

describeWithFixtures('layers', (folder) => {
  const { layers } = readJson<{ layers: Case[] }>(folder, 'optim', 'layers.json');
  const tensors = readSafetensors(folder, 'optim', 'layers.safetensors');

  test.each(
    (['interpret', ...MACHINE_DEVICES] as const).flatMap((device) =>
      layers.map((layer) => ({ device, layer, name: layer.name })),
    ),
  )('$name on $device', async ({ device, layer }) => {
    const stored = (...path: string[]): Stored => {
      const found = tensors.get([layer.name, ...path].join('/'));
      if (!found) throw new TypeError(`no ${layer.name}/${path.join('/')}`);
      return found;
    };
    const load = ({ type, shape, data }: Stored) =>
      tensor(data, { shape, device, dtype: type === 'BOOL' ? 'bool' : 'f32' });
    const { module, run, sources } = subjectOf(layer, device);
    const parametersOf = (kind: string[], name: string) =>
      joined(sources(name).map((source) => stored(...kind, source)));
    const names = [...module.parameters().keys()];
    module.loadState(new Map(names.map((name) => [name, load(parametersOf(['param'], name))])));
    expect(names.flatMap(sources).toSorted()).toEqual([...layer.params].toSorted());

    const differentiated = layer.inputs.filter((name) => layer.grads.includes(`input/${name}`));
    const others = layer.inputs.filter((name) => !differentiated.includes(name));
    const given = (list: readonly string[]) =>
      Object.fromEntries(list.map((name) => [name, load(stored('input', name))]));
    const fixed = given(others);
    const upstream = Object.fromEntries(
      layer.outputs.map((name) => [name, load(stored('upstream', name))]),
    );
    const step = jit((inputs: Record<string, Tensor>) => {
      const outputs = run({ ...inputs, ...fixed });
      const grads = grad(([, x]: [Module, Record<string, Tensor>]) =>
        Object.entries(run({ ...x, ...fixed }))
          .map(([name, y]) => y.mul(upstream[name]).sum())
          .reduce((sum, part) => sum.add(part)),
      )([module, inputs]) as unknown as [Map<string, Tensor>, Record<string, Tensor>];
      return { outputs, grads };
    });
    const { outputs, grads } = await step(given(differentiated));
    const wrong: string[] = [];
    const check = async (what: string, got: Tensor, want: Stored) => {
      const found = difference(await got.data(), want.data, layer);
      if (found) wrong.push(`${what}: ${found}`);
    };
    for (const name of layer.outputs) await check(name, outputs[name], stored('output', name));
    for (const name of names) {
      await check(name, grads[0].get(name) as Tensor, parametersOf(['grad', 'param'], name));
    }
    for (const name of differentiated) {
      await check(name, grads[1][name], stored('grad', 'input', name));
    }
    expect(wrong).toEqual([]);
    step.dispose();
  });
});
