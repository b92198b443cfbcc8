import { expect, test } from 'vitest';
import { device } from '../../src/tensor/index.ts';
import { trainLanguageModel } from '../../src/train/index.ts';
import { TEXT, tinyModel, tokenizer } from '../support/tiny.ts';

const tokens = tokenizer.encode(TEXT);
const options = { steps: 6, batch: 4, sequence: 16 };

test('training frees all it has made, also when it is aborted', async () => {
  const base = device().liveBytes;
  const model = tinyModel();
  const controller = new AbortController();
  const more = { ...options, validation: { tokens: tokens.subarray(0, 200) } };
  await trainLanguageModel({ model, tokens, options: more });
  await trainLanguageModel({
    model,
    tokens,
    options,
    onProgress: () => controller.abort(),
    signal: controller.signal,
  });
  await settle();
  const weights = [...model.parameters().values()].reduce((n, p) => n + p.size * 4, 0);
  expect(device().liveBytes - base).toBe(weights);
  model.dispose();
  expect(device().liveBytes).toBe(base);
});

/** Programs are freed after the promise they come from. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
