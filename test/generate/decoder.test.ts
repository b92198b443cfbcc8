import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Decoder } from '../../src/generate/decoder.ts';
import { readSafetensors } from '../../src/io/index.ts';
import { Llama } from '../../src/models/index.ts';
import { tensor } from '../../src/tensor/index.ts';
import { configFromJson } from '../../src/train/model-config.ts';
import { describeWithFixtures, readJson } from '../support/fixtures.ts';

interface Expected {
  readonly tolerance: { readonly atol: number; readonly rtol: number };
  readonly prompts: readonly {
    readonly input_ids: readonly number[];
    readonly greedy_continuation: readonly number[];
    /** Of each position of the prompt. */
    readonly logits: readonly (readonly number[])[];
  }[];
}

async function golden(folder: string): Promise<Llama> {
  const model = new Llama(configFromJson(readJson(folder, 'config.legacy.json')));
  const { tensors } = await readSafetensors(join(folder, 'model.safetensors'));
  for (const [name, parameter] of model.parameters()) {
    const stored = tensors.get(name);
    if (!stored) throw new Error(`no ${name} in ${folder}`);
    const value = tensor(stored.data, stored);
    parameter.set(value);
    value.dispose();
  }
  return model;
}

/** The reference decoded with its own cache of keys and values: transformers, eager attention. */
describeWithFixtures('decoding token by token', (fixtures) => {
  const folder = join(fixtures, 'models', 'llama');

  test("gives the reference's logits and text", async () => {
    const model = await golden(folder);
    const { prompts, tolerance } = readJson<Expected>(folder, 'expected.json');
    const { vocab_size: vocabulary } = model.config;
    const decoder = new Decoder(model, vocabulary);
    for (const { input_ids: ids, greedy_continuation: continuation, logits: wanted } of prompts) {
      decoder.reset();
      for (const [position, row] of wanted.entries()) {
        const got = await decoder.logitsAfter(ids.slice(0, position + 1));
        row.forEach((want, i) => {
          const allowed = tolerance.atol + tolerance.rtol * Math.abs(want);
          expect(Math.abs(got[i] - want)).toBeLessThanOrEqual(allowed);
        });
      }
      // The whole prompt in pieces, then a token at a time.
      decoder.reset();
      const tokens = [...ids];
      for (const _ of continuation) {
        const logits = Array.from(await decoder.logitsAfter(tokens));
        tokens.push(logits.indexOf(Math.max(...logits)));
      }
      expect(tokens.slice(ids.length)).toEqual(continuation);
    }
    decoder.dispose();
    model.dispose();
  });
});
