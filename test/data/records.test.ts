import { expect, test } from 'vitest';
import { encodeCompletion } from '../../src/data/index.ts';
import { windowsOf } from '../../src/evaluate/index.ts';
import { byteTokenizer } from '../support/byte-tokenizer.ts';

const tokenizer = byteTokenizer();
const LONG = 'a'.repeat(300_000);

test('a completion may have more tokens than a call takes arguments', () => {
  const { ids, weights } = encodeCompletion(tokenizer, LONG, LONG);
  expect(ids.length).toBeGreaterThanOrEqual(600_000);
  expect(weights?.indexOf(1)).toBe(300_000);
});

test('so may a document whose perplexity is measured', () => {
  const windows = windowsOf(tokenizer, LONG, { protocol: 'document', context: 1000 });
  expect(windows.length).toBeGreaterThanOrEqual(300);
});
