import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../src/asm/index.ts';

const written = (write: (writer: ByteWriter) => void): number[] => {
  const writer = new ByteWriter();
  write(writer);
  return [...writer.take()];
};

/** Reads LEB128 as its definition says: seven bits a byte, the top bit on all but the last. */
function read(bytes: readonly number[], signed: boolean): bigint {
  let value = 0n;
  for (const [index, byte] of bytes.entries()) {
    expect(byte >= 0x80).toBe(index < bytes.length - 1);
    value |= BigInt(byte & 0x7f) << BigInt(7 * index);
  }
  return signed ? BigInt.asIntN(7 * bytes.length, value) : value;
}

describe('LEB128', () => {
  it.each([
    [0, [0x00]],
    [1, [0x01]],
    [127, [0x7f]],
    [128, [0x80, 0x01]],
    [16383, [0xff, 0x7f]],
    [16384, [0x80, 0x80, 0x01]],
    [624485, [0xe5, 0x8e, 0x26]],
    [0xffffffff, [0xff, 0xff, 0xff, 0xff, 0x0f]],
  ])('writes unsigned %i', (value, bytes) => {
    expect(written((writer) => writer.unsigned32(value))).toEqual(bytes);
    expect(written((writer) => writer.unsigned64(BigInt(value)))).toEqual(bytes);
  });

  it.each([
    [0, [0x00]],
    [-1, [0x7f]],
    [63, [0x3f]],
    [64, [0xc0, 0x00]],
    [-64, [0x40]],
    [-65, [0xbf, 0x7f]],
    [8191, [0xff, 0x3f]],
    [8192, [0x80, 0xc0, 0x00]],
    [-8192, [0x80, 0x40]],
    [-123456, [0xc0, 0xbb, 0x78]],
    [0x7fffffff, [0xff, 0xff, 0xff, 0xff, 0x07]],
    [-0x80000000, [0x80, 0x80, 0x80, 0x80, 0x78]],
  ])('writes signed %i', (value, bytes) => {
    expect(written((writer) => writer.signed32(value))).toEqual(bytes);
    expect(written((writer) => writer.signed64(BigInt(value)))).toEqual(bytes);
  });

  it('writes the borders of 64 bits', () => {
    const nine = Array.from({ length: 9 }, () => 0x80);
    expect(written((writer) => writer.signed64(-(2n ** 63n)))).toEqual([...nine, 0x7f]);
    expect(written((writer) => writer.signed64(2n ** 63n - 1n))).toEqual([
      ...nine.fill(0xff),
      0x00,
    ]);
    expect(written((writer) => writer.unsigned64(2n ** 64n - 1n))).toEqual([...nine, 0x01]);
  });

  it('reads back what was written', () => {
    fc.assert(
      fc.property(fc.integer(), (value) => {
        expect(
          read(
            written((writer) => writer.signed32(value)),
            true,
          ),
        ).toBe(BigInt(value));
        const natural = value >>> 0;
        expect(
          read(
            written((writer) => writer.unsigned32(natural)),
            false,
          ),
        ).toBe(BigInt(natural));
      }),
    );
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        expect(
          read(
            written((writer) => writer.signed64(value)),
            true,
          ),
        ).toBe(value);
        const natural = BigInt.asUintN(64, value);
        expect(
          read(
            written((writer) => writer.unsigned64(natural)),
            false,
          ),
        ).toBe(natural);
      }),
    );
  });

  it('is as short as possible', () => {
    fc.assert(
      fc.property(fc.integer(), (value) => {
        const { length } = written((writer) => writer.signed32(value));
        const fits = (bits: number): boolean =>
          BigInt.asIntN(bits, BigInt(value)) === BigInt(value);
        expect(fits(7 * length)).toBe(true);
        expect(length === 1 || !fits(7 * (length - 1))).toBe(true);
      }),
    );
  });
});

describe('ByteWriter', () => {
  it('writes floats little endian', () => {
    expect(written((writer) => writer.float32(-0))).toEqual([0, 0, 0, 0x80]);
    expect(written((writer) => writer.float32(NaN))).toEqual([0, 0, 0xc0, 0x7f]);
    expect(written((writer) => writer.float64(1))).toEqual([0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
    expect(written((writer) => writer.float64(NaN))).toEqual([0, 0, 0, 0, 0, 0, 0xf8, 0x7f]);
  });

  it('writes names in UTF-8', () => {
    expect(written((writer) => writer.name('aä'))).toEqual([3, 0x61, 0xc3, 0xa4]);
  });

  it('grows past any capacity, and copies what it hands out', () => {
    const writer = new ByteWriter();
    for (let index = 0; index < 1000; index++) writer.byte(index & 0xff);
    writer.bytes(new Uint8Array(100_000).fill(7));
    const bytes = writer.take();
    writer.byte(1);
    expect(writer.length).toBe(101_001);
    expect(bytes.length).toBe(101_000);
    expect([bytes[999], bytes[1000], bytes[100_999]]).toEqual([999 & 0xff, 7, 7]);
  });
});
