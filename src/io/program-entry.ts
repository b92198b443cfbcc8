import { crypto, zlib } from './slow-modules.ts';

/**
 * The file of one compiled program: "TERSORP1", the SHA-256 of all that follows, the length of the
 * compressed key (u32), the key (deflate), the value. The key is there in full, so that a program is
 * never taken for another on the word of a hash.
 */
const MAGIC = new TextEncoder().encode('TERSORP1');
const HASH_BYTES = 32;
const HEAD_BYTES = MAGIC.length + HASH_BYTES + 4;

/** The name under which the entry of a key lies. */
export function entryName(key: string): string {
  return crypto().createHash('sha256').update(key).digest('hex');
}

export function sealEntry(key: string, value: Uint8Array): Uint8Array {
  const packed = zlib().deflateRawSync(key, { level: 1 });
  const entry = new Uint8Array(HEAD_BYTES + packed.length + value.length);
  entry.set(MAGIC);
  new DataView(entry.buffer).setUint32(HEAD_BYTES - 4, packed.length, true);
  entry.set(packed, HEAD_BYTES);
  entry.set(value, HEAD_BYTES + packed.length);
  entry.set(checksum(entry), MAGIC.length);
  return entry;
}

/** The value, or undefined where the entry is damaged or that of another key. */
export function openEntry(entry: Uint8Array, key: string): Uint8Array<ArrayBuffer> | undefined {
  if (entry.length < HEAD_BYTES || !equal(entry.subarray(0, MAGIC.length), MAGIC)) return undefined;
  const sum = entry.subarray(MAGIC.length, MAGIC.length + HASH_BYTES);
  if (!equal(sum, checksum(entry))) return undefined;
  const length = new DataView(entry.buffer, entry.byteOffset).getUint32(HEAD_BYTES - 4, true);
  const keyEnd = HEAD_BYTES + length;
  const kept = zlib().inflateRawSync(entry.subarray(HEAD_BYTES, keyEnd));
  if (kept.toString() !== key) return undefined;
  return new Uint8Array(entry.subarray(keyEnd));
}

function checksum(entry: Uint8Array): Uint8Array {
  return crypto()
    .createHash('sha256')
    .update(entry.subarray(MAGIC.length + HASH_BYTES))
    .digest();
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
