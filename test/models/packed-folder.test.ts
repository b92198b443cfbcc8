import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { compressModel } from '../../src/compress/index.ts';
import { type CausalLM, Llama, llamaConfig, loadModel, saveModel } from '../../src/models/node.ts';
import { random, tensor } from '../../src/tensor/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'tersor-packed-'));
afterAll(() => rmSync(folder, { recursive: true }));

const logits = async (model: CausalLM) =>
  model.forward(tensor([[1, 5, 2, 9]], { dtype: 'i32' })).data();

it('a packed model comes back bit for bit, each matrix in its own scheme', async () => {
  random.seed(2);
  const config = llamaConfig({
    vocab_size: 20,
    hidden_size: 128,
    intermediate_size: 160,
    num_hidden_layers: 1,
    num_attention_heads: 4,
  });
  const model = new Llama(config, { std: 0.1 });
  await compressModel(model, { scheme: 'int4-g128', ignore: ['k_proj'] });
  await saveModel(folder, { model });
  const file = join(folder, 'config.json');
  const json = JSON.parse(readFileSync(file, 'utf8'));
  expect(json.quantization_config).toEqual({
    quant_method: 'tersor',
    scheme: 'int4-g128',
    activations: 'int8',
    exceptions: { 'model.embed_tokens': 'int8-g32', 'model.layers.0.mlp.down_proj': 'int4-g32' },
    modules_to_not_convert: ['model.layers.0.self_attn.k_proj'],
  });
  const { model: loaded } = await loadModel(folder);
  expect(await logits(loaded)).toEqual(await logits(model));
  json.quantization_config.exceptions['model.embed_tokens'] = 'int5';
  writeFileSync(file, JSON.stringify(json));
  await expect(loadModel(folder)).rejects.toThrow('model.embed_tokens is "int5"');
});
