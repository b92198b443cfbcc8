import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { folderSource } from '../../src/io/files.ts';
import { decodeSafetensors, encodeSafetensors, openCheckpoint } from '../../src/io/index.ts';
import {
  type CausalLM,
  Gpt2,
  gptConfig,
  loadModel,
  matricesOf,
  replaceWeight,
  saveModel,
} from '../../src/models/index.ts';
import { addLora, PackedWeight, removeLora } from '../../src/nn/index.ts';
import { random, type Tensor, tensor } from '../../src/tensor/index.ts';
import { logitsOf } from '../support/greedy.ts';
import { filled, MODEL_SAMPLES, sampleLlama } from '../support/model-samples.ts';

let home = '';
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'tersor-save-'));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));
const newFolder = () => join(mkdtempSync(join(home, 'to-')), 'model');

const IDS = [3, 17, 39, 0, 8, 8, 21];

async function valuesOf(model: CausalLM) {
  const entries = [...model.state()].map(async ([name, { held }]) => [name, await held.data()]);
  return new Map((await Promise.all(entries)) as [string, ArrayLike<number>][]);
}

describe('saved and loaded again', () => {
  test.each(MODEL_SAMPLES)('%s: the same bits', async (_, make) => {
    const model = make();
    const folder = newFolder();
    await saveModel(folder, { model });
    const { model: back } = await loadModel(folder);
    expect(back.config).toEqual(model.config);
    expect(back.type).toBe(model.type);
    expect(await valuesOf(back)).toEqual(await valuesOf(model));
    expect(await logitsOf(back, IDS)).toEqual(await logitsOf(model, IDS));
  });

  test('in shards, and whole again in the same folder', async () => {
    const model = sampleLlama();
    const folder = newFolder();
    await saveModel(folder, { model, maxShardBytes: 50_000 });
    const shards = readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
    expect(shards.length).toBeGreaterThan(3);
    expect(shards).toContain(`model-00001-of-0000${shards.length}.safetensors`);
    const index = JSON.parse(readFileSync(join(folder, 'model.safetensors.index.json'), 'utf8'));
    expect(index.metadata).toEqual({
      total_parameters: model.parameterCount(),
      total_size: 4 * model.parameterCount(),
    });
    expect(Object.keys(index.weight_map).sort()).toEqual([...model.parameters().keys()].sort());
    const { model: back } = await loadModel(folder);
    expect(await valuesOf(back)).toEqual(await valuesOf(model));
    await saveModel(folder, { model });
    expect(readdirSync(folder).filter((name) => name.startsWith('model'))).toEqual([
      'model.safetensors',
    ]);
    expect(await valuesOf((await loadModel(folder)).model)).toEqual(await valuesOf(model));
  });

  test.each(['bf16', 'f16'] as const)('in %s: rounded once', async (dtype) => {
    const model = sampleLlama();
    const folder = newFolder();
    await saveModel(folder, { model, dtype });
    const checkpoint = await openCheckpoint(folderSource(folder));
    expect(new Set([...checkpoint.entries.values()].map((e) => e.dtype))).toEqual(new Set([dtype]));
    await checkpoint.close();
    const { model: back } = await loadModel(folder);
    for (const [name, parameter] of model.parameters()) {
      const rounded = parameter.value.cast(dtype).cast('f32');
      const got = back.parameters().get(name);
      expect(await got?.held.data()).toEqual(await rounded.data());
    }
    const again = newFolder();
    await saveModel(again, { model: back, dtype });
    const bytes = (path: string) => readFileSync(join(path, 'model.safetensors'));
    expect(bytes(again).equals(bytes(folder))).toBe(true);
  });

  test.each(['llama', 'gpt2'])(
    '%s in 16 bits in memory: the bits of widened weights',
    async (name) => {
      const [, make] = MODEL_SAMPLES.find(([sample]) => sample === name) ?? [];
      const folder = newFolder();
      await saveModel(folder, { model: (make as () => CausalLM)(), dtype: 'bf16' });
      const { model: wide } = await loadModel(folder);
      const { model: narrow } = await loadModel(folder, { dtype: 'bf16' });
      expect(new Set([...narrow.state().values()].map(({ dtype }) => dtype))).toEqual(
        new Set(['bf16']),
      );
      expect(await logitsOf(narrow, IDS)).toEqual(await logitsOf(wide, IDS));
      const again = newFolder();
      await saveModel(again, { model: narrow });
      expect(await valuesOf((await loadModel(again)).model)).toEqual(await valuesOf(wide));
    },
  );

  test('what f16 cannot hold is told, and nothing is left half written', async () => {
    const model = sampleLlama();
    model.model.norm.weight.set(tensor(new Float32Array(64).fill(70000)));
    const folder = newFolder();
    await expect(saveModel(folder, { model, dtype: 'f16' })).rejects.toThrow(
      'model.norm.weight holds a number beyond the range of f16',
    );
    expect(readdirSync(folder)).toEqual([]);
  });

  test('the settings of generation', async () => {
    const generation = {
      temperature: 0.7,
      topK: 20,
      topP: 0.9,
      minP: 0.05,
      repetitionPenalty: 1.1,
      maxTokens: 99,
      eosIds: [2, 5],
    };
    const folder = newFolder();
    await saveModel(folder, { model: sampleLlama(), generation });
    expect((await loadModel(folder)).generation).toEqual(generation);
    await saveModel(folder, { model: sampleLlama(), generation: { temperature: 0 } });
    expect((await loadModel(folder)).generation).toEqual({ temperature: 0 });
    await saveModel(folder, { model: sampleLlama() });
    expect((await loadModel(folder)).generation).toEqual({});
  });

  test('a model with adapters is refused', async () => {
    const model = sampleLlama();
    addLora(model, { r: 2 });
    await expect(saveModel(newFolder(), { model })).rejects.toThrow('LoRA adapters; merge them');
    removeLora(model);
  });

  test('by the URL of its folder', async () => {
    const model = sampleLlama();
    const folder = newFolder();
    await saveModel(folder, { model });
    const { model: back } = await loadModel(pathToFileURL(`${folder}/`));
    expect(await valuesOf(back)).toEqual(await valuesOf(model));
  });

  test('loading draws no random numbers', async () => {
    const folder = newFolder();
    await saveModel(folder, { model: sampleLlama() });
    random.seed(11);
    const wanted = await random.normal([4]).data();
    random.seed(11);
    await loadModel(folder);
    expect(await random.normal([4]).data()).toEqual(wanted);
  });
});

describe('packed weights', () => {
  function packed(model: CausalLM, chosen: (name: string) => boolean): CausalLM {
    for (const [name, matrix] of matricesOf(model)) {
      if (!chosen(name)) continue;
      replaceWeight(model, name, PackedWeight.round(matrix.matrix(), 'int4-g32'));
    }
    return model;
  }

  const CASES: readonly (readonly [string, () => CausalLM, (name: string) => boolean])[] = [
    ['the projections of a llama', () => sampleLlama(), (name) => name.includes('_proj')],
    ['all of a tied llama', () => sampleLlama(), () => true],
    ['all of an untied llama', () => sampleLlama({ tie_word_embeddings: false }), () => true],
    [
      'the layers of a gpt2',
      () => filled(new Gpt2(gptConfig({ depth: 1, vocab_size: 40 }))),
      (name) => name.includes('.h.'),
    ],
  ];

  test.each(CASES)('%s: the same bits', async (_, make, chosen) => {
    const whole = make();
    const before = await logitsOf(whole, IDS);
    const model = packed(whole, chosen);
    const after = await logitsOf(model, IDS);
    expect(after).not.toEqual(before);
    const folder = newFolder();
    await saveModel(folder, { model });
    const { model: back } = await loadModel(folder);
    expect(await logitsOf(back, IDS)).toEqual(after);
    expect([...back.state().keys()].sort()).toEqual([...model.state().keys()].sort());
    expect(await valuesOf(back)).toEqual(await valuesOf(model));
  });

  test('the files say how, and hold the codes', async () => {
    const model = packed(sampleLlama(), (name) => name.endsWith('q_proj.weight'));
    const folder = newFolder();
    await saveModel(folder, { model });
    const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
    expect(config.quantization_config).toMatchObject({
      quant_method: 'tersor',
      scheme: 'int4-g32',
      activations: 'int8',
    });
    const { modules_to_not_convert: others } = config.quantization_config;
    expect(others).toContain('model.embed_tokens');
    expect(others).toContain('model.layers.1.mlp.down_proj');
    expect(others).not.toContain('model.layers.1.self_attn.q_proj');
    const checkpoint = await openCheckpoint(folderSource(folder));
    const name = 'model.layers.0.self_attn.q_proj.weight';
    // In panels of sixteen rows: four of them, with two blocks in a row.
    expect(checkpoint.entries.get(`${name}.codes`)).toMatchObject({
      dtype: 'u8',
      shape: [4, 2, 4, 16, 4],
    });
    expect(checkpoint.entries.get(`${name}.scales`)).toMatchObject({
      dtype: 'f16',
      shape: [4, 2, 16],
    });
    expect(checkpoint.entries.has(name)).toBe(false);
    await checkpoint.close();
  });

  test('rows of codes, as other programs write them, are the same weights', async () => {
    const model = packed(sampleLlama(), (name) => name.includes('_proj'));
    const folder = newFolder();
    await saveModel(folder, { model });
    const file = join(folder, 'model.safetensors');
    const { tensors } = decodeSafetensors(readFileSync(file));
    for (const [name, { weight }] of matricesOf(model)) {
      if (!(weight instanceof PackedWeight)) continue;
      for (const [part, plain] of Object.entries(weight.plain())) {
        const { dtype, shape } = plain as Tensor;
        const data = await (plain as Tensor).data();
        tensors.set(`${name}.${part}`, { dtype, shape: shape as number[], data });
      }
    }
    expect(tensors.get('model.layers.0.self_attn.q_proj.weight.codes')?.shape).toEqual([64, 32]);
    writeFileSync(file, Buffer.concat(encodeSafetensors(tensors)));
    const { model: back } = await loadModel(folder);
    expect(await valuesOf(back)).toEqual(await valuesOf(model));
  });

  test('a weight that does not fit its place is refused', () => {
    const model = sampleLlama();
    const small = PackedWeight.round(random.normal([32, 32]), 'int4-g32');
    expect(() => replaceWeight(model, 'model.layers.0.mlp.up_proj.weight', small)).toThrow(
      'the shape of model.layers.0.mlp.up_proj.weight is [32, 32]; expected [96,64]',
    );
    expect(() => replaceWeight(model, 'model.norm.weight', small)).toThrow(
      'name is "model.norm.weight"; expected a matrix of the model',
    );
  });

  test('another method, and codes without their scheme, are refused', async () => {
    const folder = newFolder();
    await saveModel(folder, { model: packed(sampleLlama(), (name) => name.includes('_proj')) });
    const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
    const changed = (quantization: object | undefined) => {
      const copy = newFolder();
      cpSync(folder, copy, { recursive: true });
      const json = JSON.stringify({ ...config, quantization_config: quantization });
      writeFileSync(join(copy, 'config.json'), json);
      return copy;
    };
    await expect(loadModel(changed({ quant_method: 'gptq', bits: 4 }))).rejects.toThrow(
      'quantization_config.quant_method is "gptq", which is not supported',
    );
    const other = { ...config.quantization_config, scheme: 'int8-g32' };
    await expect(loadModel(changed(other))).rejects.toThrow(
      /codes: it is u8\[4, 2, 4, 16, 4\]; expected i8\[4, 2, 8, 16, 4\]/,
    );
    await expect(loadModel(changed(undefined))).rejects.toThrow('has no quantization_config');
  });
});
