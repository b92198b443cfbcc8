import { escapePattern } from '../../base/pattern.ts';
/** What special tokens look like in a text, whole and begun. */
export class SpecialPatterns {
  readonly whole: RegExp | undefined;
  /** All but the whole of one, where nothing but white space follows. */
  readonly begun: RegExp | undefined;
  readonly firsts: readonly string[];

  /** @param specials the texts of the special tokens */
  constructor(specials: readonly string[]) {
    this.firsts = [...new Set(specials.map((special) => special[0]))];
    if (specials.length === 0) return;
    const longestFirst = [...specials].sort((left, right) => right.length - left.length);
    this.whole = new RegExp(longestFirst.map(escapePattern).join('|'), 'g');
    const begun = longestFirst.map(beginnings).filter((pattern) => pattern !== '');
    if (begun.length > 0) this.begun = new RegExp(`(?:${begun.join('|')})(?=\\s*$)`, 'g');
  }
}

/**
 * Keeps special tokens that a user wrote from being taken for the template's: the first character
 * of each is replaced, while the conversation is rendered, by a private one that stands for it.
 * Templates look at texts (roles, markers of thoughts), so that nothing else may change.
 */
export class LiteralSpecials {
  readonly #patterns: SpecialPatterns;
  readonly #standIns = new Map<string, string>();
  readonly #originals = new Map<string, string>();

  /** @param taken all texts of the conversation, whose own private characters must not be used */
  constructor(patterns: SpecialPatterns, taken: string) {
    this.#patterns = patterns;
    const free = freeCharacters(taken);
    for (const first of patterns.firsts) {
      const standIn = free.next().value as string;
      this.#standIns.set(first, standIn);
      this.#originals.set(standIn, first);
    }
  }

  /** Replaces special tokens in what a message says, and what the next text may complete to one. */
  guard(text: string): string {
    const whole = this.guardWhole(text);
    const { begun } = this.#patterns;
    return begun === undefined ? whole : whole.replace(begun, this.#replace);
  }

  /** Replaces special tokens only: for names that a template compares, such as roles. */
  guardWhole(text: string): string {
    const { whole } = this.#patterns;
    return whole === undefined ? text : text.replace(whole, this.#replace);
  }

  readonly #replace = (found: string): string =>
    (this.#standIns.get(found[0]) as string) + found.slice(1);

  /** Puts the characters back. */
  restore(text: string): string {
    if (this.#originals.size === 0) return text;
    let restored = '';
    for (const letter of text) restored += this.#originals.get(letter) ?? letter;
    return restored;
  }

  /** Whether a rendered piece holds something that was replaced. */
  touches(text: string): boolean {
    return [...this.#originals.keys()].some((standIn) => text.includes(standIn));
  }
}

function* freeCharacters(taken: string): Generator<string> {
  for (let code = 0xe000; code <= 0xf8ff; code += 1) {
    const character = String.fromCharCode(code);
    if (!taken.includes(character)) yield character;
  }
  throw new RangeError(
    'messages hold every private character (U+E000 to U+F8FF); expected one to be free. ' +
      'Take some of them out.',
  );
}

/** An expression for all but the whole of a text, longest first: `a(?:b(?:c)?)?` of `abcd`. */
function beginnings(special: string): string {
  const letters = Array.from(special.slice(0, -1), escapePattern);
  return letters.reduceRight(
    (rest, letter) => (rest === '' ? letter : `${letter}(?:${rest})?`),
    '',
  );
}
