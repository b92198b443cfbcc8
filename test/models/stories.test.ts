import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadModel } from '../../src/models/index.ts';
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
