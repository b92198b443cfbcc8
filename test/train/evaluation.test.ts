import { expect, test } from 'vitest';
import { BatchSampler } from '../../src/data/index.ts';
import { SGD } from '../../src/optim/index.ts';
import { Evaluation, Trainer } from '../../src/train/index.ts';
import { TEXT, tinyModel, tokenizer } from '../support/tiny.ts';

test('a part of a run that was measured is not measured once more when it goes on', async () => {
  const model = tinyModel();
  const optimizer = new SGD(model.parameters(), { lr: 0.1 });
  const trainer = new Trainer({ model, optimizer, batch: 2, sequence: 16 });
  const tokens = tokenizer.encode(TEXT);
  const evaluation = new Evaluation(trainer, {
    source: () => new BatchSampler({ tokens, batch: 2, sequence: 16, seed: 1 }),
    batches: 1,
    when: { times: 10 },
  });
  evaluation.continueFrom(0.55);
  expect(await evaluation.measureAt(1, 0.56)).toBeUndefined();
  expect(await evaluation.measureAt(2, 0.61)).toBeGreaterThan(0);
  trainer.dispose();
  model.dispose();
});
