import type { Fields } from './fields.ts';
import { libraryPattern } from './library.ts';

/**
 * A pattern of a tokenizer.json, `{"String": ...}` or `{"Regex": ...}` in Oniguruma's syntax, as an
 * expression of JavaScript with the flags g and u.
 */
export function compilePattern(fields: Fields, value: unknown, field: string): RegExp {
  const part = fields.part(value, field);
  const { Regex: source, String: literal } = part;
  if (typeof source !== 'string' && typeof literal !== 'string') {
    fields.fail(field, value, '{"String": text} or {"Regex": expression}');
  }
  try {
    const pattern = typeof source === 'string' ? { Regex: source } : { String: literal as string };
    const compiled = libraryPattern(pattern);
    if (compiled !== null) return compiled;
  } catch (error) {
    fields.fail(field, value, `an expression that can be compiled (${(error as Error).message})`);
  }
  return fields.fail(field, value, 'an expression that can be compiled');
}
