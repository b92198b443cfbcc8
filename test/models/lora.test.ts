import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, test } from 'vitest';
import { readSafetensors } from '../../src/io/index.ts';
import { llamaConfigFromJson } from '../../src/models/llama-json.ts';
import { Llama, llamaConfig, loadAdapter, saveAdapter } from '../../src/models/node.ts';
import { adaptersOf, addLora, mergeLora, PackedWeight, removeLora } from '../../src/nn/index.ts';
import { AdamW } from '../../src/optim/index.ts';
import { jit, random, tensor, valueAndGrad } from '../../src/tensor/index.ts';
import { describeWithFixtures, readJson } from '../support/fixtures.ts';

interface Expected {
  readonly tolerance: { readonly atol: number; readonly rtol: number };
  readonly prompts: readonly {
    readonly input_ids: readonly number[];
    readonly logits: readonly (readonly number[])[];
    readonly logits_adapter_last_position: readonly number[];
  }[];
}

const folders: string[] = [];
const folder = () => {
  folders.push(mkdtempSync(join(tmpdir(), 'tersor-lora-')));
  return folders.at(-1) as string;
};
afterAll(() => {
  for (const path of folders) rmSync(path, { recursive: true });
});

async function golden(path: string): Promise<Llama> {
  const model = new Llama(llamaConfigFromJson(readJson(path, 'config.legacy.json')));
  const { tensors } = await readSafetensors(join(path, 'model.safetensors'));
  for (const [name, parameter] of model.parameters()) {
    const stored = tensors.get(name);
    if (!stored) throw new Error(`no ${name} in ${path}`);
    parameter.set(tensor(stored.data, stored));
  }
  return model;
}

const logitsOf = async (model: Llama, ids: readonly number[]) =>
  (await model.forward(tensor([ids] as number[][], { dtype: 'i32' })).toArray()) as number[][][];

function small(): Llama {
  random.seed(3);
  const config = llamaConfig({
    vocab_size: 24,
    hidden_size: 32,
    intermediate_size: 32,
    num_hidden_layers: 1,
    num_attention_heads: 2,
  });
  return new Llama(config, { std: 0.2 });
}

describeWithFixtures('adapters of PEFT', (fixtures) => {
  for (const name of ['llama-lora-qv', 'llama-lora-all']) {
    test(`${name}: beside the weights and merged`, async () => {
      const path = join(fixtures, 'models', name);
      const { prompts, tolerance } = readJson<Expected>(path, 'expected.json');
      const close = (got: readonly number[], want: readonly number[]) => {
        expect(got).toHaveLength(want.length);
        want.forEach((w, i) => {
          const allowed = tolerance.atol + tolerance.rtol * Math.abs(w);
          expect(Math.abs(got[i] - w)).toBeLessThanOrEqual(allowed);
        });
      };
      const model = await golden(join(fixtures, 'models', 'llama'));
      await loadAdapter(path, model);
      for (const { input_ids: ids, logits_adapter_last_position: last } of prompts) {
        close((await logitsOf(model, ids))[0].at(-1) ?? [], last);
      }
      const copy = folder();
      await saveAdapter(copy, model, '../llama');
      await mergeLora(model);
      expect(adaptersOf(model).size).toBe(0);
      for (const { input_ids: ids, logits } of prompts) {
        const [rows] = await logitsOf(model, ids);
        logits.forEach((row, i) => {
          close(rows[i], row);
        });
      }
      const before = await readSafetensors(join(path, 'adapter_model.safetensors'));
      const after = await readSafetensors(join(copy, 'adapter_model.safetensors'));
      expect(after.tensors).toEqual(before.tensors);
      const wrote = readJson<Record<string, unknown>>(copy, 'adapter_config.json');
      const read = readJson<Record<string, unknown>>(path, 'adapter_config.json');
      for (const key of ['r', 'lora_alpha', 'use_rslora', 'target_modules', 'bias']) {
        expect(wrote[key]).toEqual(read[key]);
      }
      model.dispose();
    });
  }
});

describe('training an adapter', () => {
  for (const packed of [false, true]) {
    it(`changes it and nothing else${packed ? ', on packed weights' : ''}`, async () => {
      const model = small();
      if (packed) {
        const layer = model.model.layers[0].self_attn.q_proj;
        const weight = layer.weight as Exclude<typeof layer.weight, PackedWeight>;
        layer.weight = PackedWeight.round(weight.value, 'int4-g32');
      }
      const ids = [3, 1, 4, 1, 5, 9, 2, 6];
      const before = await logitsOf(model, ids);
      const adapters = addLora(model, { r: 2, alpha: 4, targets: ['q_proj', 'v_proj'] });
      expect(await logitsOf(model, ids)).toEqual(before); // B is zero
      const base = [...model.parameters()].filter(([name]) => !name.includes('.lora.'));
      const kept = await Promise.all(base.map(([, p]) => p.value.data()));
      const optimizer = new AdamW(model.parameters(), { lr: 0.02, weightDecay: 0 });
      const x = tensor([ids], { dtype: 'i32' });
      const y = tensor([[...ids.slice(1), 7]], { dtype: 'i32' });
      const step = jit(() => {
        const { value, grads } = valueAndGrad((m: Llama) => m.loss(x, y))(model);
        expect([...grads.keys()].every((name) => name.includes('.lora.lora_'))).toBe(true);
        optimizer.update(grads);
        return value;
      });
      const losses: number[] = [];
      for (let i = 0; i < 12; i++) losses.push(await (await step()).item());
      expect(losses.at(-1)).toBeLessThan(0.9 * losses[0]);
      const now = await Promise.all(base.map(([, p]) => p.value.data()));
      expect(now).toEqual(kept);
      expect([...adapters.keys()]).toEqual([
        'model.layers.0.self_attn.q_proj',
        'model.layers.0.self_attn.v_proj',
      ]);
      if (packed) await expect(mergeLora(model)).rejects.toThrow('q_proj is "int4-g32"');
      const other = small();
      await expect(loadAdapter(folder(), other)).rejects.toThrow('adapter_config.json');
      removeLora(model);
      expect([...model.parameters().values()].every((p) => p.trainable)).toBe(true);
    });
  }

  it('refuses layers that are not there, and a second adapter', () => {
    const model = small();
    expect(() => addLora(model, { r: 2, targets: ['query'] })).toThrow('some of q_proj');
    expect(() => addLora(model, { r: 0 })).toThrow('r is 0');
    addLora(model, { r: 2 });
    expect(() => addLora(model, { r: 2 })).toThrow('merge it first');
  });
});
