import type { TypedArray } from '../../src/ir/dtype.ts';

/** The bits of arrays in 32 bits (FNV-1a); all NaNs count as one. */
export class Digest {
  #hash = 0x811c9dc5;

  add(values: TypedArray | Float64Array): void {
    const same = values.slice();
    for (let i = 0; i < same.length; i++) if (Number.isNaN(same[i])) same[i] = Number.NaN;
    const bytes = new Uint8Array(same.buffer, same.byteOffset, same.byteLength);
    for (const byte of bytes) this.#hash = Math.imul(this.#hash ^ byte, 0x01000193) >>> 0;
  }

  toString(): string {
    return this.#hash.toString(16).padStart(8, '0');
  }
}
