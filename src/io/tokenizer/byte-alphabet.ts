/**
 * The alphabet of byte-level tokenizers (GPT-2): each byte is one printable character, so that a
 * vocabulary of any bytes can be written as text. Printable bytes of Latin-1 stand for themselves,
 * the others for U+0100 and on, in order.
 */
export const CHARACTER_OF_BYTE: readonly string[] = alphabet();

const BYTE_OF_CHARACTER: ReadonlyMap<string, number> = new Map(
  CHARACTER_OF_BYTE.map((character, byte) => [character, byte]),
);

const encoder = new TextEncoder();

/** The UTF-8 bytes of a text, one character of the alphabet each. */
export function toByteAlphabet(text: string): string {
  let letters = '';
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    // Most texts are mostly ASCII, and an encoder for each word is slow.
    if (code >= 0x80) return letters + otherLetters(text.slice(index));
    letters += CHARACTER_OF_BYTE[code];
  }
  return letters;
}

function otherLetters(text: string): string {
  let letters = '';
  for (const byte of encoder.encode(text)) letters += CHARACTER_OF_BYTE[byte];
  return letters;
}

/** The bytes of a token in the alphabet, or undefined where it holds another character. */
export function fromByteAlphabet(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length);
  for (let index = 0; index < token.length; index += 1) {
    const byte = BYTE_OF_CHARACTER.get(token[index]);
    if (byte === undefined) return undefined;
    bytes[index] = byte;
  }
  return bytes;
}

function alphabet(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
    return String.fromCharCode(printable ? byte : next++);
  });
}
