import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeSafetensors, type StoredTensor, writeSafetensors } from '../../src/io/index.ts';
import type { Llama } from '../../src/models/index.ts';
import { tensor } from '../../src/tensor/index.ts';
import { loadModel, saveModel } from '../../src/train/index.ts';
import { tinyModel, tokenizer } from '../support/tiny.ts';

let folder = '';
let saved = '';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tersor-model-'));
  saved = join(folder, 'deep', 'model');
  await saveModel(saved, tinyModel(), tokenizer);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function logits(model: Llama): Promise<ArrayLike<number>> {
  return model.forward(tensor(Int32Array.of(1, 2, 3, 4), { shape: [1, 4] })).data();
}

function json(name: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(saved, name), 'utf8'));
}

/** A copy of the saved model in which something is changed. */
function changed(change: (copy: string) => void): string {
  const copy = mkdtempSync(join(folder, 'copy-'));
  cpSync(saved, copy, { recursive: true });
  change(copy);
  return copy;
}

test('a model that is loaded gives the same logits, bit for bit', async () => {
  const { model, tokenizer: own } = await loadModel(saved);
  expect(await logits(model)).toEqual(await logits(tinyModel()));
  expect(own.characters).toEqual(tokenizer.characters);
  expect(model.config).toEqual(tinyModel().config);
});

test('the files are those of a llama of HuggingFace, and the characters', async () => {
  expect(readdirSync(saved).sort()).toEqual([
    'characters.json',
    'config.json',
    'model.safetensors',
  ]);
  expect(json('config.json')).toMatchObject({
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: 16,
    num_hidden_layers: 2,
    head_dim: 8,
    hidden_act: 'silu',
    tie_word_embeddings: true,
  });
  const { tensors, metadata } = decodeSafetensors(readFileSync(join(saved, 'model.safetensors')));
  expect(metadata).toEqual({ format: 'pt' });
  expect(tensors.get('model.embed_tokens.weight')?.shape).toEqual([tokenizer.size, 16]);
  expect(tensors.get('model.layers.1.mlp.down_proj.weight')?.shape).toEqual([16, 40]);
  expect(tensors.has('model.layers.0.self_attn.q_proj.weight')).toBe(true);
  expect(tensors.has('model.norm.weight')).toBe(true);
});

test.each(['config.json', 'model.safetensors', 'characters.json'])('%s is missed', async (name) => {
  const copy = changed((path) => rmSync(join(path, name)));
  await expect(loadModel(copy)).rejects.toThrow(`has no ${name}; expected a folder that`);
});

test('no folder at all is told', async () => {
  await expect(loadModel(join(folder, 'none'))).rejects.toThrow(
    'does not exist; expected a folder',
  );
  await expect(loadModel(join(saved, 'config.json'))).rejects.toThrow('is not a folder');
});

test.each([
  ['model_type', 'gpt2', 'model_type is "gpt2"; expected "llama"'],
  ['hidden_size', undefined, 'hidden_size is undefined; expected an integer >= 1'],
  ['hidden_size', 15, 'hidden_size is 15'],
  ['rope_theta', -1, 'rope_theta is -1; expected a number > 0'],
  ['rope_scaling', { factor: 2 }, 'rope_scaling is {"factor":2}; expected null'],
  ['tie_word_embeddings', 1, 'tie_word_embeddings is 1; expected true or false'],
  ['attention_bias', true, 'attention_bias is true; expected false'],
  ['vocab_size', 3, 'vocab_size in config.json is 3; expected the same'],
  ['num_hidden_layers', 3, 'model.layers.2.input_layernorm.weight is missing'],
  ['num_hidden_layers', 1, 'it holds model.layers.1.'],
  ['intermediate_size', 41, 'is f32[40, 16]; expected f32[41, 16] by config.json'],
])('config.json with %s %o is refused', async (key, value, message) => {
  const copy = changed((path) => {
    writeFileSync(
      join(path, 'config.json'),
      JSON.stringify({ ...json('config.json'), [key]: value }),
    );
  });
  await expect(loadModel(copy)).rejects.toThrow(message);
});

test.each([
  ['config.json', '{', 'config.json" is not JSON'],
  ['config.json', '[]', 'it is not a JSON object'],
  ['characters.json', '{"type": "bpe"}', 'json is {"type":"bpe"}; expected {"type": "character"'],
  ['model.safetensors', 'x', 'model.safetensors" could not be read: not a valid safetensors file'],
])('%s with %o is refused', async (name, content, message) => {
  const copy = changed((path) => writeFileSync(join(path, name), content));
  await expect(loadModel(copy)).rejects.toThrow(message);
});

test('weights of another type are refused', async () => {
  const path = join(saved, 'model.safetensors');
  const { tensors } = decodeSafetensors(readFileSync(path));
  const half = (t: StoredTensor): StoredTensor => ({
    dtype: 'f16',
    shape: t.shape,
    data: new Uint16Array(t.data.length),
  });
  const halves = new Map([...tensors].map(([name, t]) => [name, half(t)]));
  const copy = changed(() => {});
  await writeSafetensors(join(copy, 'model.safetensors'), halves);
  await expect(loadModel(copy)).rejects.toThrow('is f16[15, 16]; expected f32[15, 16]');
});
