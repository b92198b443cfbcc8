import { escapePattern } from '../../base/pattern.ts';
import type { Fields } from './fields.ts';

/** A token that is found in a text before the model sees it. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** Only where no letter, digit or underscore touches it. */
  readonly singleWord: boolean;
  /** Takes the white space on its left (right), too. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Is looked for in the normalised text, in its own normalised form. */
  readonly normalized: boolean;
}

/** A piece of a text: of a token that was found, or of what lies between. */
export type Section =
  | { readonly id: number }
  | {
      readonly text: string;
      /** Whether the piece begins where the text begins. */
      readonly first: boolean;
    };

/** An added token as tokenizer.json and tokenizer_config.json write it. */
export function parseAddedToken(
  fields: Fields,
  value: unknown,
  field: string,
  id?: number,
): AddedToken {
  const part = fields.part(value, field);
  const special = fields.flag(part['special'], `${field}.special`, false);
  const content = fields.text(part['content'], `${field}.content`);
  if (content === '') fields.fail(`${field}.content`, content, 'at least one character');
  return {
    id: id ?? fields.id(part['id'], `${field}.id`),
    content,
    special,
    singleWord: fields.flag(part['single_word'], `${field}.single_word`, false),
    lstrip: fields.flag(part['lstrip'], `${field}.lstrip`, false),
    rstrip: fields.flag(part['rstrip'], `${field}.rstrip`, false),
    normalized: fields.flag(part['normalized'], `${field}.normalized`, !special),
  };
}

/** Finds tokens in texts: of those that match, the leftmost, and of these the longest. */
export class TokenFinder {
  readonly #tokens: ReadonlyMap<string, AddedToken>;
  readonly #pattern: RegExp | undefined;

  /** @param tokens with what each of them looks like in a text */
  constructor(tokens: Iterable<readonly [string, AddedToken]>) {
    this.#tokens = new Map([...tokens].filter(([content]) => content !== ''));
    if (this.#tokens.size > 0) {
      const longestFirst = [...this.#tokens.keys()].sort((a, b) => b.length - a.length);
      this.#pattern = new RegExp(longestFirst.map(escapePattern).join('|'), 'g');
    }
  }

  /** @param parseSpecial whether special tokens count; their text is passed over otherwise */
  split(text: string, first: boolean, parseSpecial: boolean): Section[] {
    const sections: Section[] = [];
    let from = 0;
    const textUntil = (until: number): void => {
      if (until > from) {
        sections.push({ text: text.slice(from, until), first: first && from === 0 });
      }
    };
    for (const match of this.#pattern === undefined ? [] : text.matchAll(this.#pattern)) {
      const token = this.#tokens.get(match[0]) as AddedToken;
      if (token.special && !parseSpecial) continue;
      let start = match.index;
      let end = start + match[0].length;
      if (start < from || (token.singleWord && touchesWord(text, start, end))) continue;
      if (token.lstrip) {
        while (start > from && WHITE_SPACE.test(text[start - 1])) start -= 1;
      }
      if (token.rstrip) {
        while (end < text.length && WHITE_SPACE.test(text[end])) end += 1;
      }
      textUntil(start);
      sections.push({ id: token.id });
      from = end;
    }
    textUntil(text.length);
    return sections;
  }
}

const WHITE_SPACE = /\p{White_Space}/u;

/** Letters, marks, digits, connectors and joiners, for the inside of a class of an expression. */
export const WORD_CHARACTERS = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}';
const WORD_AT_END = new RegExp(`[${WORD_CHARACTERS}]$`, 'u');
const WORD_AT_START = new RegExp(`^[${WORD_CHARACTERS}]`, 'u');

function touchesWord(text: string, start: number, end: number): boolean {
  // Two UTF-16 units hold the last, or next, whole character.
  return (
    WORD_AT_END.test(text.slice(Math.max(0, start - 2), start)) ||
    WORD_AT_START.test(text.slice(end, end + 2))
  );
}
