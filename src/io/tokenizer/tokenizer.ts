import { type AddedToken, type Section, TokenFinder } from './added-tokens.ts';
import { ChatWriter } from './chat-template.ts';
import { describeFiles, type TokenizerFiles } from './files.ts';
import { LiteralSpecials, SpecialPatterns } from './literal-specials.ts';
import { createModel, type TokenizerModel, UnknownText } from './model.ts';
import { createNormalizer, type Normalizer } from './normalizers.ts';
import { type Frame, type FramePiece, parseFrame } from './post-processor.ts';
import { createPreTokenizer, type PreTokenizer } from './pre-tokenizers.ts';
import { createDecoder, type TokenDecoder } from './token-bytes.ts';
import type { ChatMessage, ChatOptions, DecodeOptions, EncodeOptions, Tokenizer } from './types.ts';

/** Two texts as one row of ids; `typeIds` tells which token belongs to which. */
export interface EncodedPair {
  readonly ids: Int32Array;
  readonly typeIds: Int32Array;
}

/**
 * A tokenizer from the contents of its files; also for browsers.
 *
 * @throws Error naming file and field for what is damaged or not known
 */
export function tokenizerFromFiles(files: TokenizerFiles): HuggingFaceTokenizer {
  return new HuggingFaceTokenizer(files);
}

/** The tokenizer of a HuggingFace directory: tokenizer.json with the files around it. */
export class HuggingFaceTokenizer implements Tokenizer {
  readonly size: number;
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
  readonly #files: TokenizerFiles;
  readonly #normalizer: Normalizer | undefined;
  readonly #preTokenizer: PreTokenizer | undefined;
  readonly #model: TokenizerModel;
  readonly #frame: Frame;
  readonly #decoder: TokenDecoder;
  readonly #chat: ChatWriter;
  readonly #added: ReadonlyMap<string, AddedToken>;
  readonly #specialIds: ReadonlySet<number>;
  readonly #specialPatterns: SpecialPatterns;
  /** Added tokens as they stand in a text, and in its normalised form. */
  readonly #plainFinder: TokenFinder;
  readonly #normalizedFinder: TokenFinder;
  readonly #tokens: string[] = [];
  /** The bytes of tokens inside a text, as they were asked for. */
  readonly #bytes: Uint8Array[] = [];

  constructor(files: TokenizerFiles) {
    const { fields, tokenizer, added, templates, roles, endIds } = describeFiles(files);
    const part = <T>(name: string, create: (value: Readonly<Record<string, unknown>>) => T) => {
      const value = fields.optionalPart(tokenizer[name], name);
      return value === undefined ? undefined : create(value);
    };
    this.#files = files;
    this.#normalizer = part('normalizer', (value) => createNormalizer(fields, value, 'normalizer'));
    this.#preTokenizer = part('pre_tokenizer', (value) =>
      createPreTokenizer(fields, value, 'pre_tokenizer'),
    );
    const specialTexts = added.filter(({ special }) => special).map(({ content }) => content);
    this.#specialPatterns = new SpecialPatterns(specialTexts);
    this.#model = createModel(
      fields,
      fields.part(tokenizer['model'], 'model'),
      new Set(specialTexts),
    );
    this.#frame = parseFrame(fields, tokenizer['post_processor'], 'post_processor');
    this.#decoder = createDecoder(fields, tokenizer['decoder']);
    this.#chat = new ChatWriter(templates, roles);

    this.#added = new Map(added.map((token) => [token.content, token]));
    this.#specialIds = new Set(added.filter(({ special }) => special).map(({ id }) => id));
    const later = (token: AddedToken) => token.normalized && this.#normalizer !== undefined;
    this.#plainFinder = new TokenFinder(
      added.filter((token) => !later(token)).map((token) => [token.content, token]),
    );
    this.#normalizedFinder = new TokenFinder(
      added.filter(later).map((token) => [this.#normalized(token.content), token]),
    );
    for (const [token, id] of this.#model.ids) this.#tokens[id] = token;
    for (const { content, id } of added) this.#tokens[id] = content;
    this.size = this.#tokens.length;
    this.bosId = this.#roleId(roles['bos_token']);
    const eosId = this.#roleId(roles['eos_token']);
    this.eosIds = [...new Set([...(eosId === undefined ? [] : [eosId]), ...endIds])];
  }

  get hasChat(): boolean {
    return this.#chat.hasTemplate;
  }

  encode(text: string, options: EncodeOptions = {}): Int32Array {
    const { addSpecial = false, parseSpecial = false } = options;
    const ids = this.#encodeText(text, parseSpecial);
    return Int32Array.from(addSpecial ? framed(this.#frame.single, { A: ids }).ids : ids);
  }

  /** Two texts, such as a question and an answer, framed by special tokens if `addSpecial`. */
  encodePair(first: string, second: string, options: EncodeOptions = {}): EncodedPair {
    const { addSpecial = false, parseSpecial = false } = options;
    const texts = {
      A: this.#encodeText(first, parseSpecial),
      B: this.#encodeText(second, parseSpecial),
    };
    const frame = this.#frame.pair.filter((piece) => addSpecial || 'text' in piece);
    const { ids, types } = framed(frame, texts);
    return { ids: Int32Array.from(ids), typeIds: Int32Array.from(types) };
  }

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const kept = Array.from(ids).filter((id, index) => {
      requireId(id, `ids[${index}]`);
      return this.#tokens[id] !== undefined && !(options.skipSpecial && this.#specialIds.has(id));
    });
    const end = kept.length - 1;
    const parts = kept.map((id, index) =>
      index > 0 && index < end
        ? this.bytesOf(id)
        : this.#decoder.bytesOf(this.#tokens[id], { first: index === 0, last: index === end }),
    );
    return this.#decoder.trim(decodeUtf8(parts));
  }

  bytesOf(id: number): Uint8Array {
    requireId(id, 'id');
    let bytes = this.#bytes[id];
    if (bytes === undefined) {
      const token = this.#tokens[id];
      const inside = { first: false, last: false };
      bytes = token === undefined ? new Uint8Array() : this.#decoder.bytesOf(token, inside);
      if (token !== undefined) this.#bytes[id] = bytes;
    }
    return bytes;
  }

  idOf(token: string): number | undefined {
    return this.#added.get(token)?.id ?? this.#model.ids.get(token);
  }

  tokenOf(id: number): string | undefined {
    return this.#tokens[id];
  }

  isSpecial(id: number): boolean {
    return this.#specialIds.has(id);
  }

  renderChat(messages: readonly ChatMessage[], options: ChatOptions = {}): string {
    return this.#chat.render(messages, options);
  }

  encodeChat(messages: readonly ChatMessage[], options: ChatOptions = {}): Int32Array {
    const { tools, variables } = options;
    const taken = JSON.stringify([messages, tools, variables]);
    const literals = new LiteralSpecials(this.#specialPatterns, taken);
    const text = this.#chat.render(messages, options, literals);
    const ids: number[] = [];
    for (const section of this.#plainFinder.split(text, true, true)) {
      if ('id' in section) ids.push(section.id);
      else {
        const restored = { text: literals.restore(section.text), first: section.first };
        this.#encodeSection(restored, !literals.touches(section.text), ids);
      }
    }
    return Int32Array.from(ids);
  }

  files(): ReadonlyMap<string, string> {
    const { tokenizerJson, tokenizerConfig, chatTemplate, specialTokensMap } = this.#files;
    const files: [string, string | undefined][] = [
      ['tokenizer.json', tokenizerJson],
      ['tokenizer_config.json', tokenizerConfig],
      ['chat_template.jinja', chatTemplate],
      ['special_tokens_map.json', specialTokensMap],
    ];
    return new Map(files.filter((file): file is [string, string] => file[1] !== undefined));
  }

  #encodeText(text: string, parseSpecial: boolean): number[] {
    const ids: number[] = [];
    try {
      for (const section of this.#plainFinder.split(text, true, parseSpecial)) {
        if ('id' in section) ids.push(section.id);
        else this.#encodeSection(section, parseSpecial, ids);
      }
    } catch (error) {
      throw error instanceof UnknownText ? error.within(text) : error;
    }
    return ids;
  }

  /** Text without the added tokens that are found before it is normalised. */
  #encodeSection(
    section: Extract<Section, { text: string }>,
    parseSpecial: boolean,
    ids: number[],
  ): void {
    const text = this.#normalized(section.text.toWellFormed());
    for (const part of this.#normalizedFinder.split(text, section.first, parseSpecial)) {
      if ('id' in part) ids.push(part.id);
      else {
        const pieces = this.#preTokenizer?.([part.text], part.first) ?? [part.text];
        for (const piece of pieces) this.#model.encode(piece, ids);
      }
    }
  }

  #normalized(text: string): string {
    return this.#normalizer === undefined || text === '' ? text : this.#normalizer(text);
  }

  #roleId(token: string | undefined): number | undefined {
    return token === undefined ? undefined : this.idOf(token);
  }
}

function framed(
  frame: readonly FramePiece[],
  texts: { readonly A: readonly number[]; readonly B?: readonly number[] },
): { ids: number[]; types: number[] } {
  const ids: number[] = [];
  const types: number[] = [];
  for (const piece of frame) {
    for (const id of 'text' in piece ? (texts[piece.text] ?? []) : piece.ids) {
      ids.push(id);
      types.push(piece.type);
    }
  }
  return { ids, types };
}

function decodeUtf8(parts: readonly Uint8Array[]): string {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}

function requireId(id: number, name: string): void {
  if (!Number.isInteger(id) || id < 0) {
    throw new RangeError(`${name} is ${id}; expected a token id. Pass integers from 0 on.`);
  }
}
