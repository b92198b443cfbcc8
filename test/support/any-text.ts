import fc from 'fast-check';

/**
 * Texts of any Unicode characters, often from ASCII. (fast-check's own unit `binary` takes seconds
 * to set up.)
 */
export function anyText(limits: { minLength?: number; maxLength?: number } = {}) {
  const character = fc.oneof(
    fc.integer({ min: 0, max: 0x7f }),
    fc.integer({ min: 0, max: 0xd7ff }),
    fc.integer({ min: 0xe000, max: 0x10ffff }),
  );
  return fc.array(character, limits).map((codes) => String.fromCodePoint(...codes));
}
