import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createEngine } from '../../src/generate/index.ts';
import { loadModel } from '../../src/models/node.ts';
import { byteTokenizer } from '../support/byte-tokenizer.ts';
import { describeWithFixtures, readJson } from '../support/fixtures.ts';

interface Expected {
  readonly prompts: readonly {
    readonly input_ids: readonly number[];
    readonly greedy_continuation: readonly number[];
  }[];
}

const MODELS = [
  'llama',
  'llama-tied-bias',
  'llama-rope-llama3',
  'mistral-window',
  'qwen2',
  'qwen3',
  'gpt2',
];

/** What transformers writes with a cache of its own, one prompt after the other. */
describeWithFixtures('texts of the reference', (fixtures) => {
  test.each(MODELS)('%s: all prompts at the same time', async (name) => {
    const folder = join(fixtures, 'models', name);
    const { model } = await loadModel(folder);
    const tokenizer = { ...byteTokenizer(), size: model.config.vocab_size, decode: () => '' };
    const { prompts } = readJson<Expected>(folder, 'expected.json');
    const engine = createEngine({ model, tokenizer, generation: {} }, { slots: 3 });
    const texts = prompts.map(async ({ input_ids: prompt, greedy_continuation: { length } }) => {
      const ids: number[] = [];
      const options = { temperature: 0, maxTokens: length, ignoreEos: true };
      for await (const chunk of engine.generate({ prompt, ...options })) ids.push(...chunk.ids);
      return ids;
    });
    expect(await Promise.all(texts)).toEqual(prompts.map((p) => p.greedy_continuation));
    await engine.close();
    model.dispose();
  });
});
