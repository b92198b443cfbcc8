import { bpeModel, type NewTokenizerOptions, newTokenizer, specialTokensOf } from './new-files.ts';
import type { HuggingFaceTokenizer } from './tokenizer.ts';

/** `unknown`: the character of the text that stands for every unknown one. */
export interface CharacterOptions extends NewTokenizerOptions {
  readonly unknown?: string | undefined;
}

/**
 * A tokenizer with one token for each Unicode character of a text. Ids run in the order of the code
 * points, so that the same set of characters gives the same ids whatever the text; special tokens
 * come behind. In tokenizer.json it is a BPE without merges.
 *
 * Encoding throws a RangeError for a character that the text has not, unless `unknown` is given.
 *
 * @throws RangeError if the text is empty or has no `unknown` in it
 */
export function characterTokenizer(
  text: string,
  options: CharacterOptions = {},
): HuggingFaceTokenizer {
  if (text === '') {
    throw new RangeError('text is empty; expected at least one character. Pass a text to learn.');
  }
  const point = (character: string) => character.codePointAt(0) as number;
  const characters = [...new Set(text.toWellFormed())].sort((a, b) => point(a) - point(b));
  const { unknown } = options;
  if (unknown !== undefined && !characters.includes(unknown)) {
    throw new RangeError(
      `unknown is ${JSON.stringify(unknown)}, which is not in the text; expected one of its ` +
        `${characters.length} characters. Choose one of them or add it to the text.`,
    );
  }
  const special = specialTokensOf(options);
  const taken = special.find((token) => characters.includes(token));
  if (taken !== undefined) {
    throw new RangeError(
      `specialTokens holds ${JSON.stringify(taken)}, which is a character of the text; expected ` +
        'a name that is none. Use a longer one, such as "<|end|>".',
    );
  }
  const ids = new Map(special.map((token, index) => [token, characters.length + index]));
  const parts = {
    model: bpeModel(characters, [], unknown),
    preTokenizer: null,
    decoder: { type: 'Fuse' },
  };
  return newTokenizer(parts, ids, options);
}
