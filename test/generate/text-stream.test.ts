import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TextStream } from '../../src/generate/index.ts';
import { loadTokenizer } from '../../src/io/index.ts';
import { BOS, byteTokenizer as bytes, EOS } from '../support/byte-tokenizer.ts';
import { describeWithFixtures } from '../support/fixtures.ts';

const byteTokenizer = bytes({ bos: true, eos: true });

const bytesOf = (text: string) => [...byteTokenizer.encode(text)];

function stream(ids: readonly number[], stop?: string | string[]) {
  const text = new TextStream(byteTokenizer, { stop });
  const pieces: string[] = [];
  for (const id of ids) {
    pieces.push(text.push(id));
    if (text.stopped) break;
  }
  pieces.push(text.end());
  return pieces;
}

test('pieces joined are the text, and none splits a character', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const pieces = stream(bytesOf(text));
      expect(pieces.join('')).toBe(text);
      for (const piece of pieces) expect(piece.isWellFormed()).toBe(true);
    }),
  );
});

test('a cut anywhere leaves whole characters, the beginning of the text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(), (text, n) => {
      const ids = bytesOf(text.toWellFormed());
      const given = stream(ids.slice(0, n % (ids.length + 1))).join('');
      expect(text.toWellFormed().startsWith(given)).toBe(true);
      expect(given.isWellFormed()).toBe(true);
    }),
  );
});

test('a stop text is found wherever tokens end', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', 'b', 'é', '💡') }),
      fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'é', '💡'), minLength: 1 }), {
        minLength: 1,
        maxLength: 3,
      }),
      (text, stops) => {
        const cuts = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
        const wanted = cuts.length === 0 ? text : text.slice(0, Math.min(...cuts));
        const pieces = stream(bytesOf(text), stops);
        expect(pieces.join('')).toBe(wanted);
        for (const piece of pieces) expect(piece.isWellFormed()).toBe(true);
      },
    ),
  );
});

test('bytes that are no character become U+FFFD, special tokens nothing', () => {
  expect(stream([0x61, 0xff, 0x62]).join('')).toBe('a\uFFFDb');
  expect(stream([0xc3, 0x61]).join('')).toBe('\uFFFDa');
  expect(stream([BOS, 0x61, EOS, 0xef, 0xbb, 0xbf]).join('')).toBe('a\uFEFF');
});

describeWithFixtures('of tokenizers', (fixtures) => {
  test.each(['spm-bpe', 'spm-bpe-legacy', 'gpt2-bpe', 'qwen-bpe', 'llama3-bpe'])(
    '%s: pieces joined are what decode gives',
    async (name) => {
      const tokenizer = await loadTokenizer(join(fixtures, 'tokenizers', name));
      for (const text of ['Once upon a time', ' two  spaces', 'naïve café 💡 日本語', 'x\n\n y']) {
        const ids = tokenizer.encode(text);
        const written = new TextStream(tokenizer, { fresh: true });
        const joined = Array.from(ids, (id) => written.push(id)).join('') + written.end();
        expect(joined).toBe(tokenizer.decode(ids));
      }
    },
  );
});

test('an answer begins without a single space, and with the spaces of an indentation', () => {
  const answer = (ids: readonly number[]) => {
    const text = new TextStream(byteTokenizer, { answer: true });
    return ids.map((id) => text.push(id)).join('') + text.end();
  };
  expect(answer([EOS, ...bytesOf(' ann lives here. ')])).toBe('ann lives here. ');
  expect(answer(bytesOf('ann'))).toBe('ann');
  const words = { ...byteTokenizer, bytesOf: () => new TextEncoder().encode('  return') };
  expect(new TextStream(words, { answer: true }).push(65)).toBe('  return');
});
