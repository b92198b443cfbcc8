import type { ByteWriter } from './encode.ts';
import type { INSTRUCTIONS, Instruction } from './opcodes.ts';
import type { InstructionRow } from './row.ts';
import type { BlockType } from './types.ts';
import { checkValType, EMPTY_BLOCK_CODE, VAL_TYPE_CODE } from './types.ts';

/** Where a memory instruction accesses memory, relative to its address operand (§5.4.6). */
export interface MemoryArgument {
  /** Bytes added to the address, 0..2^32-1; 0 where omitted. */
  readonly offset?: number;
  /** Promised alignment in bytes, a power of two; the natural one where omitted. */
  readonly align?: number;
}

/** What `emit` takes after the name, for each kind of immediate. */
interface ImmediateArguments {
  none: [];
  block: [type?: BlockType];
  label: [depth: number];
  labels: [depths: readonly number[], otherwise: number];
  function: [index: number];
  local: [index: number];
  global: [index: number];
  memory: [argument?: MemoryArgument];
  memoryLane: [argument: MemoryArgument | undefined, lane: number];
  lane: [lane: number];
  shuffle: [lanes: ArrayLike<number>];
  v128: [bytes: ArrayLike<number>];
  i32: [value: number];
  i64: [value: bigint | number];
  f32: [value: number];
  f64: [value: number];
}

/** The immediates of one instruction, as a tuple of the arguments after its name. */
export type ImmediatesOf<N extends Instruction> =
  ImmediateArguments[(typeof INSTRUCTIONS)[N]['immediate']];

/**
 * Checked immediates, flat: block [type code], br_table [...depths, otherwise], memory
 * [offset, align in bytes], a lane access [offset, align, lane], shuffle and v128 [16 bytes],
 * everything else its one value. Only i64.const holds a bigint.
 */
export type FlatImmediates = readonly (number | bigint)[];

const NONE: FlatImmediates = [];
const UINT32_MAX = 0xffffffff;
const INT32_MIN = -0x80000000;
const UINT64_MAX = 0xffffffffffffffffn;
const INT64_MIN = -0x8000000000000000n;
const VECTOR_BYTES = 16;
const SHUFFLE_LANES = 32;

/** The error of a wrong immediate; names instruction, argument, value and what was expected. */
export function immediateError(
  name: string,
  argument: string,
  value: unknown,
  expected: string,
): Error {
  return new Error(`${name}: ${argument} is ${String(value)}, expected ${expected}`);
}

/**
 * Checks that a value is an integer of a range, both ends included.
 * @throws Error naming instruction, argument, value and range.
 */
export function checkInteger(
  name: string,
  argument: string,
  value: unknown,
  low: number,
  high: number,
): number {
  if (Number.isInteger(value) && (value as number) >= low && (value as number) <= high) {
    return value as number;
  }
  throw immediateError(name, argument, value, `an integer from ${low} to ${high}`);
}

/**
 * Checks the immediates of an instruction and flattens them. Labels, locals and functions are
 * only checked to be indices, because what they may name depends on the function around.
 * @throws Error naming instruction, argument, value and what was expected.
 */
export function flattenImmediates(
  name: string,
  row: InstructionRow,
  given: readonly unknown[],
): FlatImmediates {
  const first = given[0];
  switch (row.immediate) {
    case 'none':
      return NONE;
    case 'block':
      return [blockCode(name, first)];
    case 'label':
      return [checkInteger(name, 'depth', first, 0, UINT32_MAX)];
    case 'labels':
      return labels(name, first, given[1]);
    case 'function':
    case 'local':
    case 'global':
      return [checkInteger(name, `${row.immediate} index`, first, 0, UINT32_MAX)];
    case 'memory':
      return memory(name, row, first);
    case 'memoryLane':
      return [...memory(name, row, first), lane(name, row, given[1])];
    case 'lane':
      return [lane(name, row, first)];
    case 'shuffle':
      return sixteen(name, 'lane', first, SHUFFLE_LANES - 1);
    case 'v128':
      return sixteen(name, 'byte', first, 0xff);
    case 'i32':
      // Both the signed and the unsigned reading are allowed, as in the text format (§6.3.1).
      return [checkInteger(name, 'value', first, INT32_MIN, UINT32_MAX) | 0];
    case 'i64':
      return [int64(name, first)];
    case 'f32':
      return [Math.fround(float(name, first))];
    case 'f64':
      return [float(name, first)];
  }
}

function blockCode(name: string, type: unknown): number {
  if (type === undefined) return EMPTY_BLOCK_CODE;
  checkValType(`${name}: result type`, type);
  return VAL_TYPE_CODE[type];
}

function labels(name: string, depths: unknown, otherwise: unknown): number[] {
  if (!Array.isArray(depths)) {
    throw immediateError(name, 'depths', depths, 'an array of integers');
  }
  const flat: number[] = [];
  for (const [index, depth] of depths.entries()) {
    flat.push(checkInteger(name, `depth ${index}`, depth, 0, UINT32_MAX));
  }
  flat.push(checkInteger(name, 'otherwise', otherwise, 0, UINT32_MAX));
  return flat;
}

function memory(name: string, row: InstructionRow, argument: unknown): number[] {
  if (argument === undefined) return [0, row.width];
  if (typeof argument !== 'object' || argument === null) {
    throw immediateError(name, 'memory argument', argument, 'an object {offset, align}');
  }
  const { offset = 0, align = row.width } = argument as MemoryArgument;
  checkInteger(name, 'offset', offset, 0, UINT32_MAX);
  if (row.exactAlign && align !== row.width) {
    throw immediateError(name, 'align', align, `${row.width}, its natural alignment`);
  }
  if (!Number.isInteger(align) || align < 1 || align > row.width || (align & (align - 1)) !== 0) {
    throw immediateError(name, 'align', align, `a power of two from 1 to ${row.width} bytes`);
  }
  return [offset, align];
}

function lane(name: string, row: InstructionRow, index: unknown): number {
  return checkInteger(name, 'lane', index, 0, row.lanes - 1);
}

function sixteen(name: string, argument: string, values: unknown, high: number): number[] {
  const list = values as ArrayLike<unknown> | null | undefined;
  if (list?.length !== VECTOR_BYTES) {
    const count = list?.length ?? 'none';
    throw immediateError(name, `number of ${argument}s`, count, `${VECTOR_BYTES}`);
  }
  const flat: number[] = [];
  for (let index = 0; index < VECTOR_BYTES; index++) {
    flat.push(checkInteger(name, `${argument} ${index}`, list[index], 0, high));
  }
  return flat;
}

function int64(name: string, value: unknown): bigint {
  const whole = Number.isSafeInteger(value) ? BigInt(value as number) : value;
  if (typeof whole === 'bigint' && whole >= INT64_MIN && whole <= UINT64_MAX) {
    return BigInt.asIntN(64, whole);
  }
  const expected = `a bigint or safe integer from ${INT64_MIN} to ${UINT64_MAX}`;
  throw immediateError(name, 'value', value, expected);
}

function float(name: string, value: unknown): number {
  if (typeof value === 'number') return value;
  throw immediateError(name, 'value', value, 'a number');
}

/** Appends checked immediates in the binary format (§5.4); the opcode is already there. */
export function writeImmediates(
  writer: ByteWriter,
  row: InstructionRow,
  values: FlatImmediates,
): void {
  switch (row.immediate) {
    case 'none':
      break;
    case 'block':
    case 'lane':
      writer.byte(values[0] as number);
      break;
    case 'label':
    case 'function':
    case 'local':
    case 'global':
      writer.unsigned32(values[0] as number);
      break;
    case 'labels':
      // The count leaves out the last label, which is the one taken beyond the list.
      writer.unsigned32(values.length - 1);
      for (const depth of values) writer.unsigned32(depth as number);
      break;
    case 'memory':
    case 'memoryLane':
      writer.byte(31 - Math.clz32(values[1] as number));
      writer.unsigned32(values[0] as number);
      if (row.immediate === 'memoryLane') writer.byte(values[2] as number);
      break;
    case 'shuffle':
    case 'v128':
      writer.bytes(values as readonly number[]);
      break;
    case 'i32':
      writer.signed32(values[0] as number);
      break;
    case 'i64':
      writer.signed64(values[0] as bigint);
      break;
    case 'f32':
      writer.float32(values[0] as number);
      break;
    case 'f64':
      writer.float64(values[0] as number);
      break;
  }
}
