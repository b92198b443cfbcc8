/**
 * The file of one compiled program: "TERSORP2", a checksum of all that follows (16 digits), the length
 * of the key (u32), the key, the value. The key is there in full, so that a program is never taken for
 * another on the word of a hash; hash and checksum are for names and for damage, and simple: loading
 * Node's cryptography would take longer than reading the program.
 */
const MAGIC = new TextEncoder().encode('TERSORP2');
const SUM_BYTES = 16;
const HEAD_BYTES = MAGIC.length + SUM_BYTES + 4;

/** The name under which the entry of a key lies. */
export function entryName(key: string): string {
  return hashOf(new TextEncoder().encode(key));
}

export function sealEntry(key: string, value: Uint8Array): Uint8Array {
  const text = new TextEncoder().encode(key);
  const entry = new Uint8Array(HEAD_BYTES + text.length + value.length);
  entry.set(MAGIC);
  new DataView(entry.buffer).setUint32(HEAD_BYTES - 4, text.length, true);
  entry.set(text, HEAD_BYTES);
  entry.set(value, HEAD_BYTES + text.length);
  entry.set(checksum(entry), MAGIC.length);
  return entry;
}

/** The value, or undefined where the entry is damaged or that of another key. */
export function openEntry(entry: Uint8Array, key: string): Uint8Array<ArrayBuffer> | undefined {
  if (entry.length < HEAD_BYTES || !equal(entry.subarray(0, MAGIC.length), MAGIC)) return undefined;
  const sum = entry.subarray(MAGIC.length, MAGIC.length + SUM_BYTES);
  if (!equal(sum, checksum(entry))) return undefined;
  const length = new DataView(entry.buffer, entry.byteOffset).getUint32(HEAD_BYTES - 4, true);
  const keyEnd = HEAD_BYTES + length;
  if (new TextDecoder().decode(entry.subarray(HEAD_BYTES, keyEnd)) !== key) return undefined;
  return new Uint8Array(entry.subarray(keyEnd));
}

function checksum(entry: Uint8Array): Uint8Array {
  return new TextEncoder().encode(hashOf(entry.subarray(MAGIC.length + SUM_BYTES)));
}

/** 64 bits as 16 digits: two sums, each mixed by multiplication as MurmurHash3 does it. */
function hashOf(bytes: Uint8Array): string {
  const padded = new Uint8Array((bytes.length + 7) & ~3);
  padded.set(bytes);
  const words = new Uint32Array(padded.buffer);
  let [a, b] = [bytes.length, ~bytes.length];
  for (let i = 0; i < words.length; i++) {
    a = Math.imul(a ^ Math.imul(words[i], 0xcc9e2d51), 0x85ebca6b);
    a ^= a >>> 15;
    b = Math.imul(b ^ Math.imul(words[i], 0x1b873593), 0xc2b2ae35);
    b ^= b >>> 13;
  }
  return [a, b].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
