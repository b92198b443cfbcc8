import type { Label, X64Assembler } from '../../../asm/index.ts';
import { InternalError } from '../../../base/errors.ts';
import type { Index } from '../../../ir/kernel/index-expr.ts';
import type {
  Buffer,
  CompareFn,
  LoadValue,
  Mask,
  Store,
  Value,
  ValueDType,
} from '../../../ir/kernel/types.ts';
import type { MachineBuilder, Place, PlaceOptions, View, Virtual } from './machine.ts';

/** What a kernel's code may use. */
export interface X64Features {
  readonly isa: 'avx2' | 'avx512';
  /** Dot products of bytes: AVX512_VNNI, or AVX-VNNI for avx2. */
  readonly vnni: boolean;
  /** AVX512_BF16. */
  readonly bf16: boolean;
}

/** What the parts of the emitter (values, memory, masks) need of the whole. */
export interface Emitter {
  /** Labels and constants. */
  readonly a: X64Assembler;
  readonly m: MachineBuilder;
  readonly isa: Isa;
  readonly features: X64Features;
  /** The register that holds a value, which is computed here if it is not yet. */
  use(value: Value): Virtual;
  /** The same as an operand of so many bits. */
  view(value: Value): View;
  /** A value as the last operand of an instruction: in memory where it can be left there. */
  operand(value: Value): View | Place;
  /** True where `operand` would leave the value in memory. */
  inMemory(value: Value): boolean;
  /** The register that a value's last instruction must write. */
  target(value: Value): View;
  /**
   * The register for a value whose instruction changes `from`: that of `from` itself where nobody
   * needs it any more, else a copy. `others` are read by the same instruction.
   */
  changed(value: Value, from: Value, others: readonly Value[]): View;
  /** Lets a value share the register of another that has the same bits, where that is safe. */
  share(value: Value, from: Value): boolean;
  /** A register for what an operation needs on its way. */
  temporary(bits: number): View;
  /** A vector that has these bits in each lane. */
  constant(bits: number): View;
  /** A vector of any content, as long as the widest. */
  table(words: readonly number[]): View;
  /** A general register that holds a constant. */
  number(value: number): Virtual;
  /** A register that holds an index. */
  index(index: Index): Virtual;
  address(buffer: Buffer, index: Index, options?: PlaceOptions): Place;
  /** Code that runs only where all of a mask (without lanes) holds; else `otherwise` runs. */
  where(mask: Mask, then: () => void, otherwise?: () => void): void;
  label(): Label;
}

/**
 * What differs between the two families of instructions, above all how they say yes and no for each
 * lane: AVX-512 in mask registers, AVX2 in lanes of all ones or none.
 */
export interface Isa {
  readonly bits: 256 | 512;
  readonly registers: 16 | 32;
  /** The class of registers that hold bools. */
  readonly bools: 'mask' | 'vector';
  compare(e: Emitter, to: View, fn: CompareFn, dtype: ValueDType, a: View, b: View | Place): void;
  /** to = condition ? a : b, lane by lane; no bools. */
  select(e: Emitter, to: View, condition: Virtual, a: View, b: View): void;
  /** Lanes that are not 0. */
  nonZero(e: Emitter, to: View, a: View): void;
  /** `bits` in each lane where a bool holds, else 0. */
  bitsWhere(e: Emitter, to: View, condition: Virtual, bits: number): void;
  boolConstant(e: Emitter, to: View, value: boolean): void;
  boolNot(e: Emitter, to: View, a: View): void;
  boolBinary(e: Emitter, to: View, fn: 'and' | 'or' | 'xor' | 'andn', a: View, b: View): void;
  /** The first lane of a bool in all lanes of a vector of bools. */
  boolSplat(e: Emitter, to: View, a: Virtual): void;
  boolLane(e: Emitter, to: View, a: Virtual, lane: number): void;
  /** A vector of bools of single ones. */
  boolPack(e: Emitter, to: View, items: readonly Virtual[]): void;
  boolShuffle(e: Emitter, to: View, a: Virtual, b: Virtual, places: readonly number[]): void;
  copyBool(m: MachineBuilder, to: View, from: Virtual): void;

  floatMinMax(e: Emitter, to: View, fn: 'min' | 'max', a: View, b: View): void;
  floatToInt(e: Emitter, to: View, a: View, unsigned: boolean): void;
  unsignedToFloat(e: Emitter, to: View, a: View): void;
  /** Quotient truncated; 0 where b is 0. */
  intDivide(e: Emitter, to: View, unsigned: boolean, a: View, b: View): void;
  shuffle(e: Emitter, to: View, a: View, b: View, places: readonly number[]): void;
  /** One lane of a vector to the first of another. */
  lane(e: Emitter, to: View, a: View, lane: number): void;
  /** Adds to a sum, over pairs, the products of four bytes in each lane, those of the first signed. */
  byteDot(e: Emitter, sum: View, pairs: readonly (readonly [Value, Value])[]): void;

  /** The lanes in which all of a mask holds. */
  laneMask(e: Emitter, mask: Mask, lanes: number): Virtual;
  /** Loads under a mask of lanes; those that it leaves out become 0. */
  loadMasked(e: Emitter, to: View, load: LoadValue, lanes: Virtual): void;
  /** Stores under a mask of lanes: the bits of elements in lanes, or floats for f16. */
  storeMasked(e: Emitter, store: Store, value: View, lanes: Virtual): void;
  /** Elements that lie `step` apart, of four bytes. */
  gather(
    e: Emitter,
    to: View,
    buffer: Buffer,
    index: Index,
    step: number,
    lanes: Virtual | undefined,
  ): void;
  /** The low bytes of each lane, side by side. */
  packed(e: Emitter, lanes: View, bytes: 1 | 2): View;
  /** Elements of one or two bytes, side by side in the low part of a register, to memory. */
  storePacked(e: Emitter, packed: View, count: number, bytes: 1 | 2, to: Place): void;
}

/** Bits of the register that holds a value: single ones use the first lane of 128. */
export function bitsOf(value: { readonly lanes: number }): number {
  return value.lanes === 1 ? 128 : value.lanes * 32;
}

export function refuseDoubles(dtype: ValueDType): void {
  if (dtype === 'f64') throw new InternalError('native kernels have no f64');
}

const words = new Int32Array(1);
const floats = new Float32Array(words.buffer);

/** The bits of a constant of a register type; a bool is all ones or none. */
export function constantBits(dtype: ValueDType, value: number): number {
  if (dtype === 'bool') return value === 0 ? 0 : -1;
  return dtype === 'f32' ? floatBits(value) : value | 0;
}

export function floatBits(value: number): number {
  floats[0] = value;
  return words[0];
}
