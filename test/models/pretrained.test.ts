import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderSource } from '../../src/io/files.ts';
import { type FileSource, loadModel } from '../../src/models/index.ts';
import { describeWithFixtures, FIXTURES, readJson } from '../support/fixtures.ts';
import { greedyCached, greedyUncached, lastHiddenOf, logitsOf } from '../support/greedy.ts';
import { difference } from '../support/stored.ts';

interface Expected {
  readonly tolerance: { readonly atol: number; readonly rtol: number };
  readonly prompts: readonly {
    readonly input_ids: readonly number[];
    readonly logits: readonly (readonly number[])[];
    readonly greedy_continuation: readonly number[];
    readonly hidden_last_position: readonly (readonly number[])[];
  }[];
}

const DIRECTORIES = [
  'llama',
  'llama-bf16',
  'llama-sharded',
  'llama-rope-llama3',
  'llama-tied-bias',
  'qwen2',
  'qwen2-f16',
  'qwen3',
  'mistral-window',
  'gpt2',
  'gpt2-plain-names',
];

const SPELLINGS = ['config.json', 'config.legacy.json'] as const;

/** The directory, with one of its two configurations. */
function spelled(name: string, spelling: string): FileSource {
  const source = folderSource(join(FIXTURES, 'models', name));
  return { ...source, open: (file) => source.open(file === 'config.json' ? spelling : file) };
}

describeWithFixtures('models of transformers', (fixtures) => {
  for (const name of DIRECTORIES) {
    const { tolerance, prompts } = readJson<Expected>(fixtures, 'models', name, 'expected.json');

    test.each(SPELLINGS)(`${name} by %s: logits and hidden states`, async (spelling) => {
      const { model, generation } = await loadModel(spelled(name, spelling));
      expect(generation.eosIds).toEqual([2]);
      for (const prompt of prompts) {
        const got = await logitsOf(model, prompt.input_ids);
        expect(difference(got, prompt.logits.flat(), tolerance)).toBeUndefined();
        const hidden = await lastHiddenOf(model, prompt.input_ids);
        const wanted = prompt.hidden_last_position.at(-1) as readonly number[];
        expect(difference(hidden, wanted, tolerance)).toBeUndefined();
      }
      model.dispose();
    });

    test(`${name}: what it writes, with caches and without`, async () => {
      const { model } = await loadModel(join(fixtures, 'models', name));
      for (const { input_ids: ids, greedy_continuation: wanted } of prompts) {
        expect(await greedyCached(model, ids, wanted.length)).toEqual(wanted);
        expect(await greedyUncached(model, ids, wanted.length)).toEqual(wanted);
      }
      model.dispose();
    });
  }
});
