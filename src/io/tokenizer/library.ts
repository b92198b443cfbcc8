import * as library from '@huggingface/tokenizers';

/** The parts of `@huggingface/tokenizers` that are used here, each by itself. */
export interface LibraryParts {
  readonly normalizer: { normalize(text: string): string } | null;
  readonly pre_tokenizer: { pre_tokenize(pieces: string[]): string[] } | null;
  readonly model: {
    readonly tokens_to_ids: ReadonlyMap<string, number>;
    readonly unk_token_id: number | undefined;
    /** Pieces of text to tokens; unknown ones are joined where the model says so. */
    _call(pieces: string[]): string[];
  };
}

// The package's declarations lead to files without endings, which TypeScript does not follow.
const { Tokenizer, SplitPreTokenizer } = library as unknown as {
  readonly Tokenizer: new (tokenizer: object, config: object) => LibraryParts;
  readonly SplitPreTokenizer: new (config: object) => { readonly pattern: RegExp | null };
};

/** Builds one part, given as in a tokenizer.json. @throws Error for a type that is not known */
export function libraryParts(
  part: Readonly<Partial<Record<keyof LibraryParts, unknown>>>,
): LibraryParts {
  const empty = {
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    model: { type: 'BPE', vocab: {}, merges: [] },
    post_processor: null,
    decoder: null,
  };
  return new Tokenizer({ ...empty, ...part }, {});
}

/** A pattern as an expression of JavaScript. @throws SyntaxError if it has none */
export function libraryPattern(pattern: object): RegExp | null {
  return new SplitPreTokenizer({ type: 'Split', pattern, behavior: 'Isolated', invert: true })
    .pattern;
}
