import { type Fields, isId, type Part } from './fields.ts';
import { type LibraryParts, libraryParts } from './library.ts';

/** The vocabulary, and how pieces of text are cut into its tokens. */
export interface TokenizerModel {
  readonly ids: ReadonlyMap<string, number>;
  /** Adds the ids of a piece. @throws RangeError for a character that the vocabulary cannot say */
  encode(piece: string, ids: number[]): void;
}

/**
 * The model of a tokenizer.json: BPE, Unigram and WordPiece as the library computes them, and
 * WordLevel, which it does not know.
 *
 * @param special texts that no piece may become, whatever a user writes
 * @throws Error naming the field that is not as it should be
 */
export function createModel(
  fields: Fields,
  part: Part,
  special: ReadonlySet<string>,
): TokenizerModel {
  const kind = kindOf(part);
  const ids = vocabularyOf(fields, part, kind);
  switch (kind) {
    case 'WordLevel':
      return wordLevel(fields, part, ids, special);
    case 'BPE':
      checkMerges(fields, part, ids);
      return (part['merges'] as unknown[]).length === 0
        ? characterModel(part, ids, special)
        : libraryModel(fields, { ...part, type: kind, vocab: without(ids, special, part) }, ids);
    case 'WordPiece':
      return libraryModel(fields, { ...part, type: kind, vocab: without(ids, special, part) }, ids);
    case 'Unigram':
      return libraryModel(fields, { ...part, type: kind, vocab: unsayable(part, special) }, ids);
    default:
      return fields.fail('model.type', kind, '"BPE", "WordPiece", "Unigram" or "WordLevel"');
  }
}

/** Older files name no type. */
function kindOf(part: Part): unknown {
  if (part['type'] !== undefined) return part['type'];
  if (Array.isArray(part['vocab'])) return 'Unigram';
  if (part['merges'] !== undefined) return 'BPE';
  return part['continuing_subword_prefix'] === undefined ? 'WordLevel' : 'WordPiece';
}

function vocabularyOf(fields: Fields, part: Part, kind: unknown): ReadonlyMap<string, number> {
  if (kind !== 'Unigram') {
    const vocabulary = fields.part(part['vocab'], 'model.vocab');
    const ids = new Map<string, number>();
    // Names for errors are made for errors alone: there may be hundreds of thousands of tokens.
    for (const token of Object.keys(vocabulary)) {
      const id = vocabulary[token];
      ids.set(token, isId(id) ? id : fields.id(id, `model.vocab[${JSON.stringify(token)}]`));
    }
    return ids;
  }
  const list = fields.list(part['vocab'], 'model.vocab');
  const unknown = part['unk_id'] ?? undefined;
  if (unknown !== undefined && fields.id(unknown, 'model.unk_id') >= list.length) {
    fields.fail('model.unk_id', unknown, `an id below the ${list.length} of model.vocab`);
  }
  return new Map(
    list.map((entry, id) => {
      const [token, score] = fields.list(entry, `model.vocab[${id}]`);
      if (typeof score !== 'number') {
        fields.fail(`model.vocab[${id}]`, entry, 'a token and its score');
      }
      return [fields.text(token, `model.vocab[${id}][0]`), id];
    }),
  );
}

function checkMerges(fields: Fields, part: Part, ids: ReadonlyMap<string, number>): void {
  for (const name of ['continuing_subword_prefix', 'dropout'] as const) {
    if (part[name])
      fields.fail(`model.${name}`, part[name], 'none, which is all that is supported');
  }
  const unknown = part['unk_token'];
  if (typeof unknown === 'string' && !ids.has(unknown)) {
    fields.fail('model.unk_token', unknown, 'a token of model.vocab');
  }
  fields.list(part['merges'], 'model.merges').forEach((merge, index) => {
    const pair = typeof merge === 'string' ? merge.split(' ') : merge;
    const sound = Array.isArray(pair) && pair.length === 2 && ids.has(pair.join(''));
    if (!sound) {
      fields.fail(`model.merges[${index}]`, merge, 'two texts that join to a token of model.vocab');
    }
  });
}

/** The vocabulary without special tokens: the library would take a piece for one that spells it. */
function without(
  ids: ReadonlyMap<string, number>,
  special: ReadonlySet<string>,
  part: Part,
): Record<string, number> {
  return Object.fromEntries(
    [...ids].filter(([token]) => !special.has(token) || token === part['unk_token']),
  );
}

/** In a Unigram the place of a token is its id: special ones get a text that no string holds. */
function unsayable(part: Part, special: ReadonlySet<string>): unknown[] {
  return (part['vocab'] as [string, number][]).map(([token, score], id) =>
    special.has(token) && id !== part['unk_id'] ? [`\ud800${id}`, score] : [token, score],
  );
}

function libraryModel(
  fields: Fields,
  part: Part,
  ids: ReadonlyMap<string, number>,
): TokenizerModel {
  let known: LibraryParts['model'];
  try {
    ({ model: known } = libraryParts({ model: part }));
  } catch (error) {
    throw fields.fail('model', part['type'], `a sound model (${(error as Error).message})`);
  }
  const unknown = known.unk_token_id;
  const suffix = part['end_of_word_suffix'];
  // Without an unknown token BPE leaves out what it cannot say.
  const mayDrop = part['type'] === 'BPE' && unknown === undefined && !suffix;
  const cut = part['type'] === 'BPE' ? safeCut(ids) : undefined;
  const tokensOf = (piece: string): number[] => {
    const found: number[] = [];
    let length = 0;
    for (const token of known._call([piece])) {
      const id = known.tokens_to_ids.get(token) ?? unknown;
      if (id === undefined) throw new UnknownText(token, ids.size);
      found.push(id);
      length += token.length;
    }
    if (mayDrop && length < piece.length) {
      const missing = [...piece].find((letter) => !ids.has(letter));
      throw new UnknownText(missing ?? piece, ids.size);
    }
    return found;
  };
  const words = new Map<string, readonly number[]>();
  const encodeWord = (piece: string, out: number[]): void => {
    let found = words.get(piece);
    if (found === undefined) {
      found = tokensOf(piece);
      if (words.size >= WORDS_KEPT) words.clear();
      if (piece.length <= LONGEST_KEPT) words.set(piece, found);
    }
    for (const id of found) out.push(id);
  };
  return {
    ids,
    encode(piece, out) {
      if (cut === undefined) encodeWord(piece, out);
      else for (const word of piece.split(cut)) encodeWord(word, out);
    },
  };
}

/** A text has most words many times; the library's own cache reorders itself at each look. */
const WORDS_KEPT = 20_000;
const LONGEST_KEPT = 64;

/**
 * Where a text can be cut without changing a bit of what BPE makes of it: before the mark of a space
 * that follows something else, if no token holds such a place. Words are found in the library's
 * cache then, and a book is not one long queue.
 */
function safeCut(ids: ReadonlyMap<string, number>): RegExp | undefined {
  if (!ids.has('\u2581')) return undefined;
  for (const token of ids.keys()) {
    if (/[^\u2581]\u2581/u.test(token)) return undefined;
  }
  return /(?<=[^\u2581])(?=\u2581)/u;
}

/** What a text holds and the vocabulary cannot say. */
export class UnknownText extends RangeError {
  readonly text: string;
  readonly size: number;

  /** @param size of the vocabulary */
  constructor(text: string, size: number) {
    super(unknownMessage(text, size, ''));
    this.text = text;
    this.size = size;
  }

  /** The same with where it stands in the text that was to be encoded. */
  within(text: string): RangeError {
    const position = text.indexOf(this.text);
    const where = position === -1 ? '' : ` at position ${position}`;
    return new RangeError(unknownMessage(this.text, this.size, where));
  }
}

function unknownMessage(text: string, size: number, where: string): string {
  const code = (text.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  const name = [...text].length === 1 ? ` (U+${code})` : '';
  return (
    `text holds ${JSON.stringify(text)}${name}${where}, which is not among the ${size} tokens of ` +
    'the vocabulary. Remove it, or use a tokenizer that knows it.'
  );
}

/** BPE without merges has one token for each character; no queue is needed for that. */
function characterModel(
  part: Part,
  ids: ReadonlyMap<string, number>,
  special: ReadonlySet<string>,
): TokenizerModel {
  const unknown = typeof part['unk_token'] === 'string' ? ids.get(part['unk_token']) : undefined;
  const bytes = part['byte_fallback'] === true;
  const fuse = part['fuse_unk'] === true;
  return {
    ids,
    encode(piece, out) {
      let missing = false;
      for (const letter of piece) {
        const id = special.has(letter) ? undefined : ids.get(letter);
        const parts = id === undefined && bytes ? byteTokens(letter, ids) : undefined;
        if (id !== undefined) out.push(id);
        else if (parts !== undefined) out.push(...parts);
        else if (unknown === undefined) throw new UnknownText(letter, ids.size);
        else if (!(fuse && missing)) out.push(unknown);
        missing = id === undefined && parts === undefined;
      }
    },
  };
}

function byteTokens(letter: string, ids: ReadonlyMap<string, number>): number[] | undefined {
  const tokens = Array.from(new TextEncoder().encode(letter), (byte) =>
    ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
  );
  return tokens.every((id) => id !== undefined) ? (tokens as number[]) : undefined;
}

function wordLevel(
  fields: Fields,
  part: Part,
  ids: ReadonlyMap<string, number>,
  special: ReadonlySet<string>,
): TokenizerModel {
  const unknown = ids.get(fields.text(part['unk_token'] ?? '', 'model.unk_token'));
  return {
    ids,
    encode(piece, out) {
      const id = (special.has(piece) ? undefined : ids.get(piece)) ?? unknown;
      if (id === undefined) throw new UnknownText(piece, ids.size);
      out.push(id);
    },
  };
}
