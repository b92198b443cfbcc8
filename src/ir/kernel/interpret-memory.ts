import { arrayClass, type DType, type TypedArray } from '../dtype.ts';
import { decodeFloat, encodeFloat, isSmallFloat, type SmallFloat } from '../float-formats.ts';

/** From an element as its array holds it to a value in a register, and back. */
export type Codec = (x: number) => number;

const tables = new Map<SmallFloat, Float32Array>();

/** All values of a small format, by their bits. */
function decodeTable(dtype: SmallFloat): Float32Array {
  let table = tables.get(dtype);
  if (!table) {
    const count = 2 ** (8 * arrayClass(dtype).BYTES_PER_ELEMENT);
    table = Float32Array.from({ length: count }, (_, bits) => decodeFloat(dtype, bits));
    tables.set(dtype, table);
  }
  return table;
}

/** How a load widens an element; undefined where the array already gives the value. */
export function widening(dtype: DType): Codec | undefined {
  if (isSmallFloat(dtype)) {
    const table = decodeTable(dtype);
    return (bits) => table[bits];
  }
  return dtype === 'bool' ? (byte) => (byte !== 0 ? 1 : 0) : undefined;
}

/** How a store narrows a value; undefined where the array itself wraps or rounds as it should. */
export function narrowing(dtype: DType): Codec | undefined {
  if (isSmallFloat(dtype)) return (x) => encodeFloat(dtype, x);
  return dtype === 'bool' ? (x) => (x !== 0 ? 1 : 0) : undefined;
}

/**
 * An array whose content nobody may use: NaN, or a pattern no computation is likely to give, so
 * that a read before the first write shows in the result.
 */
export function garbage(dtype: DType, size: number): TypedArray {
  const array = new (arrayClass(dtype))(size);
  if (isSmallFloat(dtype)) array.fill(encodeFloat(dtype, Number.NaN));
  else if (dtype === 'f32' || dtype === 'f64') array.fill(Number.NaN);
  else new Uint8Array(array.buffer).fill(0xa5);
  return array;
}
