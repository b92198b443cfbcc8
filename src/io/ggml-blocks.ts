import { badArgument } from '../base/errors.ts';
import { encodeFloat } from '../ir/float-formats.ts';
import type { QuantScheme } from '../ir/quantization.ts';

/**
 * GGML's blocks of 32 elements as GGUF files hold them, and the layout of `QuantScheme`. A block is
 * an f16 scale d and its codes: Q4_0 16 bytes of 4-bit codes, element j in the low and j + 16 in the
 * high half of byte j, value d (code - 8); Q8_0 32 i8, value d code.
 */
export type GgmlBlockType = 'Q4_0' | 'Q8_0';

const BLOCK = 32;
const SCALE_BYTES = 2;

interface Format {
  readonly scheme: QuantScheme;
  /** Bytes of one block. */
  readonly bytes: number;
}

const FORMATS: { readonly [T in GgmlBlockType]: Format } = {
  Q4_0: { scheme: { bits: 4, block: BLOCK, zeroPoint: false }, bytes: SCALE_BYTES + BLOCK / 2 },
  Q8_0: { scheme: { bits: 8, block: BLOCK, zeroPoint: false }, bytes: SCALE_BYTES + BLOCK },
};

/** Blocks in the layout of `scheme`: what `dequantize` takes. */
export interface SplitBlocks {
  readonly scheme: QuantScheme;
  /** u8 of two codes each, or i8 of one. */
  readonly packed: Uint8Array<ArrayBuffer> | Int8Array<ArrayBuffer>;
  /** Bits of f16, one for each block. */
  readonly scales: Uint16Array<ArrayBuffer>;
}

function blockCount(where: string, type: GgmlBlockType, length: number, bytes: number): number {
  if (length % bytes === 0) return length / bytes;
  throw badArgument(where, 'length', length, `a multiple of ${bytes}, the size of a ${type} block`);
}

/** The 32 codes of a Q4_0 block from its bytes, as they follow each other. */
function nibbles(bytes: Uint8Array): number[] {
  return Array.from({ length: BLOCK }, (_, i) => (i < 16 ? bytes[i] & 15 : bytes[i - 16] >> 4));
}

/** Takes GGML blocks apart; the values stay exactly the same. */
export function splitGgmlBlocks(type: GgmlBlockType, blocks: Uint8Array): SplitBlocks {
  const { scheme, bytes } = FORMATS[type];
  const count = blockCount('splitGgmlBlocks', type, blocks.length, bytes);
  const scales = new Uint16Array(count);
  const perBlock = bytes - SCALE_BYTES;
  const packed = new Uint8Array(count * perBlock);
  for (let i = 0; i < count; i++) {
    const block = blocks.subarray(i * bytes, (i + 1) * bytes);
    scales[i] = block[0] | (block[1] << 8);
    const codes = block.subarray(SCALE_BYTES);
    if (type === 'Q8_0') packed.set(codes, i * perBlock);
    else {
      const q = nibbles(codes);
      for (let j = 0; j < perBlock; j++) packed[i * perBlock + j] = q[2 * j] | (q[2 * j + 1] << 4);
    }
  }
  return { scheme, packed: type === 'Q8_0' ? new Int8Array(packed.buffer) : packed, scales };
}

/** The reverse of `splitGgmlBlocks`, byte for byte. */
export function joinGgmlBlocks(
  type: GgmlBlockType,
  { packed, scales }: Pick<SplitBlocks, 'packed' | 'scales'>,
): Uint8Array<ArrayBuffer> {
  const { bytes } = FORMATS[type];
  const perBlock = bytes - SCALE_BYTES;
  if (packed.length !== scales.length * perBlock) {
    const expected = `${perBlock} bytes for each of the ${scales.length} scales`;
    throw badArgument('joinGgmlBlocks', 'packed.length', packed.length, expected);
  }
  const blocks = new Uint8Array(scales.length * bytes);
  scales.forEach((scale, i) => {
    const codes = packed.subarray(i * perBlock, (i + 1) * perBlock);
    const code = (k: number) => (codes[k >> 1] >> (4 * (k & 1))) & 15;
    blocks.set([scale & 255, scale >> 8], i * bytes);
    const at = i * bytes + SCALE_BYTES;
    if (type === 'Q8_0') blocks.set(codes, at);
    else for (let j = 0; j < 16; j++) blocks[at + j] = code(j) | (code(j + 16) << 4);
  });
  return blocks;
}

/**
 * Numbers as GGML blocks, with the bytes that ggml itself makes: the scale is rounded to f16 only
 * after it has served to choose the codes.
 *
 * @param values whole blocks of 32
 */
export function encodeGgmlBlocks(
  type: GgmlBlockType,
  values: Float32Array,
): Uint8Array<ArrayBuffer> {
  const count = blockCount('encodeGgmlBlocks', type, values.length, BLOCK);
  const perBlock = FORMATS[type].bytes - SCALE_BYTES;
  const scales = new Uint16Array(count);
  const bytes = new Uint8Array(count * perBlock);
  for (let i = 0; i < count; i++) {
    const block = values.subarray(i * BLOCK, (i + 1) * BLOCK);
    const { scale, codes } = type === 'Q4_0' ? encodeQ4(block) : encodeQ8(block);
    scales[i] = encodeFloat('f16', scale);
    const at = i * perBlock;
    if (type === 'Q8_0') bytes.set(codes, at);
    else for (let j = 0; j < perBlock; j++) bytes[at + j] = codes[2 * j] | (codes[2 * j + 1] << 4);
  }
  return joinGgmlBlocks(type, { packed: bytes, scales });
}

interface Encoded {
  /** An f32. */
  readonly scale: number;
  readonly codes: readonly number[];
}

const inverse = (scale: number) => (scale === 0 ? 0 : Math.fround(1 / scale));

/** The number of the largest magnitude, the first of equals, becomes -8 steps. */
function encodeQ4(block: Float32Array): Encoded {
  const largest = block.reduce((top, v) => (Math.abs(v) > Math.abs(top) ? v : top), 0);
  const scale = Math.fround(largest / -8);
  const factor = inverse(scale);
  // In double precision the product is exact, as in a fused multiply-add.
  const codes = Array.from(block, (v) => Math.min(15, Math.trunc(v * factor + 8.5)));
  return { scale, codes };
}

/** The largest magnitude becomes 127 steps; ties go away from 0. */
function encodeQ8(block: Float32Array): Encoded {
  const largest = block.reduce((top, v) => Math.max(top, Math.abs(v)), 0);
  const scale = Math.fround(largest / 127);
  const factor = inverse(scale);
  const codes = Array.from(block, (v) => {
    const steps = Math.fround(v * factor);
    return Math.sign(steps) * Math.floor(Math.abs(steps) + 0.5);
  });
  return { scale, codes };
}
