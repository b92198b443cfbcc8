/** Pieces as SentencePiece writes them: a space before a word is this mark. */
const SPACE = '\u2581';
const SPECIAL = ['<unk>', '<s>', '</s>'] as const;
const BYTES = 256;

/** Kind of a token, as GGUF files number them. */
export const KIND = { normal: 1, unknown: 2, control: 3, byte: 6 } as const;

export interface Piece {
  readonly text: string;
  readonly kind: (typeof KIND)[keyof typeof KIND];
}

/**
 * A vocabulary as SentencePiece makes them: three special tokens, all bytes, and words that are
 * spelled by their number. Any text has tokens, if not few.
 */
export function vocabulary(size: number): Piece[] {
  if (size < SPECIAL.length + BYTES) {
    throw new RangeError(
      `vocabulary: size is ${size}; expected at least ${SPECIAL.length + BYTES}`,
    );
  }
  const special = SPECIAL.map((text, i) => ({ text, kind: i === 0 ? KIND.unknown : KIND.control }));
  const bytes = Array.from({ length: BYTES }, (_, byte) => {
    const text = `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
    return { text, kind: KIND.byte };
  });
  const rest = Array.from({ length: size - SPECIAL.length - BYTES }, (_, i) => {
    return { text: `${SPACE}w${SPECIAL.length + BYTES + i}`, kind: KIND.normal };
  });
  return [...special, ...bytes, ...rest];
}

/** The same vocabulary as tokenizer.json has it: byte pairs without merges, bytes for all else. */
export function tokenizerJson(pieces: readonly Piece[]): string {
  const special = pieces.flatMap(({ text, kind }, id) => {
    if (kind !== KIND.unknown && kind !== KIND.control) return [];
    const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
    return [{ id, content: text, special: true, ...flags }];
  });
  const replace = (from: string, to: string) => {
    return { type: 'Replace', pattern: { String: from }, content: to };
  };
  const [, begin] = SPECIAL;
  const start = { SpecialToken: { id: begin, type_id: 0 } };
  const first = { Sequence: { id: 'A', type_id: 0 } };
  return JSON.stringify({
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special,
    normalizer: {
      type: 'Sequence',
      normalizers: [{ type: 'Prepend', prepend: SPACE }, replace(' ', SPACE)],
    },
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing',
      single: [start, first],
      pair: [start, first, { Sequence: { id: 'B', type_id: 1 } }],
      special_tokens: {
        [begin]: { id: begin, ids: [SPECIAL.indexOf(begin)], tokens: [begin] },
      },
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        replace(SPACE, ' '),
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: SPECIAL[0],
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      vocab: Object.fromEntries(pieces.map(({ text }, id) => [text, id])),
      merges: [],
    },
  });
}

/** tokenizer_config.json beside it. */
export function tokenizerConfigJson(): string {
  const [unk_token, bos_token, eos_token] = SPECIAL;
  const names = { unk_token, bos_token, eos_token };
  return JSON.stringify({ tokenizer_class: 'LlamaTokenizer', add_bos_token: true, ...names });
}
