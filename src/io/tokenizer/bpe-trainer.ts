import { CHARACTER_OF_BYTE } from './byte-alphabet.ts';
import { Fields } from './fields.ts';
import { learnMerges } from './learn-merges.ts';
import { bpeModel, type NewTokenizerOptions, newTokenizer, specialTokensOf } from './new-files.ts';
import { createPreTokenizer } from './pre-tokenizers.ts';
import type { HuggingFaceTokenizer } from './tokenizer.ts';

/** How texts are cut into words, over whose borders no token reaches. */
export type WordPattern = 'gpt2' | 'llama3' | 'qwen2';

export interface TrainTokenizerOptions extends NewTokenizerOptions {
  /** Tokens in all: the special ones, 256 bytes, and what is learnt. */
  readonly vocabSize: number;
  /** GPT-2's words (default); Llama 3's, with up to three digits; Qwen 2's, with single digits. */
  readonly pattern?: WordPattern | undefined;
  /** How often a pair must occur to become a token (default 2). */
  readonly minFrequency?: number | undefined;
}

/**
 * Learns a byte-level BPE tokenizer (Sennrich et al. 2016; bytes as in GPT-2): the most frequent
 * pair of neighbours becomes a token until there are enough. It can write every text. Equal
 * frequencies are decided by the lower ids, as HuggingFace's trainer does, so that the same texts
 * give the same tokenizer, whatever their order. Special tokens have the first ids.
 *
 * If the texts have too few pairs, it ends with fewer tokens than `vocabSize`.
 *
 * @throws RangeError for a `vocabSize` that has no room for bytes and special tokens, a pattern
 *   that is not known, or texts without a character
 */
export function trainTokenizer(
  texts: Iterable<string>,
  options: TrainTokenizerOptions,
): HuggingFaceTokenizer {
  const { vocabSize, pattern = 'gpt2', minFrequency = 2 } = options;
  const special = specialTokensOf(options);
  const least = special.length + CHARACTER_OF_BYTE.length;
  if (!Number.isInteger(vocabSize) || vocabSize < least) {
    throw new RangeError(
      `vocabSize is ${vocabSize}; expected an integer of at least ${least}: 256 bytes and ` +
        `${special.length} special tokens. Try ${least + 256} or more.`,
    );
  }
  if (!Number.isInteger(minFrequency) || minFrequency < 1) {
    throw new RangeError(
      `minFrequency is ${minFrequency}; expected an integer of at least 1. Try 2.`,
    );
  }
  const preTokenizer = preTokenizerOf(pattern);
  const letters = [...CHARACTER_OF_BYTE].sort();
  const { tokens, merges } = learnMerges({
    words: countWords(texts, preTokenizer),
    letters,
    firstId: special.length,
    size: vocabSize,
    minFrequency,
  });
  const vocabulary = [...special, ...tokens];
  const parts = {
    model: bpeModel(vocabulary, merges, undefined),
    preTokenizer,
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
  };
  return newTokenizer(parts, new Map(special.map((token, id) => [token, id])), options);
}

const BYTES_ONLY = {
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: false,
};

function preTokenizerOf(pattern: WordPattern): Readonly<Record<string, unknown>> {
  switch (pattern) {
    case 'gpt2':
      return { ...BYTES_ONLY, use_regex: true };
    case 'llama3':
      return words('\\p{N}{1,3}');
    case 'qwen2':
      return words('\\p{N}');
    default:
      pattern satisfies never;
      throw new RangeError(
        `pattern is ${JSON.stringify(pattern)}; expected "gpt2", "llama3" or "qwen2". Try "gpt2".`,
      );
  }
}

/** Contractions, words with one sign before them, digits, signs, line ends, spaces. */
function words(digits: string): Readonly<Record<string, unknown>> {
  const expression = [
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)",
    '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+',
    digits,
    ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*',
    '\\s*[\\r\\n]+',
    '\\s+(?!\\S)',
    '\\s+',
  ].join('|');
  const split = { type: 'Split', pattern: { Regex: expression }, behavior: 'Isolated' };
  return { type: 'Sequence', pretokenizers: [{ ...split, invert: false }, BYTES_ONLY] };
}

/** How often each word occurs, in the byte alphabet. */
function countWords(
  texts: Iterable<string>,
  preTokenizer: Readonly<Record<string, unknown>>,
): Map<string, number> {
  const cut = createPreTokenizer(new Fields('tokenizer.json'), preTokenizer, 'pre_tokenizer');
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const word of cut([text.toWellFormed()], true)) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  if (counts.size === 0) {
    throw new RangeError('texts has no character; expected a text to learn from. Pass one.');
  }
  return counts;
}
