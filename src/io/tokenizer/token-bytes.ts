import { fromByteAlphabet } from './byte-alphabet.ts';
import type { Fields, Part } from './fields.ts';
import { compilePattern } from './patterns.ts';

/** Where a token stands among those that are decoded together. */
export interface Place {
  readonly first: boolean;
  readonly last: boolean;
}

/**
 * A decoder, token by token: a text is its tokens' bytes in order, of which `trim` is taken off the
 * ends. That lets a text be told while it comes, as no token waits for another.
 */
export interface TokenDecoder {
  bytesOf(token: string, place: Place): Uint8Array;
  trim(text: string): string;
}

/** What one step makes of a token: text, until a step says that it is bytes. */
type Step = (token: string | Uint8Array, place: Place) => string | Uint8Array;
type Trim = (text: string) => string;

const encoder = new TextEncoder();

/**
 * The decoder of a tokenizer.json; without one, tokens stand apart by spaces.
 *
 * Bytes that are no whole character become U+FFFD by the rule of the WHATWG, as in byte-level
 * decoders. (With byte fallback the reference writes one for each byte of such a run.)
 *
 * @throws Error naming the field for a type that is not known
 */
export function createDecoder(fields: Fields, value: unknown): TokenDecoder {
  const steps: Step[] = [];
  const trims: Trim[] = [];
  const part = fields.optionalPart(value, 'decoder');
  if (part === undefined) {
    steps.push(onText((token, { first }) => (first ? token : ` ${token}`)));
  } else {
    let fused = false;
    for (const { entry, field } of flatten(fields, part, 'decoder')) {
      if (entry['type'] === 'Fuse') fused = true;
      else if (entry['type'] === 'Strip') {
        const strip = stripper(fields, entry, field);
        if (fused) trims.push(strip);
        else steps.push(onText(strip));
      } else if (fused) {
        fields.fail(`${field}.type`, entry['type'], 'a Strip, as nothing else is known after Fuse');
      } else steps.push(createStep(fields, entry, field));
    }
  }
  return {
    bytesOf(token, place) {
      const done = steps.reduce<string | Uint8Array>((now, step) => step(now, place), token);
      return typeof done === 'string' ? encoder.encode(done) : done;
    },
    trim: (text) => trims.reduce((now, trim) => trim(now), text),
  };
}

function flatten(fields: Fields, part: Part, field: string): { entry: Part; field: string }[] {
  if (part['type'] !== 'Sequence') return [{ entry: part, field }];
  return fields.list(part['decoders'], `${field}.decoders`).flatMap((entry, index) => {
    const name = `${field}.decoders[${index}]`;
    return flatten(fields, fields.part(entry, name), name);
  });
}

function onText(change: (token: string, place: Place) => string): Step {
  return (token, place) => (typeof token === 'string' ? change(token, place) : token);
}

function createStep(fields: Fields, part: Part, field: string): Step {
  switch (part['type']) {
    case 'ByteLevel':
      return (token) => (typeof token === 'string' ? (fromByteAlphabet(token) ?? token) : token);
    case 'ByteFallback':
      return (token) => {
        const hex =
          typeof token === 'string' ? /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1] : undefined;
        return hex === undefined ? token : Uint8Array.of(Number.parseInt(hex, 16));
      };
    case 'Replace': {
      const pattern = compilePattern(fields, part['pattern'], `${field}.pattern`);
      const content = fields.text(part['content'], `${field}.content`);
      return onText((token) => token.replaceAll(pattern, () => content));
    }
    case 'WordPiece': {
      const prefix = fields.text(part['prefix'] ?? '##', `${field}.prefix`);
      const clean = fields.flag(part['cleanup'], `${field}.cleanup`, true);
      return onText((token, { first }) => {
        const inside = token.startsWith(prefix);
        const text = first ? token : inside ? token.slice(prefix.length) : ` ${token}`;
        return clean ? cleanUp(text) : text;
      });
    }
    case 'Metaspace': {
      const mark = fields.text(part['replacement'] ?? '\u2581', `${field}.replacement`);
      const prepended = part['prepend_scheme'] !== 'never' && part['add_prefix_space'] !== false;
      return onText((token, { first }) => token.replaceAll(mark, first && prepended ? '' : ' '));
    }
    case 'BPEDecoder': {
      const suffix = fields.text(part['suffix'] ?? '</w>', `${field}.suffix`);
      return onText((token, { last }) => token.replaceAll(suffix, last ? '' : ' '));
    }
    default:
      return fields.fail(
        `${field}.type`,
        part['type'],
        'ByteLevel, ByteFallback, Replace, WordPiece, Metaspace, BPEDecoder, Fuse, Strip or Sequence',
      );
  }
}

function stripper(fields: Fields, part: Part, field: string): (text: string) => string {
  const content = fields.text(part['content'], `${field}.content`);
  const start = fields.id(part['start'] ?? 0, `${field}.start`);
  const stop = fields.id(part['stop'] ?? 0, `${field}.stop`);
  return (text) => {
    for (let count = 0; count < start && text.startsWith(content); count += 1) {
      text = text.slice(content.length);
    }
    for (let count = 0; count < stop && text.endsWith(content); count += 1) {
      text = text.slice(0, text.length - content.length);
    }
    return text;
  };
}

/** Spaces that English does not have, as the format defines it. */
function cleanUp(text: string): string {
  return text
    .replaceAll(' .', '.')
    .replaceAll(' ?', '?')
    .replaceAll(' !', '!')
    .replaceAll(' ,', ',')
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(' do not', " don't")
    .replaceAll(" 's", "'s")
    .replaceAll(" 've", "'ve")
    .replaceAll(" 're", "'re");
}
