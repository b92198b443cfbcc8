import { describe, expect, test } from 'vitest';
import { Fields } from '../../../src/io/tokenizer/fields.ts';
import { createNormalizer } from '../../../src/io/tokenizer/normalizers.ts';
import { createPreTokenizer } from '../../../src/io/tokenizer/pre-tokenizers.ts';
import { createDecoder } from '../../../src/io/tokenizer/token-bytes.ts';
import { readJson } from '../../support/fixtures.ts';
import { ROOT } from '../../support/source-tree.ts';

interface Part<Input, Output> {
  readonly part: { readonly type: string };
  readonly cases: readonly (readonly [Input, Output])[];
}

const { pre_tokenizers, normalizers, decoders } = readJson<{
  readonly pre_tokenizers: readonly Part<string, string[]>[];
  readonly normalizers: readonly Part<string, string>[];
  readonly decoders: readonly Part<string[], string>[];
}>(ROOT, 'test', 'fixtures', 'tokenizer-parts', 'parts.json');

const fields = new Fields('tokenizer.json');
const named = <P extends { readonly part: object }>(parts: readonly P[]) =>
  parts.map((own) => [JSON.stringify(own.part), own] as const);

describe('parts of tokenizers do what the reference implementation does', () => {
  test.each(named(pre_tokenizers))('%s', (_, { part, cases }) => {
    const cut = createPreTokenizer(fields, part, 'pre_tokenizer');
    for (const [text, pieces] of cases) {
      if (text !== '') expect(cut([text], true), JSON.stringify(text)).toEqual(pieces);
    }
  });

  test.each(named(normalizers))('%s', (_, { part, cases }) => {
    const normalize = createNormalizer(fields, part, 'normalizer');
    for (const [text, normalized] of cases) {
      if (text !== '') expect(normalize(text), JSON.stringify(text)).toBe(normalized);
    }
  });

  test.each(named(decoders))('%s', (_, { part, cases }) => {
    const decoder = createDecoder(fields, part);
    for (const [tokens, text] of cases) {
      const parts = tokens.map((token, index) =>
        decoder.bytesOf(token, { first: index === 0, last: index === tokens.length - 1 }),
      );
      const joined = Buffer.concat(parts).toString('utf8');
      expect(decoder.trim(joined), JSON.stringify(tokens)).toBe(text);
    }
  });
});
