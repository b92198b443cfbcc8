import type { Label, X64Assembler } from '../../../asm/index.ts';
import { InternalError } from '../../../base/errors.ts';
import type { Index } from '../../../ir/kernel/index-expr.ts';
import type { Buffer, Mask, Value, ValueDType } from '../../../ir/kernel/types.ts';
import type { Isa } from './isa.ts';
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
  /** A register for what an operation needs on its way. */
  temporary(bits: number): View;
  /** A vector that has these bits in each lane. */
  constant(bits: number): View;
  /** A vector of any content, as long as the widest. */
  table(words: readonly number[]): View;
  /** A register that holds an index. */
  index(index: Index): Virtual;
  address(buffer: Buffer, index: Index, options?: PlaceOptions): Place;
  /** Code that runs only where all of a mask (without lanes) holds; else `otherwise` runs. */
  where(mask: Mask, then: () => void, otherwise?: () => void): void;
  label(): Label;
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
