/** Element types. Floats below 32 bits are storage types: arithmetic widens them to f32. */
export type DType =
  | 'f64'
  | 'f32'
  | 'f16'
  | 'bf16'
  | 'f8e4m3'
  | 'f8e5m2'
  | 'i32'
  | 'u32'
  | 'i8'
  | 'u8'
  | 'bool';

export type DTypeKind = 'float' | 'int' | 'uint' | 'bool';

interface DTypeFacts {
  /** Bytes of one element in memory. */
  readonly bytes: number;
  readonly kind: DTypeKind;
  /** Where two types meet in an operation, the higher rank wins (PyTorch's promotion). */
  readonly rank: number;
  /** Spacing of numbers at 1.0; 0 for integers. The unit of every tolerance. */
  readonly epsilon: number;
}

export const DTYPES: { readonly [D in DType]: DTypeFacts } = {
  f64: { bytes: 8, kind: 'float', rank: 10, epsilon: 2 ** -52 },
  f32: { bytes: 4, kind: 'float', rank: 9, epsilon: 2 ** -23 },
  bf16: { bytes: 2, kind: 'float', rank: 8, epsilon: 2 ** -7 },
  f16: { bytes: 2, kind: 'float', rank: 7, epsilon: 2 ** -10 },
  f8e5m2: { bytes: 1, kind: 'float', rank: 6, epsilon: 2 ** -2 },
  f8e4m3: { bytes: 1, kind: 'float', rank: 5, epsilon: 2 ** -3 },
  u32: { bytes: 4, kind: 'uint', rank: 4, epsilon: 0 },
  i32: { bytes: 4, kind: 'int', rank: 3, epsilon: 0 },
  i8: { bytes: 1, kind: 'int', rank: 2, epsilon: 0 },
  u8: { bytes: 1, kind: 'uint', rank: 1, epsilon: 0 },
  bool: { bytes: 1, kind: 'bool', rank: 0, epsilon: 0 },
};

export function isDType(name: unknown): name is DType {
  return typeof name === 'string' && Object.hasOwn(DTYPES, name);
}

export function isFloat(dtype: DType): boolean {
  return DTYPES[dtype].kind === 'float';
}

/** The type in which an operation on both is computed. */
export function promote(a: DType, b: DType): DType {
  return DTYPES[a].rank >= DTYPES[b].rank ? a : b;
}

/** The array class that holds a type's elements; 16- and 8-bit floats as raw bits. */
export type TypedArray =
  | Float64Array
  | Float32Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Int8Array
  | Uint8Array;

export interface TypedArrayClass {
  new (length: number): TypedArray;
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): TypedArray;
  readonly BYTES_PER_ELEMENT: number;
}

const ARRAYS: { readonly [D in DType]: TypedArrayClass } = {
  f64: Float64Array,
  f32: Float32Array,
  f16: Uint16Array,
  bf16: Uint16Array,
  f8e4m3: Uint8Array,
  f8e5m2: Uint8Array,
  i32: Int32Array,
  u32: Uint32Array,
  i8: Int8Array,
  u8: Uint8Array,
  bool: Uint8Array,
};

export function arrayClass(dtype: DType): TypedArrayClass {
  return ARRAYS[dtype];
}
