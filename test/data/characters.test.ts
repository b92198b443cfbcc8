import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CharacterTokenizer } from '../../src/data/index.ts';

/** Texts over all code points, surrogates among them. */
const texts = fc
  .array(fc.oneof(fc.integer({ min: 32, max: 126 }), fc.integer({ min: 0, max: 0x10ffff })), {
    minLength: 1,
  })
  .map((codes) => String.fromCodePoint(...codes));

describe('CharacterTokenizer', () => {
  test('gives back every text over its characters, whatever they are', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const tokenizer = CharacterTokenizer.fromText(text);
        const ids = tokenizer.encode(text);
        expect(tokenizer.decode(ids)).toBe(text);
        expect(ids.length).toBe([...text].length);
        const copy = CharacterTokenizer.fromJSON(JSON.parse(JSON.stringify(tokenizer)));
        expect(copy.encode(text)).toEqual(ids);
      }),
    );
  });

  test('sorts its vocabulary by code point, not by UTF-16 unit', () => {
    const tokenizer = CharacterTokenizer.fromText('b\u{1f600}a\uff5eb');
    expect(tokenizer.characters).toEqual(['a', 'b', '\uff5e', '\u{1f600}']);
    expect(tokenizer.size).toBe(4);
    expect([...tokenizer.encode('\u{1f600}ab')]).toEqual([3, 0, 1]);
  });

  test('encodes the empty text', () => {
    expect(CharacterTokenizer.fromText('a').encode('')).toEqual(new Int32Array(0));
  });

  test('names an unknown character and its position', () => {
    const tokenizer = CharacterTokenizer.fromText('ab\u{1f600}');
    expect(() => tokenizer.encode('a\u{1f600}bz')).toThrow('text holds "z" (U+007A) at position 4');
  });

  test('maps unknown characters where one stands for them', () => {
    const tokenizer = CharacterTokenizer.fromText('ab?', { unknown: '?' });
    expect(tokenizer.decode(tokenizer.encode('a\u{1f600}bz'))).toBe('a?b?');
    expect(CharacterTokenizer.fromJSON(tokenizer.toJSON()).unknown).toBe('?');
  });

  test.each([
    [[], undefined, 'characters is empty'],
    [['ab'], undefined, 'characters holds "ab"'],
    [['a', 'b', 'a'], undefined, 'characters holds "a" (U+0061) twice'],
    [['a'], '?', 'unknown is "?", which is not in the vocabulary'],
  ])('rejects the vocabulary %j with unknown %j', (characters, unknown, message) => {
    expect(() => new CharacterTokenizer(characters, { unknown })).toThrow(message);
  });

  test('rejects an empty text, foreign JSON and foreign ids', () => {
    expect(() => CharacterTokenizer.fromText('')).toThrow('text is empty');
    expect(() => CharacterTokenizer.fromJSON({ type: 'bpe' })).toThrow('json is {"type":"bpe"}');
    expect(() => CharacterTokenizer.fromJSON(null)).toThrow('json is null');
    expect(() => CharacterTokenizer.fromText('ab').decode([0, 2])).toThrow('ids[1] is 2');
  });
});
