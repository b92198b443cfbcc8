import { WORD_CHARACTERS } from './added-tokens.ts';
import { toByteAlphabet } from './byte-alphabet.ts';
import type { Fields, Part } from './fields.ts';
import { type LibraryParts, libraryParts } from './library.ts';
import { compilePattern } from './patterns.ts';

/**
 * Cuts pieces of a text into smaller ones.
 *
 * @param first whether the first piece begins where the text begins
 */
export type PreTokenizer = (pieces: readonly string[], first: boolean) => string[];

/** GPT-2's words: white space is what Unicode calls so, not what JavaScript does. */
export const GPT2_PATTERN =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** General punctuation, and all of ASCII that is neither letter nor digit. */
const PUNCTUATION = /[\p{P}!-/:-@[-`{-~]/gu;

/** Words and runs of marks; the library's know no letters beyond ASCII. */
const WORDS = new RegExp(`[${WORD_CHARACTERS}]+|[^${WORD_CHARACTERS}\\p{White_Space}]+`, 'gu');

/** What lies between white space: to JavaScript U+FEFF is some, and U+0085 is none. */
const SOLID = /\P{White_Space}+/gu;
const SOLID_OR_MARK = /[^\p{White_Space}\p{P}!-/:-@[-`{-~]+|[\p{P}!-/:-@[-`{-~]/gu;

/**
 * The pre-tokenizer of a tokenizer.json. Those that the library computes otherwise than the
 * reference implementation are written here, the rest is the library's.
 *
 * @throws Error naming the field for a type that is not known
 */
export function createPreTokenizer(fields: Fields, part: Part, field: string): PreTokenizer {
  const flag = (name: string, fallback: boolean) =>
    fields.flag(part[name], `${field}.${name}`, fallback);
  switch (part['type']) {
    case 'Sequence': {
      const list = fields.list(part['pretokenizers'], `${field}.pretokenizers`);
      const steps = list.map((entry, index) => {
        const name = `${field}.pretokenizers[${index}]`;
        return createPreTokenizer(fields, fields.part(entry, name), name);
      });
      return (pieces, first) => steps.reduce((cut, step) => step(cut, first), [...pieces]);
    }
    case 'ByteLevel': {
      const prefix = flag('add_prefix_space', true);
      const words = flag('use_regex', true);
      return (pieces) =>
        pieces
          .map((piece) => (prefix && !piece.startsWith(' ') ? ` ${piece}` : piece))
          .flatMap((piece) => (words ? (piece.match(GPT2_PATTERN) ?? []) : [piece]))
          .map(toByteAlphabet);
    }
    case 'Split': {
      const pattern = compilePattern(fields, part['pattern'], `${field}.pattern`);
      return splitter(
        fields,
        pattern,
        part['behavior'],
        `${field}.behavior`,
        flag('invert', false),
      );
    }
    case 'Punctuation':
      // The library joins neighbouring marks whatever the behaviour.
      return splitter(
        fields,
        PUNCTUATION,
        part['behavior'] ?? 'Isolated',
        `${field}.behavior`,
        false,
      );
    case 'Digits': {
      const behavior = flag('individual_digits', false) ? 'Isolated' : 'Contiguous';
      return splitter(fields, /\p{N}/gu, behavior, field, false);
    }
    case 'Whitespace':
      return splitter(fields, WORDS, 'Removed', field, true);
    case 'WhitespaceSplit':
      return splitter(fields, SOLID, 'Removed', field, true);
    case 'BertPreTokenizer':
      return splitter(fields, SOLID_OR_MARK, 'Removed', field, true);
    case 'CharDelimiterSplit': {
      const delimiter = fields.text(part['delimiter'], `${field}.delimiter`);
      return (pieces) =>
        pieces.flatMap((piece) => piece.split(delimiter).filter((text) => text !== ''));
    }
    case 'Metaspace':
      return metaspace(fields, part, field);
    default:
      return libraryPreTokenizer(fields, part, field);
  }
}

function libraryPreTokenizer(fields: Fields, part: Part, field: string): PreTokenizer {
  let preTokenizer: LibraryParts['pre_tokenizer'] = null;
  try {
    ({ pre_tokenizer: preTokenizer } = libraryParts({ pre_tokenizer: part }));
  } catch {
    // What is wrong is said below, with file and field.
  }
  if (preTokenizer === null) {
    return fields.fail(`${field}.type`, part['type'], 'a known pre-tokenizer');
  }
  const known = preTokenizer;
  return (pieces) => known.pre_tokenize([...pieces]);
}

/** The library neither cuts at spaces nor knows where in the text a piece stands. */
function metaspace(fields: Fields, part: Part, field: string): PreTokenizer {
  const replacement = fields.text(part['replacement'] ?? '\u2581', `${field}.replacement`);
  // Before there were schemes there was a flag.
  const older = fields.flag(part['add_prefix_space'], `${field}.add_prefix_space`, true);
  const scheme = part['prepend_scheme'] ?? (older ? 'always' : 'never');
  if (scheme !== 'always' && scheme !== 'first' && scheme !== 'never') {
    fields.fail(`${field}.prepend_scheme`, scheme, '"always", "first" or "never"');
  }
  const cut = fields.flag(part['split'], `${field}.split`, true);
  return (pieces, first) =>
    pieces.flatMap((piece, index) => {
      let text = piece.replaceAll(' ', replacement);
      const prepend = scheme === 'always' || (scheme === 'first' && first && index === 0);
      if (prepend && !text.startsWith(replacement)) text = replacement + text;
      return cut ? splitBefore(text, replacement) : [text];
    });
}

function splitBefore(text: string, mark: string): string[] {
  const pieces: string[] = [];
  let from = 0;
  for (let at = text.indexOf(mark, mark.length); from < text.length; ) {
    const until = at === -1 ? text.length : at;
    pieces.push(text.slice(from, until));
    from = until;
    at = text.indexOf(mark, from + mark.length);
  }
  return pieces;
}

/** What becomes of the matches of a pattern, in the reference implementation's words. */
function splitter(
  fields: Fields,
  pattern: RegExp,
  behavior: unknown,
  field: string,
  invert: boolean,
): PreTokenizer {
  const join = joiner(behavior);
  if (join === undefined) {
    fields.fail(
      field,
      behavior,
      'Removed, Isolated, Contiguous, MergedWithPrevious or MergedWithNext',
    );
  }
  const known = join as Joiner;
  return (pieces) =>
    pieces.flatMap((piece) => known(cuts(piece, pattern, invert)).filter((text) => text !== ''));
}

/** A stretch of text and whether the pattern matched it. */
interface Stretch {
  readonly text: string;
  readonly match: boolean;
}
type Joiner = (stretches: readonly Stretch[]) => string[];

function cuts(text: string, pattern: RegExp, invert: boolean): Stretch[] {
  const stretches: Stretch[] = [];
  let from = 0;
  for (const found of text.matchAll(pattern)) {
    if (found[0] === '') continue;
    if (found.index > from) {
      stretches.push({ text: text.slice(from, found.index), match: invert });
    }
    stretches.push({ text: found[0], match: !invert });
    from = found.index + found[0].length;
  }
  if (from < text.length) stretches.push({ text: text.slice(from), match: invert });
  return stretches;
}

function joiner(behavior: unknown): Joiner | undefined {
  const gather = (belongs: (before: Stretch, own: Stretch) => boolean): Joiner => {
    return (stretches) => {
      const pieces: string[] = [];
      stretches.forEach((own, index) => {
        const before = stretches[index - 1];
        if (before !== undefined && belongs(before, own)) pieces[pieces.length - 1] += own.text;
        else pieces.push(own.text);
      });
      return pieces;
    };
  };
  switch (behavior) {
    case 'Removed':
      return (stretches) => stretches.filter(({ match }) => !match).map(({ text }) => text);
    case 'Isolated':
      return (stretches) => stretches.map(({ text }) => text);
    case 'Contiguous':
      return gather((before, own) => before.match === own.match);
    case 'MergedWithPrevious':
      return gather((before, own) => own.match && !before.match);
    case 'MergedWithNext':
      return gather((before, own) => before.match && !own.match);
    default:
      return undefined;
  }
}
