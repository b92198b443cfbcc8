import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { tokenizerFromFiles } from '../../../src/io/tokenizer/tokenizer.ts';
import { FIXTURES } from '../../support/fixtures.ts';

const DATA = join(FIXTURES, '..', 'data', 'tokenizers');

describe.skipIf(!existsSync(DATA))(`GPT-2's own vocabulary (from ${DATA})`, () => {
  const tokenizer = existsSync(DATA)
    ? tokenizerFromFiles({ tokenizerJson: JSON.stringify(gpt2()) })
    : (undefined as never);

  test("gives llama.cpp's ids for its test texts", () => {
    const read = (ending: string) =>
      readFileSync(join(DATA, 'llama.cpp-vocab', `ggml-vocab-gpt-2.gguf.${ending}`), 'utf8');
    const texts = read('inp').split('\n__ggml_vocab_test__\n').slice(0, 46);
    const lines = read('out').split('\n').slice(0, 46);
    expect(texts).toHaveLength(46);
    texts.forEach((text, index) => {
      const wanted = lines[index].trim().split(' ').filter(Boolean).map(Number);
      expect([...tokenizer.encode(text)], JSON.stringify(text)).toEqual(wanted);
      expect(tokenizer.decode(wanted)).toBe(text);
    });
  });

  test('a byte is a token, a text is its bytes', () => {
    const ids = tokenizer.encode('\u706f\u5854 \u{1f600}');
    const bytes = Buffer.concat([...ids].map((id) => tokenizer.bytesOf(id)));
    expect(bytes.toString('utf8')).toBe('\u706f\u5854 \u{1f600}');
    expect(tokenizer.decode(ids.subarray(0, 1))).toContain('\ufffd');
  });
});

/** What a tokenizer.json says of the two files that GPT-2 came with. */
function gpt2(): object {
  const read = (name: string) => readFileSync(join(DATA, 'gpt2', name), 'utf8');
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const end = { id: 50256, content: '<|endoftext|>', special: true, normalized: false };
  return {
    version: '1.0',
    added_tokens: [end],
    normalizer: null,
    pre_tokenizer: bytes,
    post_processor: null,
    decoder: bytes,
    model: {
      type: 'BPE',
      vocab: JSON.parse(read('encoder.json')),
      merges: read('vocab.bpe').trimEnd().split('\n').slice(1),
    },
  };
}
