import { toByteAlphabet } from './byte-alphabet.ts';
import type { Fields, Part } from './fields.ts';
import { type LibraryParts, libraryParts } from './library.ts';
import { compilePattern } from './patterns.ts';

export type Normalizer = (text: string) => string;

/**
 * The normaliser of a tokenizer.json. Those that the library computes otherwise than the reference
 * implementation are written here, the rest is the library's.
 *
 * @throws Error naming the field for a type that is not known
 */
export function createNormalizer(fields: Fields, part: Part, field: string): Normalizer {
  switch (part['type']) {
    case 'Sequence': {
      const list = fields.list(part['normalizers'], `${field}.normalizers`);
      const steps = list.map((entry, index) => {
        const name = `${field}.normalizers[${index}]`;
        return createNormalizer(fields, fields.part(entry, name), name);
      });
      return (text) => steps.reduce((normalized, step) => step(normalized), text);
    }
    case 'BertNormalizer':
      return bertNormalizer(fields, part, field);
    case 'Lowercase':
      return lowercase;
    case 'ByteLevel':
      return toByteAlphabet;
    case 'Strip': {
      const left = fields.flag(part['strip_left'], `${field}.strip_left`, true);
      const right = fields.flag(part['strip_right'], `${field}.strip_right`, true);
      return (text) => {
        if (left) text = text.replace(/^\p{White_Space}+/u, '');
        return right ? text.replace(/(?<!\p{White_Space})\p{White_Space}+$/u, '') : text;
      };
    }
    case 'Replace': {
      const pattern = compilePattern(fields, part['pattern'], `${field}.pattern`);
      const content = fields.text(part['content'], `${field}.content`);
      // The library reads a dollar sign in the content as a reference.
      return (text) => text.replaceAll(pattern, () => content);
    }
    default:
      return libraryNormalizer(fields, part, field);
  }
}

function libraryNormalizer(fields: Fields, part: Part, field: string): Normalizer {
  let normalizer: LibraryParts['normalizer'] = null;
  try {
    ({ normalizer } = libraryParts({ normalizer: part }));
  } catch {
    // What is wrong is said below, with file and field.
  }
  if (normalizer === null) return fields.fail(`${field}.type`, part['type'], 'a known normaliser');
  const known = normalizer;
  return (text) => (text === '' ? '' : known.normalize(text));
}

/** The library looks at UTF-16 units, and so misses the rarer Chinese characters. */
function bertNormalizer(fields: Fields, part: Part, field: string): Normalizer {
  const flag = (name: string, fallback: boolean) =>
    fields.flag(part[name], `${field}.${name}`, fallback);
  const clean = flag('clean_text', true);
  const chinese = flag('handle_chinese_chars', true);
  const lower = flag('lowercase', true);
  const strip = flag('strip_accents', lower);
  return (text) => {
    if (clean) text = text.replace(DROPPED, '').replace(/\p{White_Space}/gu, ' ');
    if (chinese) text = text.replace(CHINESE, ' $& ');
    if (strip) text = text.normalize('NFD').replace(/\p{Mn}/gu, '');
    return lower ? lowercase(text) : text;
  };
}

const DROPPED = /(?![\t\n\r])[\0\ufffd\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu;
const CHINESE =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;

/** One character at a time: a sigma at the end of a word stays an ordinary one. */
function lowercase(text: string): string {
  let lower = '';
  for (const character of text) lower += character.toLowerCase();
  return lower;
}
