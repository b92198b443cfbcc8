import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderSource } from '../../src/io/files.ts';
import { decodeSafetensors, encodeSafetensors, type StoredTensor } from '../../src/io/index.ts';
import { loadModel, memorySource, saveModel } from '../../src/models/index.ts';
import { type Story, tellStories } from '../browser/suites.ts';
import { describeWithFixtures, readJson, SHARED } from '../support/fixtures.ts';
import { greedyUncached, logitsOf } from '../support/greedy.ts';
import { difference } from '../support/stored.ts';

interface Told extends Story {
  readonly prompt_ids: readonly number[];
  readonly last_prompt_logits: readonly number[];
}

describeWithFixtures('stories260K', () => {
  const place = join(SHARED, 'data', 'stories260K');
  const { prompts } = readJson<{ prompts: readonly Told[] }>(place, 'expected.json');

  test('tells its five stories', async () => {
    const told = await tellStories(
      join(place, 'hf'),
      prompts.map(({ prompt }) => prompt),
    );
    expect(told).toEqual(
      prompts.map(({ prompt, continuation_ids, continuation_text }) => {
        return { prompt, continuation_ids, continuation_text };
      }),
    );
  });

  test('is the same after it is saved, tokenizer and all', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tersor-stories-'));
    try {
      const { model, tokenizer, generation } = await loadModel(join(place, 'hf'));
      await saveModel(folder, { model, tokenizer, generation });
      const bytes = (path: string) => readFileSync(join(path, 'model.safetensors'));
      expect(decodeSafetensors(bytes(folder)).tensors).toEqual(
        decodeSafetensors(bytes(join(place, 'hf'))).tensors,
      );
      const [{ prompt, continuation_text }] = prompts;
      const [told] = await tellStories(folder, [prompt]);
      expect(told.continuation_text).toBe(continuation_text);
      const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
      expect(config).toMatchObject({ bos_token_id: 1, eos_token_id: 2, torch_dtype: 'float32' });
      expect((await loadModel(folder)).generation).toEqual(generation);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('a tokenizer with more tokens than the table has rows is refused', async () => {
    const hf = folderSource(join(place, 'hf'));
    const small = JSON.stringify({
      ...readJson<object>(place, 'hf', 'config.json'),
      vocab_size: 500,
    });
    const { tensors } = decodeSafetensors(readFileSync(join(place, 'hf', 'model.safetensors')));
    const table = 'model.embed_tokens.weight';
    const { data } = tensors.get(table) as StoredTensor;
    tensors.set(table, { dtype: 'f32', shape: [500, 64], data: data.slice(0, 500 * 64) });
    const weights = new Uint8Array(Buffer.concat(encodeSafetensors(tensors)));
    const changed = memorySource(
      new Map<string, string | Uint8Array>([
        ['config.json', small],
        ['model.safetensors', weights],
      ]),
    );
    const source = {
      ...hf,
      open: async (name: string) => (await changed.open(name)) ?? hf.open(name),
    };
    await expect(loadModel(source)).rejects.toThrow(
      'tokenizer.json": it has 512 tokens, but vocab_size in config.json is 500',
    );
  });

  test('gives the logits of transformers, and tells the same without caches', async () => {
    const { model, tokenizer } = await loadModel(join(place, 'hf'));
    const [{ prompt, prompt_ids, last_prompt_logits, continuation_ids }] = prompts;
    expect([...(tokenizer?.encode(prompt, { addSpecial: true }) ?? [])]).toEqual(prompt_ids);
    const logits = await logitsOf(model, prompt_ids);
    // The reference agrees with float64 to 1.4e-5 (data/README.md).
    const tolerance = { atol: 1e-4, rtol: 1e-5 };
    const last = logits.slice(-model.config.vocab_size);
    expect(difference(last, last_prompt_logits, tolerance)).toBeUndefined();
    expect(await greedyUncached(model, prompt_ids, 64)).toEqual(continuation_ids);
    model.dispose();
  });
});
