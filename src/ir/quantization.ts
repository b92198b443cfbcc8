import type { DType } from './dtype.ts';
import { type Dim, formatShape, isVar, type Shape } from './shape.ts';

/**
 * How numbers are held as small integers with a scale (and a zero point) for each block of
 * neighbours along the last axis: value = (code - zero) scale.
 *
 * Layout of an array [.., n], n a multiple of `block`:
 * - 8 bits: [.., n], i8 without zero points (zero is 0), u8 with them.
 * - 4 bits: u8 [.., n / 2]; byte j of a row holds element 2j in its low four bits and element 2j + 1
 *   in its high four. Codes are 0 .. 15; without zero points zero is 8.
 * - scales [.., n / block] as f32, f16 or bf16; zero points u8 [.., n / block].
 */
export interface QuantScheme {
  readonly bits: 4 | 8;
  /** Elements that share a scale; even. */
  readonly block: number;
  /** True: a code of each block stands for 0, stored beside the scale. */
  readonly zeroPoint: boolean;
}

/** The smallest and the largest code, and the one that stands for 0 where none is stored. */
export function codeRange(scheme: QuantScheme): { low: number; high: number; zero: number } {
  const { bits, zeroPoint } = scheme;
  if (bits === 8 && !zeroPoint) return { low: -128, high: 127, zero: 0 };
  return { low: 0, high: 2 ** bits - 1, zero: 2 ** (bits - 1) };
}

export function packedDType({ bits, zeroPoint }: QuantScheme): DType {
  return bits === 8 && !zeroPoint ? 'i8' : 'u8';
}

/** A scheme that has a meaning; throws a TypeError that names what has none. */
export function checkScheme(where: string, scheme: QuantScheme): void {
  const { bits, block } = scheme;
  if (bits !== 4 && bits !== 8) throw new TypeError(`${where}: bits is ${bits}; expected 4 or 8`);
  if (!Number.isInteger(block) || block < 2 || block % 2 !== 0) {
    throw new TypeError(`${where}: block is ${block}; expected an even integer >= 2`);
  }
}

/** The shapes that belong to values of a shape. */
export function quantizedShapes(where: string, shape: Shape, scheme: QuantScheme) {
  checkScheme(where, scheme);
  const last = shape[shape.length - 1];
  if (last === undefined || isVar(last) || last % scheme.block !== 0) {
    throw new TypeError(
      `${where}: values are ${formatShape(shape)}; expected a last axis of a multiple of ` +
        `${scheme.block} elements, its block`,
    );
  }
  const withLast = (size: Dim): Shape => [...shape.slice(0, -1), size];
  return {
    packed: withLast(scheme.bits === 4 ? last / 2 : last),
    blocks: withLast(last / scheme.block),
  };
}
