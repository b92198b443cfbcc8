/** How a tokenizer is written to JSON; `characters` is sorted by code point. */
export interface CharacterTokenizerJson {
  readonly type: 'character';
  readonly characters: readonly string[];
  readonly unknown?: string;
}

/** `unknown`: the character of the vocabulary that stands for every unknown one. */
export interface CharacterTokenizerOptions {
  readonly unknown?: string | undefined;
}

/**
 * Translates between text and ids, one id per Unicode code point.
 *
 * Ids run from 0 to `size - 1` in the order of the code points, so that the same set of characters
 * gives the same ids whatever the text they were collected from.
 */
export class CharacterTokenizer {
  /** The vocabulary: `characters[id]` is the text of an id. */
  readonly characters: readonly string[];
  /** The character that unknown ones become, or undefined where they are an error. */
  readonly unknown: string | undefined;
  readonly #ids: ReadonlyMap<string, number>;

  /**
   * @param characters single code points in any order, each once.
   * @throws RangeError if the list is empty, holds something else than single code points, holds
   *   one twice, or lacks the `unknown` character.
   */
  constructor(characters: readonly string[], options: CharacterTokenizerOptions = {}) {
    if (!Array.isArray(characters) || characters.length === 0) {
      throw new RangeError(
        'characters is empty; expected at least one character. Build the tokenizer from a text ' +
          'that is not empty.',
      );
    }
    for (const character of characters) {
      if (typeof character !== 'string' || Array.from(character).length !== 1) {
        throw new RangeError(
          `characters holds ${JSON.stringify(character)}; expected strings of one code point. ` +
            'Split longer strings into their characters.',
        );
      }
    }
    const sorted = [...characters].sort((left, right) => codePoint(left) - codePoint(right));
    const ids = new Map(sorted.map((character, id) => [character, id]));
    if (ids.size !== sorted.length) {
      const twice = sorted.find((character, id) => character === sorted[id + 1]) ?? '';
      throw new RangeError(
        `characters holds ${describe(twice)} twice; expected each character once. Remove one.`,
      );
    }
    if (options.unknown !== undefined && !ids.has(options.unknown)) {
      throw new RangeError(
        `unknown is ${JSON.stringify(options.unknown)}, which is not in the vocabulary; expected ` +
          `one of its ${sorted.length} characters. Choose one of them or add it to the text.`,
      );
    }
    this.characters = Object.freeze(sorted);
    this.unknown = options.unknown;
    this.#ids = ids;
  }

  /**
   * The tokenizer of all characters that occur in a text.
   *
   * @throws RangeError if the text is empty.
   */
  static fromText(text: string, options: CharacterTokenizerOptions = {}): CharacterTokenizer {
    if (text.length === 0) {
      throw new RangeError('text is empty; expected at least one character. Pass a text to learn.');
    }
    return new CharacterTokenizer([...new Set(text)], options);
  }

  /** @throws TypeError or RangeError if `json` is not what `toJSON` writes. */
  static fromJSON(json: unknown): CharacterTokenizer {
    const record = json as Partial<CharacterTokenizerJson> | null | undefined;
    if (
      typeof record !== 'object' ||
      record === null ||
      record.type !== 'character' ||
      !Array.isArray(record.characters) ||
      (record.unknown !== undefined && typeof record.unknown !== 'string')
    ) {
      throw new TypeError(
        `json is ${shorten(JSON.stringify(json))}; expected {"type": "character", "characters": ` +
          '[...]}. Pass what toJSON of a CharacterTokenizer returned.',
      );
    }
    return new CharacterTokenizer(record.characters, { unknown: record.unknown });
  }

  /** The number of ids. */
  get size(): number {
    return this.characters.length;
  }

  /**
   * The ids of a text, shape [code points of the text].
   *
   * @throws RangeError for a character outside the vocabulary, unless `unknown` was given; it names
   *   the character and its position in UTF-16 units, as in `text[position]`.
   */
  encode(text: string): Int32Array {
    const ids = new Int32Array(text.length);
    const standIn = this.unknown === undefined ? undefined : this.#ids.get(this.unknown);
    let count = 0;
    let position = 0;
    for (const character of text) {
      const id = this.#ids.get(character) ?? standIn;
      if (id === undefined) {
        throw new RangeError(
          `text holds ${describe(character)} at position ${position}, which is not among the ` +
            `${this.size} characters of the vocabulary. Remove it, or build the tokenizer from a ` +
            'text that holds it, or with an unknown character to stand for it.',
        );
      }
      ids[count] = id;
      count += 1;
      position += character.length;
    }
    return ids.slice(0, count);
  }

  /**
   * The text of ids.
   *
   * @throws RangeError for an id that is not an integer from 0 to `size - 1`.
   */
  decode(ids: ArrayLike<number>): string {
    const parts: string[] = [];
    for (let index = 0; index < ids.length; index += 1) {
      const character = this.characters[ids[index] as number];
      if (character === undefined) {
        throw new RangeError(
          `ids[${index}] is ${ids[index]}; expected an integer from 0 to ${this.size - 1}. ` +
            'Decode ids with the tokenizer that they were made for.',
        );
      }
      parts.push(character);
    }
    return parts.join('');
  }

  toJSON(): CharacterTokenizerJson {
    const json: CharacterTokenizerJson = { type: 'character', characters: this.characters };
    return this.unknown === undefined ? json : { ...json, unknown: this.unknown };
  }
}

function codePoint(character: string): number {
  return character.codePointAt(0) ?? 0;
}

function describe(character: string): string {
  const code = codePoint(character).toString(16).toUpperCase().padStart(4, '0');
  return `${JSON.stringify(character)} (U+${code})`;
}

function shorten(text: string | undefined): string {
  const known = text ?? 'undefined';
  return known.length <= 80 ? known : `${known.slice(0, 77)}...`;
}
