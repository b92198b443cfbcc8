import { CharacterTokenizer } from '../../src/data/index.ts';
import type { Tokenizer } from '../../src/io/tokenizer/types.ts';
import { Llama, llamaConfig } from '../../src/models/index.ts';
import { random } from '../../src/tensor/index.ts';
import { byteTokenizer } from './byte-tokenizer.ts';

/** A text that a tiny model learns in a few dozen steps. */
export const TEXT = 'the cat sat on the mat. the dog sat on the log.\n'.repeat(40);

export const tokenizer = CharacterTokenizer.fromText(TEXT);

/** The same as engines take it, without the libraries of other tokenizers. */
export const textTokenizer: Tokenizer = {
  ...byteTokenizer(),
  size: tokenizer.size,
  encode: (text) => tokenizer.encode(text),
  decode: (ids) => tokenizer.decode(ids),
  bytesOf: (id) => new TextEncoder().encode(tokenizer.decode([id])),
  isSpecial: () => false,
};

/** A llama of a few thousand parameters for `TEXT`, the same for the same seed. */
export function tinyModel(seed = 1, context = 24): Llama {
  random.seed(seed);
  return new Llama(
    llamaConfig({
      vocab_size: tokenizer.size,
      hidden_size: 16,
      intermediate_size: 40,
      num_hidden_layers: 2,
      num_attention_heads: 2,
      max_position_embeddings: context,
    }),
  );
}
