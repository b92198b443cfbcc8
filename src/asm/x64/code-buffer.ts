/** Bytes that grow. Callers reserve room for an instruction once, so that a byte costs one store. */
export class CodeBuffer {
  data = new Uint8Array(4096);
  size = 0;

  /** Makes room for this many bytes more. */
  reserve(count: number): void {
    if (this.size + count <= this.data.length) return;
    const grown = new Uint8Array(Math.max(this.data.length * 2, this.size + count));
    grown.set(this.data.subarray(0, this.size));
    this.data = grown;
  }

  u8(value: number): void {
    this.data[this.size++] = value;
  }

  u32(value: number): void {
    const { data, size } = this;
    data[size] = value;
    data[size + 1] = value >> 8;
    data[size + 2] = value >> 16;
    data[size + 3] = value >> 24;
    this.size = size + 4;
  }

  /** Any safe integer in `bytes` bytes, little-endian. */
  integer(value: number, bytes: number): void {
    if (bytes === 1) this.u8(value);
    else if (bytes === 4) this.u32(value);
    else if (bytes === 2) {
      this.u8(value);
      this.u8(value >> 8);
    } else {
      this.u32(value);
      this.u32(Math.floor(value / 2 ** 32));
    }
  }
}
