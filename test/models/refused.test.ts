import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeSafetensors, type StoredTensor, writeSafetensors } from '../../src/io/index.ts';
import {
  Gpt2,
  gpt2Config,
  Llama,
  llamaConfig,
  loadModel,
  saveModel,
} from '../../src/models/index.ts';
import { llamaConfigFromJson } from '../../src/models/llama-json.ts';
import { describeWithFixtures } from '../support/fixtures.ts';

let home = '';
let saved = '';
let gpt = '';
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'tersor-refused-'));
  saved = join(home, 'llama');
  gpt = join(home, 'gpt2');
  await saveModel(saved, {
    model: new Llama(
      llamaConfig({
        vocab_size: 12,
        hidden_size: 8,
        intermediate_size: 16,
        num_hidden_layers: 2,
        num_attention_heads: 2,
      }),
    ),
  });
  const sizes = { vocab_size: 12, n_embd: 8, n_layer: 1, n_head: 2, max_position_embeddings: 9 };
  await saveModel(gpt, { model: new Gpt2(gpt2Config(sizes)) });
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const jsonOf = (folder: string, name = 'config.json') =>
  JSON.parse(readFileSync(join(folder, name), 'utf8')) as Record<string, unknown>;

/** A copy of a saved model in which something is changed. */
function changed(folder: string, change: (copy: string) => void): string {
  const copy = mkdtempSync(join(home, 'copy-'));
  cpSync(folder, copy, { recursive: true });
  change(copy);
  return copy;
}

const configured = (folder: string, keys: object) =>
  changed(folder, (copy) => {
    writeFileSync(join(copy, 'config.json'), JSON.stringify({ ...jsonOf(folder), ...keys }));
  });

const linear = { rope_type: 'linear', factor: 2 };

describe('a config.json', () => {
  test.each([
    [{ model_type: 'mamba' }, 'model_type is "mamba", an architecture that is not supported'],
    [{ model_type: undefined }, 'model_type is missing, an architecture that is not supported'],
    [{ hidden_act: 'gelu' }, 'hidden_act is "gelu", which is not supported; expected "silu"'],
    [{ pretraining_tp: 2 }, 'pretraining_tp is 2, which is not supported; expected 1'],
    [{ hidden_size: undefined }, 'hidden_size is missing; expected an integer >= 1'],
    [{ hidden_size: 9, head_dim: null }, 'hidden_size is 9; expected an even multiple of 2 heads'],
    [{ head_dim: 5 }, 'head_dim is 5; expected an even number >= 2'],
    [{ num_key_value_heads: 3 }, 'num_key_value_heads is 3; expected a divisor of 2 heads'],
    [{ tie_word_embeddings: 1 }, 'tie_word_embeddings is 1; expected true or false'],
    [{ rms_norm_eps: -1 }, 'rms_norm_eps is -1; expected a number > 0'],
    [{ rope_parameters: null, rope_theta: 'x' }, 'rope_theta is "x"; expected a number > 0'],
    [{ rope_parameters: [] }, 'rope_parameters is []; expected a JSON object'],
    [
      { rope_parameters: null, rope_scaling: { type: 'dynamic', factor: 2 } },
      'rope_scaling.type is "dynamic", which is not supported; expected "default" or "linear"',
    ],
    [{ rope_parameters: { ...linear, factor: 0 } }, 'rope_parameters.factor is 0; expected a'],
    [
      { rope_parameters: { ...linear, rope_type: 'llama3' } },
      'rope_parameters.low_freq_factor is missing; expected a number > 0',
    ],
    [
      { rope_parameters: { full_attention: linear } },
      'rope_parameters.full_attention is {"rope_type":"linear","factor":2}, which is not supported',
    ],
    [{ partial_rotary_factor: 0.5 }, 'partial_rotary_factor is 0.5, which is not supported'],
    [{ attn_logit_softcapping: 50 }, 'attn_logit_softcapping is 50, which is not supported'],
    [{ final_logit_softcapping: 30 }, 'final_logit_softcapping is 30, which is not supported'],
    [{ query_pre_attn_scalar: 4 }, 'query_pre_attn_scalar is 4, which is not supported'],
    [{ num_local_experts: 8 }, 'num_local_experts is 8, which is not supported'],
    [{ sliding_window: 4 }, 'sliding_window is 4, which is not supported; expected none'],
    [{ layer_types: ['full_attention', 'linear_attention'] }, 'layer_types is ["full_attention"'],
    [{ model_type: 'mistral', mlp_bias: true }, 'mlp_bias is true, which is not supported'],
    [{ model_type: 'qwen2', attention_bias: false }, 'attention_bias is false, which is not'],
    [{ model_type: 'mistral', sliding_window: 0 }, 'sliding_window is 0; expected an integer >= 1'],
    [
      { model_type: 'qwen3', layer_types: ['sliding_attention', 'sliding_attention'] },
      'layer_types is ["sliding_attention","sliding_attention"], which is not supported',
    ],
  ])('of a llama with %o is refused', async (keys, message) => {
    const copy = configured(saved, keys);
    await expect(loadModel(copy)).rejects.toThrow(message);
    await expect(loadModel(copy)).rejects.toThrow(JSON.stringify(join(copy, 'config.json')));
  });

  test.each([
    [{ activation_function: 'swish' }, 'activation_function is "swish", which is not supported'],
    [{ scale_attn_weights: false }, 'scale_attn_weights is false, which is not supported'],
    [{ scale_attn_by_inverse_layer_idx: true }, 'scale_attn_by_inverse_layer_idx is true, which'],
    [{ add_cross_attention: true }, 'add_cross_attention is true, which is not supported'],
    [{ n_head: 3 }, 'n_embd is 8; expected a multiple of 3 heads'],
  ])('of a gpt2 with %o is refused', async (keys, message) => {
    await expect(loadModel(configured(gpt, keys))).rejects.toThrow(message);
  });

  test('may hold what changes nothing', async () => {
    const keys = { use_cache: false, attention_dropout: 0.1, my_own: [1], rope_interleaved: false };
    const { model } = await loadModel(configured(saved, keys));
    expect(model.config.vocab_size).toBe(12);
  });

  test('need not be there, nor be JSON', async () => {
    const none = changed(saved, (copy) => rmSync(join(copy, 'config.json')));
    await expect(loadModel(none)).rejects.toThrow('config.json" does not exist; expected a folder');
    const bad = changed(saved, (copy) => writeFileSync(join(copy, 'config.json'), '{'));
    await expect(loadModel(bad)).rejects.toThrow('config.json" is not JSON');
    await expect(loadModel(join(home, 'none'))).rejects.toThrow('is no folder; expected one with');
  });

  test('says nothing of a window: layers, and none for null', () => {
    const sizes = { hidden_size: 16, head_dim: undefined, attention_bias: undefined };
    const base = { ...jsonOf(saved), ...sizes };
    const read = (keys: object) => llamaConfigFromJson({ ...base, ...keys });
    const mistral = { model_type: 'mistral' };
    expect(read(mistral).sliding_window).toBe(4096);
    expect(read({ ...mistral, sliding_window: null }).sliding_window).toBe(null);
    const qwen = { model_type: 'qwen2', sliding_window: 5, max_window_layers: 1 };
    expect(read(qwen).layer_types).toEqual(['full_attention', 'full_attention']);
    expect(read({ ...qwen, use_sliding_window: true }).layer_types).toEqual([
      'full_attention',
      'sliding_attention',
    ]);
    expect(read({ model_type: 'qwen3' }).head_dim).toBe(128);
  });
});

test('a type that weights cannot have in memory is refused', async () => {
  await expect(loadModel(saved, { dtype: 'i8' as 'f32' })).rejects.toThrow(
    'loadModel: dtype is "i8"; expected f32, bf16, f16',
  );
});

describe('a generation_config.json', () => {
  test.each([
    [{ temperature: 'hot' }, 'temperature is "hot"; expected a number > 0'],
    [{ eos_token_id: -1 }, 'eos_token_id is -1; expected an id or a list of ids'],
  ])('with %o is refused', async (keys, message) => {
    const copy = changed(saved, (path) => {
      writeFileSync(join(path, 'generation_config.json'), JSON.stringify(keys));
    });
    await expect(loadModel(copy)).rejects.toThrow(message);
    await expect(loadModel(copy)).rejects.toThrow('generation_config.json');
  });
});

describe('weights', () => {
  /** A copy whose tensors are others. */
  async function withTensors(change: (tensors: Map<string, StoredTensor>) => void) {
    const copy = changed(saved, () => {});
    const path = join(copy, 'model.safetensors');
    const { tensors } = decodeSafetensors(readFileSync(path));
    change(tensors);
    await writeSafetensors(path, tensors);
    return copy;
  }
  const norm = 'model.norm.weight';
  const place = (copy: string, name: string) =>
    `file ${JSON.stringify(join(copy, 'model.safetensors'))}, tensor ${name}: `;

  test('that are missing, too many, or of another shape or type are named', async () => {
    const missing = await withTensors((tensors) => tensors.delete(norm));
    await expect(loadModel(missing)).rejects.toThrow(
      `${place(missing, norm)}it is missing; expected ${norm} of [8] by config.json`,
    );
    const extra = await withTensors((tensors) => {
      tensors.set('model.extra', tensors.get(norm) as StoredTensor);
    });
    await expect(loadModel(extra)).rejects.toThrow(
      `${place(extra, 'model.extra')}the model of config.json has no such tensor`,
    );
    const other = await withTensors((tensors) => {
      tensors.set(norm, { dtype: 'f32', shape: [2, 4], data: new Float32Array(8) });
    });
    await expect(loadModel(other)).rejects.toThrow(
      `${place(other, norm)}it is f32[2, 4]; expected floats [8] by config.json`,
    );
    const integers = await withTensors((tensors) => {
      tensors.set(norm, { dtype: 'i32', shape: [8], data: new Int32Array(8) });
    });
    await expect(loadModel(integers)).rejects.toThrow('it is i32[8]; expected floats [8]');
  });

  test('of old files: frequencies and a second table are passed over', async () => {
    const copy = await withTensors((tensors) => {
      const floats = (shape: number[]): StoredTensor => {
        return { dtype: 'f32', shape, data: new Float32Array(shape.reduce((a, b) => a * b)) };
      };
      tensors.set('model.layers.0.self_attn.rotary_emb.inv_freq', floats([2]));
      tensors.set('lm_head.weight', floats([12, 8]));
    });
    expect((await loadModel(copy)).model.parameterCount()).toBe(
      (await loadModel(saved)).model.parameterCount(),
    );
  });

  test('of other formats, and none, are told', async () => {
    const copy = changed(saved, (path) => rmSync(join(path, 'model.safetensors')));
    await expect(loadModel(copy)).rejects.toThrow(
      'model.safetensors" does not exist, nor does model.safetensors.index.json',
    );
    writeFileSync(join(copy, 'model.safetensors'), 'x');
    await expect(loadModel(copy)).rejects.toThrow('not a valid safetensors file');
  });
});

describeWithFixtures('architectures that are not known', (fixtures) => {
  test.each(['mixtral', 'gemma2', 'gemma3-text', 'phi3', 'bert', 'olmo2', 'smollm3', 'bitnet'])(
    '%s',
    async (name) => {
      await expect(loadModel(join(fixtures, 'models', name))).rejects.toThrow(
        `model_type is "${name === 'gemma3-text' ? 'gemma3_text' : name}", an architecture that is not supported`,
      );
    },
  );

  test('adapters are loaded into their base', async () => {
    await expect(loadModel(join(fixtures, 'models', 'llama-lora-qv'))).rejects.toThrow(
      'This one holds an adapter: load its base model, then loadAdapter',
    );
  });

  test('a llama whose linear layers are others', async () => {
    await expect(loadModel(join(fixtures, 'models', 'llama-bitlinear'))).rejects.toThrow(
      'quantization_config.quant_method is "bitnet", which is not supported',
    );
  });
});
