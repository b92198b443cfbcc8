/** A value type without references (§5.3.1 number types, §5.3.2 vector types). */
export type ValType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';

/** The type of a function: what it takes and what it leaves on the stack (§5.3.5). */
export interface Signature {
  readonly params: readonly ValType[];
  readonly results: readonly ValType[];
}

/** The single result of a block, or undefined for none (§5.4.1, type indices left out). */
export type BlockType = ValType | undefined;

/** The limits of a memory in pages of 65536 bytes (§5.3.7). */
export interface MemoryType {
  readonly minPages: number;
  /** Required where `shared` is set. */
  readonly maxPages?: number;
  /** Accessible from several threads; false by default. */
  readonly shared?: boolean;
  /** Addressed by i64 instead of i32; false by default. */
  readonly address64?: boolean;
}

/** The byte of each value type in the binary format. */
export const VAL_TYPE_CODE: Readonly<Record<ValType, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

/** The byte of a block type that leaves no result. */
export const EMPTY_BLOCK_CODE = 0x40;

/** The value type of a byte, or undefined where the byte is none. */
export function valTypeOfCode(code: number): ValType | undefined {
  for (const type of Object.keys(VAL_TYPE_CODE) as ValType[]) {
    if (VAL_TYPE_CODE[type] === code) return type;
  }
  return undefined;
}

/**
 * Checks that a value is a value type.
 * @throws Error naming `what`, the value and the types expected.
 */
export function checkValType(what: string, type: unknown): asserts type is ValType {
  if (typeof type === 'string' && Object.hasOwn(VAL_TYPE_CODE, type)) return;
  const expected = Object.keys(VAL_TYPE_CODE).join(', ');
  throw new Error(`${what} is ${String(type)}, expected one of ${expected}`);
}

/** The signature as one short text, equal exactly for equal signatures: 'i32 f32 -> v128'. */
export function signatureKey(signature: Signature): string {
  return `${signature.params.join(' ')} -> ${signature.results.join(' ')}`;
}
