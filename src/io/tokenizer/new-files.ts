import { type HuggingFaceTokenizer, tokenizerFromFiles } from './tokenizer.ts';

/** What a new tokenizer has beside its vocabulary. */
export interface NewTokenizerOptions {
  /** Tokens that text never becomes, such as marks between the turns of a chat. */
  readonly specialTokens?: readonly string[] | undefined;
  /** Put before a text by `addSpecial`. */
  readonly bosToken?: string | undefined;
  /** Ends a text; documents are joined by it. */
  readonly eosToken?: string | undefined;
  /** A Jinja template that writes conversations. */
  readonly chatTemplate?: string | undefined;
}

/** Special tokens, each once: those that were listed first. @throws RangeError for an empty one */
export function specialTokensOf(options: NewTokenizerOptions): string[] {
  const { specialTokens = [], bosToken, eosToken } = options;
  const all = [...specialTokens, bosToken, eosToken].filter((token) => token !== undefined);
  const empty = all.indexOf('');
  if (empty !== -1) {
    throw new RangeError(
      `specialTokens[${empty}] is empty; expected a text such as "<|end|>". Give it a name.`,
    );
  }
  return [...new Set(all)];
}

/** The parts of a tokenizer.json that differ between kinds of tokenizers. */
export interface NewParts {
  readonly model: Readonly<Record<string, unknown>>;
  readonly preTokenizer: object | null;
  readonly decoder: object;
}

/** Writes the files of a tokenizer and reads them. @param ids of the special tokens */
export function newTokenizer(
  parts: NewParts,
  ids: ReadonlyMap<string, number>,
  options: NewTokenizerOptions,
): HuggingFaceTokenizer {
  const { bosToken, eosToken, chatTemplate } = options;
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [...ids].map(([content, id]) => ({ id, content, ...flags, special: true })),
    normalizer: null,
    pre_tokenizer: parts.preTokenizer,
    post_processor: bosToken === undefined ? null : frame(bosToken, ids.get(bosToken) as number),
    decoder: parts.decoder,
    model: parts.model,
  };
  const config = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    clean_up_tokenization_spaces: false,
    ...(bosToken === undefined ? {} : { bos_token: bosToken }),
    ...(eosToken === undefined ? {} : { eos_token: eosToken }),
    additional_special_tokens: [...ids.keys()].filter(
      (token) => token !== bosToken && token !== eosToken,
    ),
    ...(chatTemplate === undefined ? {} : { chat_template: chatTemplate }),
  };
  return tokenizerFromFiles({
    tokenizerJson: `${JSON.stringify(tokenizer, undefined, 1)}\n`,
    tokenizerConfig: `${JSON.stringify(config, undefined, 2)}\n`,
  });
}

function frame(token: string, id: number): object {
  const begin = { SpecialToken: { id: token, type_id: 0 } };
  const text = { Sequence: { id: 'A', type_id: 0 } };
  return {
    type: 'TemplateProcessing',
    single: [begin, text],
    pair: [begin, text, { Sequence: { id: 'B', type_id: 1 } }],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
}

/** The fields of a BPE model as the format has them. */
export function bpeModel(
  vocabulary: readonly string[],
  merges: readonly (readonly [string, string])[],
  unknown: string | undefined,
): Readonly<Record<string, unknown>> {
  return {
    type: 'BPE',
    dropout: null,
    unk_token: unknown ?? null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
    merges,
  };
}
