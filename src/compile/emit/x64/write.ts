import {
  at,
  type Gpr,
  k,
  type MaskReg,
  type Mem,
  type Mnemonic,
  mem,
  type Operand,
  r8,
  r16,
  r32,
  r64,
  rax,
  rbp,
  rsp,
  type Vec,
  vec,
  type X64Assembler,
} from '../../../asm/index.ts';
import { InternalError } from '../../../base/errors.ts';
import { type Allocation, allocate, type RegisterCounts } from './allocate.ts';
import {
  type Instruction,
  isPlace,
  isView,
  type MachineBuilder,
  type MachineCode,
  type MachineOperand,
  type Place,
  type View,
  type Virtual,
} from './machine.ts';

/**
 * General registers in the order in which they are given; those from SAVED on belong to the caller. rsp is
 * the frame, rbp the record of arguments.
 */
const GENERAL = [0, 1, 2, 6, 7, 8, 9, 10, 11, 3, 12, 13, 14, 15].map((id) => r64(id));
const SAVED = 9;
const SCRATCH: RegisterCounts = { general: 3, vector: 3, mask: 2 };
const MASKS = 7;

/** What a kernel's code may use of the processor. */
export interface RegisterFile {
  /** Vector registers, and the bits of one. */
  readonly vectors: 16 | 32;
  readonly bits: 256 | 512;
}

/**
 * Chooses registers and writes a kernel as a function: `f(record)` in the System V convention, the
 * record's address in rdi.
 */
export function writeFunction(a: X64Assembler, machine: MachineBuilder, file: RegisterFile): void {
  new Writer(a, machine, file).write();
}

class Writer {
  readonly #a: X64Assembler;
  readonly #machine: MachineBuilder;
  readonly #code: readonly MachineCode[];
  readonly #file: RegisterFile;
  readonly #allocation: Allocation;
  readonly #counts: RegisterCounts;
  /** Places in the frame of what has no register. */
  readonly #slots = new Map<Virtual, number>();
  /** Scratch registers that the present instruction has taken. */
  #taken = { general: 0, vector: 0, mask: 0 };

  constructor(a: X64Assembler, machine: MachineBuilder, file: RegisterFile) {
    this.#a = a;
    this.#machine = machine;
    this.#file = file;
    this.#counts = { general: GENERAL.length, vector: file.vectors, mask: MASKS };
    this.#code = machine.finish();
    this.#allocation = allocate(this.#code, machine.virtuals, this.#counts, SCRATCH);
  }

  write(): void {
    const a = this.#a;
    for (const register of this.#allocation.spilled) {
      if (register.home) continue;
      const bytes = { general: 8, vector: this.#file.bits / 8, mask: 8 }[register.class];
      this.#slots.set(register, this.#machine.frame(bytes));
    }
    const saved = this.#savedRegisters();
    for (const register of [rbp, ...saved]) a.emit('push', register);
    // The frame is aligned for whole vectors; the caller's stack pointer lies behind it.
    const frame = Math.ceil(this.#machine.frameBytes / 64) * 64;
    if (frame > 0) {
      a.emit('mov', rax, rsp)
        .emit('sub', rsp, frame + 64)
        .emit('and', rsp, -64);
      a.emit('mov', mem(rsp, frame), rax);
    }
    a.emit('mov', rbp, r64(7));
    for (const item of this.#code) {
      if (item.kind === 'instruction') this.#instruction(item);
      else if (item.kind === 'bind') a.align(item.align).bind(item.label);
      else if (item.kind === 'branch') {
        if (item.condition === 'always') a.jump(item.label);
        else a.branch(item.condition, item.label);
      }
    }
    if (frame > 0) a.emit('mov', rsp, mem(rsp, frame));
    for (const register of [...saved].reverse()) a.emit('pop', register);
    a.emit('pop', rbp).emit('vzeroupper').emit('ret');
  }

  #savedRegisters(): Gpr[] {
    const { numbers, spilled } = this.#allocation;
    const used = new Set<number>();
    for (const [register, number] of numbers) if (register.class === 'general') used.add(number);
    const scratch = [...spilled].some((register) => register.class === 'general');
    const first = this.#counts.general - SCRATCH.general;
    return GENERAL.filter((_, i) => i >= SAVED && (used.has(i) || (scratch && i >= first)));
  }

  #instruction(item: Instruction): void {
    const { operands, effect, name } = item;
    const [first, ...rest] = operands;
    this.#taken = { general: 0, vector: 0, mask: 0 };
    const home = isView(first) ? first.register.home : undefined;
    // A value that can be read where it lies needs no copy.
    if (home && effect === 'writes' && this.#isSpilled(first as View)) return;
    if (this.#inMemory(item)) return;
    const sources = rest.map((operand, i) => this.#source(item, operand, i + 1));
    const mask = item.mask ? this.#read(mask64(item.mask)) : undefined;
    let target: Operand | undefined;
    let after: (() => void) | undefined;
    if (first !== undefined) {
      if (isView(first) && this.#isSpilled(first) && effect !== 'reads') {
        // What is only written may stand where a source stood: sources are read before.
        const over = effect === 'writes' && this.#taken[first.register.class] > 0;
        if (over) this.#taken[first.register.class]--;
        const scratch = this.#scratch(first);
        if (effect === 'changes') this.#load(scratch, first);
        target = scratch;
        after = () => this.#store(first, scratch);
      } else target = this.#source(item, first, 0);
    }
    const all = target === undefined ? sources : [target, ...sources];
    if (!mask && isCopyToItself(name, all)) {
      after?.();
      return;
    }
    if (mask) this.#a.masked(name, mask as MaskReg, item.zeroing, ...all);
    else this.#a.emit(name, ...all);
    after?.();
    const second = rest[0];
    if (EXCHANGES.has(name) && isView(second) && this.#isSpilled(second)) {
      this.#store(second, sources[0] as Gpr);
    }
  }

  /** Sums of integers that live in the frame are made there. */
  #inMemory({ name, effect, operands }: Instruction): boolean {
    const [first, second] = operands;
    if (effect !== 'changes' || name !== 'add' || !isView(first) || !this.#isSpilled(first)) {
      return false;
    }
    if (typeof second !== 'number' || first.register.home) return false;
    this.#a.emit('add', mem(rsp, this.#slot(first.register), { bits: 64 }), second);
    return true;
  }

  #isSpilled(view: View): boolean {
    return this.#allocation.spilled.has(view.register);
  }

  #source(item: Instruction, operand: MachineOperand, i: number): Operand {
    if (typeof operand === 'number') return operand;
    if (isPlace(operand)) return this.#place(operand);
    if (operand.kind === 'k' || operand.kind === 'tmm') return operand;
    const folds = this.#isSpilled(operand) && i > 0 && foldsMemory(item, i);
    return folds ? this.#memoryOf(operand) : this.#read(operand);
  }

  /** The register of a view; what has none is loaded into a scratch register. */
  #read(view: View): Operand {
    if (!this.#isSpilled(view)) return this.#register(view);
    const scratch = this.#scratch(view);
    this.#load(scratch, view);
    return scratch;
  }

  #register({ register, bits }: View): Gpr | Vec | MaskReg {
    const number = this.#allocation.numbers.get(register);
    if (number === undefined) throw new InternalError(`register ${register.id} was never given`);
    return this.#physical(register, number, bits);
  }

  #physical(register: Virtual, number: number, bits: number): Gpr | Vec | MaskReg {
    switch (register.class) {
      case 'general':
        return generalOf(GENERAL[number].id, bits);
      case 'vector':
        return vec(number, bits as Vec['bits']);
      case 'mask':
        return k(number + 1);
      default:
        return register.class satisfies never;
    }
  }

  #scratch({ register, bits }: View): Gpr | Vec | MaskReg {
    const cls = register.class;
    const number = this.#counts[cls] - 1 - this.#taken[cls]++;
    if (this.#taken[cls] > SCRATCH[cls]) throw new InternalError(`out of scratch: ${cls}`);
    return this.#physical(register, number, bits);
  }

  #slot(register: Virtual): number {
    const slot = this.#slots.get(register);
    if (slot === undefined) throw new InternalError(`register ${register.id} has no place`);
    return slot;
  }

  #memoryOf({ register, bits }: View): Mem {
    const { home } = register;
    if (home?.kind === 'pool') return at(home.label);
    if (home) return mem(rbp, home.offset, { bits: bits as 64 });
    return mem(rsp, this.#slot(register));
  }

  #load(target: Gpr | Vec | MaskReg, view: View): void {
    const from = this.#memoryOf(view);
    if (target.kind === 'gpr') this.#a.emit('mov', r64(target.id), { ...from, bits: undefined });
    else if (target.kind === 'vec') this.#a.emit('vmovups', this.#whole(target, view), from);
    else this.#a.emit('kmovw', target, from);
  }

  #store(view: View, source: Gpr | Vec | MaskReg): void {
    const to = mem(rsp, this.#slot(view.register));
    if (source.kind === 'gpr') this.#a.emit('mov', to, r64(source.id));
    else if (source.kind === 'vec') this.#a.emit('vmovups', to, this.#whole(source, view));
    else this.#a.emit('kmovw', to, source);
  }

  /** Vectors go to memory whole: others may look at more of them than this instruction. */
  #whole(register: Vec, { register: { home } }: View): Vec {
    return vec(register.id, home?.kind === 'pool' ? home.bits : this.#file.bits);
  }

  #place(p: Place): Operand {
    const { scale, broadcast, bits } = p;
    const vindex = p.lanes ? (this.#read(p.lanes) as Vec) : undefined;
    const index = p.index
      ? (this.#read({ kind: 'view', register: p.index, bits: 64 }) as Gpr)
      : undefined;
    const options = { index, scale, broadcast, bits, vindex };
    if (p.base === 'frame') return mem(rsp, p.offset, options);
    if (p.base === 'arguments') return mem(rbp, p.offset, options);
    if (!('class' in p.base)) return at(p.base, p.offset, { broadcast, bits });
    const base = this.#read({ kind: 'view', register: p.base, bits: 64 }) as Gpr;
    return mem(base, p.offset, options);
  }
}

function mask64(register: Virtual): View {
  return { kind: 'view', register, bits: 64 };
}

function generalOf(id: number, bits: number): Gpr {
  if (bits === 64) return r64(id);
  if (bits === 32) return r32(id);
  return bits === 16 ? r16(id) : r8(id);
}

/** Instructions that write their second operand, too. */
const EXCHANGES: ReadonlySet<Mnemonic> = new Set<Mnemonic>(['lock_xadd', 'xchg']);
const COPIES: ReadonlySet<Mnemonic> = new Set<Mnemonic>(['vmovaps', 'kmovw']);

function isCopyToItself(name: Mnemonic, [to, from]: readonly Operand[]): boolean {
  if (typeof to !== 'object' || to !== from) return false;
  // A move of 32 bits clears the others.
  return COPIES.has(name) || (name === 'mov' && to.kind === 'gpr' && to.bits === 64);
}

/** Instructions whose last operand may lie in memory, as long as the vector is. */
const FOLDING =
  /^(vadd|vsub|vmul|vdiv|vmin|vmax|vf[n]?m(add|sub))\w*ps$|^(vand|vandn|vor|vxor|vsqrt)ps$|^vp(add|sub)[bwd]$|^vpmulld$|^vp(and|or|xor)d?$|^vpm(in|ax)[su]d$|^vpdpbusd(_vex)?$|^vdpbf16ps$|^vcvtdq2ps$/;
const folding = new Map<Mnemonic, boolean>();

function foldsMemory({ name, operands, mask }: Instruction, i: number): boolean {
  if (i !== operands.length - 1 || mask) return false;
  if (operands.some((operand) => isPlace(operand))) return false;
  let known = folding.get(name);
  if (known === undefined) {
    known = FOLDING.test(name);
    folding.set(name, known);
  }
  return known;
}
