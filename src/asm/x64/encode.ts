import { InternalError } from '../../base/errors.ts';
import type { CodeBuffer } from './code-buffer.ts';
import type { Form } from './form.ts';
import type { Mem } from './memory.ts';
import type { Operand } from './operand.ts';
import type { Gpr, MaskReg, Tile, Vec } from './registers.ts';

/** No instruction is longer; the processor refuses longer ones. */
export const LONGEST_INSTRUCTION = 15;

type Register = Gpr | Vec | MaskReg | Tile;

/** The prefixes 66, F3, F2 as legacy instructions spell them, by their number in VEX and EVEX. */
const LEGACY_PREFIX = [0, 0x66, 0xf3, 0xf2] as const;

/**
 * Appends one instruction whose operands the form accepts. Returns where the displacement of a label
 * stands, which is still zero, or -1.
 */
export function encode(
  out: CodeBuffer,
  form: Form,
  operands: readonly Operand[],
  mask: number,
  zeroing: boolean,
): number {
  const rm = form.rm < 0 ? undefined : (operands[form.rm] as Register | Mem);
  const address = rm?.kind === 'mem' ? rm : undefined;
  if (form.sib && address?.label) {
    throw new InternalError(`x64: "${form.source}" cannot address a label; expected a register`);
  }
  out.reserve(LONGEST_INSTRUCTION);
  const reg = form.reg < 0 ? Math.max(form.extension, 0) : (operands[form.reg] as Register).id;
  const vvvv = form.vvvv < 0 ? 0 : (operands[form.vvvv] as Register).id;
  // The register in rm or in the opcode, or the base of an address: they share the bit B.
  let low = 0;
  let index = 0;
  if (address) {
    low = address.base?.id ?? 0;
    index = address.vindex?.id ?? address.index?.id ?? 0;
  } else if (rm) low = (rm as Register).id;
  else if (form.inOpcode >= 0) low = (operands[form.inOpcode] as Register).id;

  if (form.space === 'evex') {
    // A register in rm has its fifth bit in X, a vector of indices in V'.
    const x = address ? index >> 3 : low >> 4;
    const high = address?.vindex ? index >> 4 : vvvv >> 4;
    const r = reg >> 3;
    out.u8(0x62);
    // These bits stand inverted.
    const rxb = ((~r & 1) << 7) | ((~x & 1) << 6) | ((~(low >> 3) & 1) << 5);
    out.u8(rxb | ((~(r >> 1) & 1) << 4) | form.map);
    out.u8((form.w << 7) | ((~vvvv & 15) << 3) | 4 | form.prefix);
    const broadcast = address?.broadcast ? 0x10 : 0;
    out.u8((zeroing ? 0x80 : 0) | (form.l << 5) | broadcast | ((~high & 1) << 3) | mask);
    out.u8(form.opcode);
  } else if (form.space === 'vex') {
    vexPrefix(out, form, reg >> 3, index >> 3, low >> 3, vvvv);
    out.u8(form.opcode);
  } else {
    legacyPrefix(out, form, operands, reg, index, low);
    out.u8(form.inOpcode < 0 ? form.opcode : form.opcode | (low & 7));
  }

  let reference = -1;
  if (address) reference = writeAddress(out, form, reg, address);
  else if (rm || form.reg >= 0) out.u8(0xc0 | ((reg & 7) << 3) | (low & 7));
  if (form.fixed >= 0) out.u8(form.fixed);
  if (form.is4 >= 0) out.u8((operands[form.is4] as Register).id << 4);
  if (form.immediate >= 0) out.integer(operands[form.immediate] as number, form.immediateBytes);
  return reference;
}

function vexPrefix(out: CodeBuffer, form: Form, r: number, x: number, b: number, vvvv: number) {
  const rest = ((~vvvv & 15) << 3) | (form.l << 2) | form.prefix;
  if (form.map === 1 && form.w === 0 && x === 0 && b === 0) {
    out.u8(0xc5);
    out.u8(((~r & 1) << 7) | rest);
  } else {
    out.u8(0xc4);
    out.u8(((~r & 1) << 7) | ((~x & 1) << 6) | ((~b & 1) << 5) | form.map);
    out.u8((form.w << 7) | rest);
  }
}

function legacyPrefix(
  out: CodeBuffer,
  form: Form,
  operands: readonly Operand[],
  reg: number,
  index: number,
  low: number,
) {
  if (form.lock) out.u8(0xf0);
  if (form.operandSizePrefix) out.u8(0x66);
  if (form.prefix) out.u8(LEGACY_PREFIX[form.prefix]);
  let rex = (form.w << 3) | ((reg >> 3) << 2) | ((index >> 3) << 1) | (low >> 3);
  if (rex) rex |= 0x40;
  else {
    // Without REX, bytes 4..7 would be ah, ch, dh and bh.
    for (const operand of operands) {
      if (typeof operand === 'number' || operand.kind !== 'gpr') continue;
      if (operand.bits === 8 && operand.id >= 4) rex = 0x40;
    }
  }
  if (rex) out.u8(rex);
  if (form.map) out.u8(0x0f);
  if (form.map === 2) out.u8(0x38);
  else if (form.map === 3) out.u8(0x3a);
}

/** ModRM, SIB and displacement of an address. */
function writeAddress(out: CodeBuffer, form: Form, reg: number, address: Mem): number {
  const { base, disp } = address;
  const field = (reg & 7) << 3;
  if (address.label) {
    out.u8(field | 5);
    out.u32(0);
    return out.size - 4;
  }
  const index = address.vindex?.id ?? address.index?.id ?? -1;
  if (!base) {
    // No base and no displacement of its own is base 5 with mode 0, only in a SIB byte.
    out.u8(field | 4);
    out.u8((SCALE_BITS[address.scale] << 6) | ((index < 0 ? 4 : index & 7) << 3) | 5);
    out.u32(disp);
    return -1;
  }
  const low = base.id & 7;
  const unit = address.broadcast ? (form.w ? 8 : 4) : form.unit;
  // rbp and r13 with mode 0 would mean "no base".
  let mode = 0;
  let short = 0;
  if (disp !== 0 || low === 5) {
    short = disp / unit;
    mode = short >= -128 && short <= 127 && (short | 0) === short ? 1 : 2;
  }
  if (index >= 0 || low === 4 || form.sib) {
    out.u8((mode << 6) | field | 4);
    out.u8((SCALE_BITS[address.scale] << 6) | ((index < 0 ? 4 : index & 7) << 3) | low);
  } else out.u8((mode << 6) | field | low);
  if (mode === 1) out.u8(short);
  else if (mode === 2) out.u32(disp);
  return -1;
}

const SCALE_BITS = { 1: 0, 2: 1, 4: 2, 8: 3 } as const;
