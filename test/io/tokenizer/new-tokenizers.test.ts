import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { trainTokenizer, type WordPattern } from '../../../src/io/tokenizer/bpe-trainer.ts';
import { characterTokenizer } from '../../../src/io/tokenizer/characters.ts';
import { loadTokenizer, saveTokenizer } from '../../../src/io/tokenizer/load.ts';
import { anyText } from '../../support/any-text.ts';
import { readJson } from '../../support/fixtures.ts';
import { ROOT } from '../../support/source-tree.ts';

interface Trained {
  readonly text: string;
  readonly from: number;
  readonly cases: readonly {
    readonly pattern: WordPattern;
    readonly vocabSize: number;
    readonly minFrequency: number;
    readonly specialTokens: readonly string[];
    readonly merges: readonly string[];
    readonly ids: readonly number[];
  }[];
}

const { text, from, cases } = readJson<Trained>(
  ROOT,
  'test',
  'fixtures',
  'tokenizer-training',
  'trained.json',
);

describe('the trainer of byte-level BPE', () => {
  test.each(cases)("learns HuggingFace's merges: $pattern", (wanted) => {
    const tokenizer = trainTokenizer([text], wanted);
    const { model } = JSON.parse(tokenizer.files().get('tokenizer.json') as string);
    expect(model.merges.map((pair: string[]) => pair.join(' '))).toEqual(wanted.merges);
    expect(tokenizer.size).toBe(wanted.vocabSize);
    expect([...tokenizer.encode(text.slice(from))]).toEqual(wanted.ids);
  });

  test('does not depend on the order of texts', () => {
    const pieces = text.split('\n');
    const files = (texts: string[]) => trainTokenizer(texts, { vocabSize: 400 }).files();
    expect(files(pieces)).toEqual(files([...pieces].reverse()));
  });

  test('writes every text, whatever it learnt from', () => {
    for (const { pattern } of cases) {
      const tokenizer = trainTokenizer([text], { vocabSize: 400, pattern });
      fc.assert(
        fc.property(anyText({ maxLength: 40 }), (own) => {
          const ids = tokenizer.encode(own);
          expect(tokenizer.decode(ids)).toBe(own);
          const bytes = Buffer.concat([...ids].map((id) => tokenizer.bytesOf(id)));
          expect(bytes.toString('utf8')).toBe(own);
        }),
        { seed: 1 },
      );
    }
  });

  test('ends early where there are no pairs left', () => {
    expect(trainTokenizer(['abab'], { vocabSize: 1000, minFrequency: 1 }).size).toBe(258);
    expect(trainTokenizer(['abc'], { vocabSize: 1000 }).size).toBe(256);
  });

  test('says what is wrong with its arguments', () => {
    expect(() => trainTokenizer([text], { vocabSize: 255 })).toThrow('vocabSize is 255');
    expect(() => trainTokenizer([''], { vocabSize: 300 })).toThrow('texts has no character');
    expect(() => trainTokenizer([text], { vocabSize: 300, minFrequency: 0 })).toThrow(
      'minFrequency is 0',
    );
    const pattern = 'gpt5' as WordPattern;
    expect(() => trainTokenizer([text], { vocabSize: 300, pattern })).toThrow('pattern is "gpt5"');
    expect(() => trainTokenizer([text], { vocabSize: 300, eosToken: '' })).toThrow('is empty');
  });
});

describe('a tokenizer of characters', () => {
  test('has one token for each character, in the order of their code points', () => {
    const tokenizer = characterTokenizer('ba\n \u{1f600}a', { eosToken: '<|end|>' });
    expect([0, 1, 2, 3, 4, 5].map((id) => tokenizer.tokenOf(id))).toEqual([
      '\n',
      ' ',
      'a',
      'b',
      '\u{1f600}',
      '<|end|>',
    ]);
    expect(tokenizer.size).toBe(6);
    expect(tokenizer.eosIds).toEqual([5]);
    expect([...tokenizer.encode('a b\u{1f600}\n')]).toEqual([2, 1, 3, 4, 0]);
  });

  test('gives back what it was made from', () => {
    fc.assert(
      fc.property(anyText({ minLength: 1 }), (own) => {
        const tokenizer = characterTokenizer(own);
        expect(tokenizer.decode(tokenizer.encode(own))).toBe(own);
        expect(tokenizer.encode(own)).toHaveLength([...own].length);
      }),
      { seed: 1 },
    );
  });

  test('names a character that it does not know, or writes another for it', () => {
    expect(() => characterTokenizer('abc').encode('abxc')).toThrow(
      'text holds "x" (U+0078) at position 2',
    );
    const lenient = characterTokenizer('ab?', { unknown: '?' });
    expect(lenient.decode(lenient.encode('abcd'))).toBe('ab??');
    expect(() => characterTokenizer('ab', { unknown: '?' })).toThrow('unknown is "?"');
    expect(() => characterTokenizer('')).toThrow('text is empty');
    expect(() => characterTokenizer('ab', { eosToken: 'a' })).toThrow('specialTokens holds "a"');
  });
});

test('a saved tokenizer is loaded as it was', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tersor-tokenizer-'));
  try {
    const options = { eosToken: '<|end|>', bosToken: '<|begin|>', chatTemplate: 'x' };
    for (const tokenizer of [
      characterTokenizer(text, options),
      trainTokenizer([text], { vocabSize: 400, ...options }),
    ]) {
      await saveTokenizer(folder, tokenizer);
      const loaded = await loadTokenizer(folder);
      expect(loaded.files()).toEqual(tokenizer.files());
      expect(loaded.bosId).toBe(tokenizer.idOf('<|begin|>'));
      expect(loaded.encode(text, { addSpecial: true })).toEqual(
        Int32Array.of(loaded.bosId as number, ...tokenizer.encode(text)),
      );
    }
    await expect(loadTokenizer(join(folder, 'nothing'))).rejects.toThrow('no tokenizer.json');
  } finally {
    await rm(folder, { recursive: true });
  }
});
