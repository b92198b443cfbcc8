import { badArgument, InternalError } from '../../base/errors.ts';
import { CodeBuffer } from './code-buffer.ts';
import { CONDITIONS, type Condition } from './condition.ts';
import { encode } from './encode.ts';
import type { Form } from './form.ts';
import { formsOf, type Mnemonic } from './instructions.ts';
import type { Label } from './memory.ts';
import { classOf, type Operand } from './operand.ts';
import { ConstantPool, naturalAlignment, type PlacedConstant, POOL_ALIGNMENT } from './pool.ts';
import type { MaskReg } from './registers.ts';
import { type Line, listing, operandText } from './text.ts';

/** Four bytes that say how far a label is from the end of the instruction. */
interface Reference {
  readonly position: number;
  readonly end: number;
  readonly label: Label;
  readonly disp: number;
}

/** Bytes that do nothing, by their number: each is one instruction. */
const NOPS: readonly (readonly number[])[] = [
  [],
  [0x90],
  [0x66, 0x90],
  [0x0f, 0x1f, 0x00],
  [0x0f, 0x1f, 0x40, 0x00],
  [0x0f, 0x1f, 0x44, 0x00, 0x00],
  [0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
  [0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
  [0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
  [0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
];

/** Between the code and its constants: whoever runs into it stops. */
const INT3 = 0xcc;

/**
 * Writes x86-64 machine code that may lie anywhere: jumps and constants are addressed from the
 * instruction. Operands stand in Intel's order, the destination first.
 */
export class X64Assembler {
  readonly #code = new CodeBuffer();
  readonly #lines: Line[] = [];
  readonly #references: Reference[] = [];
  readonly #labels: Label[] = [];
  /** Where labels stand, by their number; -1 until they are bound. */
  readonly #offsets: number[] = [];
  readonly #pool = new ConstantPool();
  /** Classes of the operands of one instruction, while its form is looked for. */
  readonly #classes = new Int32Array(8);

  /** Bytes of code so far, without constants. */
  get size(): number {
    return this.#code.size;
  }

  /** Appends an instruction, in VEX where that can say it, else in EVEX. */
  emit(name: Mnemonic, ...operands: Operand[]): this {
    return this.#append(name, 0, false, operands);
  }

  /** Appends an instruction that writes only the lanes of a mask; others are kept or zeroed. */
  masked(name: Mnemonic, mask: MaskReg, zeroing: boolean, ...operands: Operand[]): this {
    if (mask.id === 0) {
      throw new InternalError(`x64: k0 cannot mask ${name}; it means "no mask": take k1 to k7`);
    }
    return this.#append(name, mask.id, zeroing, operands);
  }

  /** A new label, which `bind` gives its place. */
  label(): Label {
    const label: Label = { id: this.#labels.length };
    this.#labels.push(label);
    this.#offsets.push(-1);
    return label;
  }

  bind(label: Label): this {
    this.#check(label);
    if (this.#offsets[label.id] >= 0) {
      throw new InternalError(
        `x64: label L${label.id} is bound twice; make a label for each place`,
      );
    }
    this.#offsets[label.id] = this.size;
    this.#lines.push({ kind: 'label', offset: this.size, label });
    return this;
  }

  /** Fills with instructions that do nothing, up to a multiple of a power of two. */
  align(alignment: number): this {
    if (alignment < 1 || alignment > 4096 || (alignment & (alignment - 1)) !== 0) {
      throw badArgument('align', 'alignment', alignment, 'a power of two up to 4096');
    }
    const code = this.#code;
    let missing = -code.size & (alignment - 1);
    if (missing > 0) this.#lines.push({ kind: 'align', offset: code.size, alignment });
    code.reserve(missing);
    while (missing > 0) {
      const nop = NOPS[Math.min(missing, NOPS.length - 1)];
      for (const byte of nop) code.u8(byte);
      missing -= nop.length;
    }
    return this;
  }

  jump(label: Label): this {
    return this.#transfer('jmp', label, 0xeb, 0, 0xe9);
  }

  branch(condition: Condition, label: Label): this {
    const code = CONDITIONS[condition];
    return this.#transfer(`j${condition}`, label, 0x70 | code, 0x0f, 0x80 | code);
  }

  call(label: Label): this {
    return this.#transfer('call', label, 0, 0, 0xe8);
  }

  /** A constant behind the code, read with `at`. Equal bytes are kept once. */
  constant(bytes: Uint8Array, alignment: number = naturalAlignment(bytes.length)): Label {
    return this.#pool.add(bytes, alignment, () => this.label());
  }

  /** The code with all labels resolved, and its constants from a multiple of 64 on. */
  bytes(): Uint8Array<ArrayBuffer> {
    const constants = this.#placeConstants();
    const last = constants.at(-1);
    const length = last ? this.#poolOffset + last.offset + last.bytes.length : this.size;
    const bytes = new Uint8Array(length);
    bytes.set(this.#code.data.subarray(0, this.size));
    if (last) bytes.fill(INT3, this.size, this.#poolOffset);
    for (const { bytes: constant, offset } of constants) {
      bytes.set(constant, this.#poolOffset + offset);
    }
    const view = new DataView(bytes.buffer);
    for (const { position, end, label, disp } of this.#references) {
      view.setInt32(position, this.offsetOf(label) + disp - end, true);
    }
    return bytes;
  }

  /** Where a label stands in the bytes; of a constant it is known only after `bytes()`. */
  offsetOf(label: Label): number {
    this.#check(label);
    const offset = this.#offsets[label.id];
    if (offset < 0) {
      throw new InternalError(
        `x64: label L${label.id} has no place; expected bind() before bytes()`,
      );
    }
    return offset;
  }

  /** A listing for people. */
  text(): string {
    return listing(this.#lines, this.#placeConstants(), this.#poolOffset);
  }

  get #poolOffset(): number {
    return Math.ceil(this.size / POOL_ALIGNMENT) * POOL_ALIGNMENT;
  }

  #placeConstants(): PlacedConstant[] {
    const constants = this.#pool.placed();
    for (const { label, offset } of constants) {
      this.#offsets[label.id] = this.#poolOffset + offset;
    }
    return constants;
  }

  #append(name: Mnemonic, mask: number, zeroing: boolean, operands: readonly Operand[]): this {
    const form = this.#formFor(name, mask, zeroing, operands);
    const code = this.#code;
    const offset = code.size;
    const rm = form.rm < 0 ? undefined : operands[form.rm];
    const address = typeof rm === 'object' && rm.kind === 'mem' ? rm : undefined;
    if (address?.label) this.#check(address.label);
    const position = encode(code, form, operands, mask, zeroing);
    if (address?.label) {
      const { label, disp } = address;
      this.#references.push({ position, end: code.size, label, disp });
    }
    const lanes = form.unit / (form.w ? 8 : 4);
    this.#lines.push({ kind: 'instruction', offset, name, operands, mask, zeroing, lanes });
    return this;
  }

  #formFor(name: Mnemonic, mask: number, zeroing: boolean, operands: readonly Operand[]): Form {
    const forms = formsOf(name);
    const count = operands.length;
    const classes = this.#classes;
    for (let i = 0; i < count; i++) classes[i] = classOf(operands[i]);
    search: for (const form of forms) {
      const { accepts } = form;
      if (accepts.length !== count) continue;
      for (let i = 0; i < count; i++) if ((classes[i] & accepts[i]) === 0) continue search;
      if (mask === 0 ? form.mask === 'needed' : form.mask === 'none') continue;
      // Nothing is zeroed in memory or in a mask.
      if (zeroing && !(form.mask === 'optional' && isVector(operands[0]))) continue;
      return form;
    }
    throw this.#noForm(name, mask, zeroing, operands);
  }

  #noForm(name: Mnemonic, mask: number, zeroing: boolean, operands: readonly Operand[]) {
    const given = operands.map((operand) => operandText(operand)).join(', ');
    const under = mask ? `{k${mask}}${zeroing ? '{z}' : ''}` : '';
    const rows = [...new Set(formsOf(name).map((form) => form.source))];
    return new InternalError(
      `x64: ${name}${under} does not take (${given}); expected one of: ${rows.join(' | ')}`,
    );
  }

  /** Jumps back take a short form where it reaches; the way forward is not known yet. */
  #transfer(name: string, label: Label, short: number, prefix: number, near: number): this {
    this.#check(label);
    const code = this.#code;
    this.#lines.push({ kind: 'jump', offset: code.size, name, label });
    code.reserve(6);
    const distance = this.#offsets[label.id] - (code.size + 2);
    if (short && this.#offsets[label.id] >= 0 && distance >= -128) {
      code.u8(short);
      code.u8(distance);
      return this;
    }
    if (prefix) code.u8(prefix);
    code.u8(near);
    code.u32(0);
    this.#references.push({ position: code.size - 4, end: code.size, label, disp: 0 });
    return this;
  }

  #check(label: Label): void {
    if (this.#labels[label.id] !== label) {
      throw new InternalError(
        `x64: label L${label.id} is another assembler's; make it with label()`,
      );
    }
  }
}

function isVector(operand: Operand): boolean {
  return typeof operand === 'object' && operand.kind === 'vec';
}
