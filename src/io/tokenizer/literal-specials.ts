/**
 * Keeps special tokens that a user wrote from being taken for the template's: the first character
 * of each is replaced, while the conversation is rendered, by a private one that stands for it.
 * Templates look at texts (roles, markers of thoughts), so that nothing else may change.
 */
export class LiteralSpecials {
  readonly #pattern: RegExp | undefined;
  readonly #partial: RegExp | undefined;
  readonly #standIns = new Map<string, string>();
  readonly #originals = new Map<string, string>();

  /**
   * @param specials the texts of the special tokens
   * @param taken all texts of the conversation, whose own private characters must not be used
   */
  constructor(specials: readonly string[], taken: string) {
    if (specials.length === 0) return;
    const free = freeCharacters(taken);
    for (const first of new Set(specials.map((special) => special[0]))) {
      const standIn = free.next().value as string;
      this.#standIns.set(first, standIn);
      this.#originals.set(standIn, first);
    }
    this.#pattern = new RegExp(specials.map(escapePattern).sort(longestFirst).join('|'), 'g');
    const partial = specials.map(beginnings).filter((pattern) => pattern !== '');
    if (partial.length > 0) this.#partial = new RegExp(`(?:${partial.join('|')})(?=\\s*$)`, 'g');
  }

  /** Replaces special tokens in what a message says, and what the next text may complete to one. */
  guard(text: string): string {
    const whole = this.guardWhole(text);
    return this.#partial === undefined ? whole : whole.replace(this.#partial, this.#replace);
  }

  /** Replaces special tokens only: for names that a template compares, such as roles. */
  guardWhole(text: string): string {
    return this.#pattern === undefined ? text : text.replace(this.#pattern, this.#replace);
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

function longestFirst(left: string, right: string): number {
  return right.length - left.length;
}

function escapePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}
