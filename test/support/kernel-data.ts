import { arrayClass, DTYPES, type DType, type TypedArray } from '../../src/ir/dtype.ts';
import { encodeFloat, isSmallFloat } from '../../src/ir/float-formats.ts';
import type { Kernel } from '../../src/ir/kernel/types.ts';
import { interestingValues } from './random-kernel.ts';

/** Arguments for any kernel: edges of types, ordinary numbers, and any bits. */
export function kernelData(
  kernel: Kernel,
  seed: number,
): { readonly buffers: TypedArray[]; readonly vars: number[] } {
  let state = (seed ^ 0x9e3779b9) >>> 0;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state ^ (state >>> 15)) >>> 0;
  };
  const buffers = kernel.buffers.map(({ dtype, size, role }) => {
    const array = new (arrayClass(dtype))(size);
    if (role === 'in') for (let i = 0; i < size; i++) fill(array, dtype, i, random);
    return array;
  });
  return { buffers, vars: kernel.vars.map(({ min, max }) => min + (random() % (max - min + 1))) };
}

const words = new Uint32Array(1);

function fill(array: TypedArray, dtype: DType, i: number, random: () => number): void {
  const kind = random() % 4;
  if (kind === 0 && dtype !== 'bool') {
    words[0] = random();
    const { bytes } = DTYPES[dtype];
    new Uint8Array(array.buffer).set(new Uint8Array(words.buffer, 0, bytes), i * bytes);
    return;
  }
  const values = interestingValues(dtype);
  const small = (random() % 2001) - 1000;
  const value = kind === 1 && dtype !== 'bool' ? small / 8 : values[random() % values.length];
  array[i] = isSmallFloat(dtype) ? encodeFloat(dtype, value) : value;
}
