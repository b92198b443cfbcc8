const FIRST_CAPACITY = 256;
const INT32_MIN = -0x80000000;
const INT32_MAX = 0x7fffffff;

const utf8 = new TextEncoder();
const floatBytes = new DataView(new ArrayBuffer(8));

/**
 * A growing byte buffer with the value encodings of the binary format (§5.2). Its methods trust
 * their arguments; the builders check ranges, because only they can name the instruction.
 */
export class ByteWriter {
  #data: Uint8Array<ArrayBuffer> = new Uint8Array(FIRST_CAPACITY);
  #length = 0;

  /** The number of bytes written. */
  get length(): number {
    return this.#length;
  }

  /** Appends one byte. */
  byte(value: number): void {
    if (this.#length === this.#data.length) this.#grow(1);
    this.#data[this.#length++] = value;
  }

  /** Appends bytes as they are. */
  bytes(values: ArrayLike<number>): void {
    const end = this.#length + values.length;
    if (end > this.#data.length) this.#grow(values.length);
    this.#data.set(values, this.#length);
    this.#length = end;
  }

  /** Appends an integer of 0..2^32-1 in unsigned LEB128 (§5.2.2). */
  unsigned32(value: number): void {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.byte(rest);
  }

  /** Appends an integer of -2^31..2^31-1 in signed LEB128 (§5.2.2). */
  signed32(value: number): void {
    let rest = value | 0;
    // The last byte's bit 6 is the sign, so -64..63 is what fits into one byte.
    while (rest < -64 || rest > 63) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>= 7;
    }
    this.byte(rest & 0x7f);
  }

  /** Appends an integer of 0..2^64-1 in unsigned LEB128 (§5.2.2). */
  unsigned64(value: bigint): void {
    let rest = value;
    while (rest >= 0x80n) {
      this.byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.byte(Number(rest));
  }

  /** Appends an integer of -2^63..2^63-1 in signed LEB128 (§5.2.2). */
  signed64(value: bigint): void {
    if (value >= INT32_MIN && value <= INT32_MAX) {
      // The bytes are the same, and small numbers are far faster than bigints.
      this.signed32(Number(value));
      return;
    }
    let rest = value;
    while (rest < -64n || rest > 63n) {
      this.byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.byte(Number(rest & 0x7fn));
  }

  /** Appends a number rounded to binary32, little endian (§5.2.3). NaN is the canonical one. */
  float32(value: number): void {
    floatBytes.setFloat32(0, value, true);
    if (Number.isNaN(value)) floatBytes.setUint32(0, 0x7fc00000, true);
    for (let index = 0; index < 4; index++) this.byte(floatBytes.getUint8(index));
  }

  /** Appends a binary64 number, little endian (§5.2.3). NaN is the canonical one. */
  float64(value: number): void {
    floatBytes.setFloat64(0, value, true);
    if (Number.isNaN(value)) floatBytes.setBigUint64(0, 0x7ff8000000000000n, true);
    for (let index = 0; index < 8; index++) this.byte(floatBytes.getUint8(index));
  }

  /** Appends a name: its length in bytes and its UTF-8 bytes (§5.2.4). */
  name(text: string): void {
    this.sized(utf8.encode(text));
  }

  /** Appends a byte count and the bytes, as sections and function bodies are stored (§5.5.2). */
  sized(values: ArrayLike<number>): void {
    this.unsigned32(values.length);
    this.bytes(values);
  }

  /** A copy of the bytes written so far. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#data.slice(0, this.#length);
  }

  #grow(more: number): void {
    const needed = this.#length + more;
    const data = new Uint8Array(Math.max(needed, this.#data.length * 2));
    data.set(this.#data);
    this.#data = data;
  }
}
