import type { Label, MaskReg, Mem, Mnemonic, Tile, Vec } from '../../../asm/index.ts';
import { InternalError } from '../../../base/errors.ts';

/**
 * Code before registers are chosen: instructions of the assembler over any number of virtual
 * registers, in one line with its loops marked. `allocate.ts` gives the registers, `write.ts` the bytes.
 */
export type RegisterClass = 'general' | 'vector' | 'mask';

/** A register to be. It may be written several times. */
export interface Virtual {
  readonly kind: 'virtual';
  readonly class: RegisterClass;
  readonly id: number;
  /**
   * Where its value can be read at any time: nothing is stored when it loses its register, and it
   * has no instruction that defines it.
   */
  readonly home: Home | undefined;
}

/** A constant behind the code, or a place in the record of the kernel's arguments. */
export type Home =
  | { readonly kind: 'pool'; readonly label: Label; readonly bits: Vec['bits'] }
  | { readonly kind: 'argument'; readonly offset: number };

/** A virtual register as an instruction sees it. */
export interface View {
  readonly kind: 'view';
  readonly register: Virtual;
  readonly bits: number;
}

/** A place in memory by virtual registers, in the frame, or behind the code. */
export interface Place {
  readonly kind: 'place';
  readonly base: Virtual | 'frame' | 'arguments' | Label;
  readonly index: Virtual | undefined;
  /** Lanes as index: of a gather. */
  readonly lanes: View | undefined;
  readonly scale: 1 | 2 | 4 | 8;
  readonly offset: number;
  readonly broadcast: boolean;
  readonly bits: Mem['bits'];
}

export type MachineOperand = View | Place | number | MaskReg | Tile;

/** What an instruction does to its first operand. */
export type Effect = 'writes' | 'changes' | 'reads';

export interface Instruction {
  readonly kind: 'instruction';
  readonly name: Mnemonic;
  readonly effect: Effect;
  readonly operands: readonly MachineOperand[];
  /** Lanes that are written; others keep the first operand, or become 0. */
  readonly mask: Virtual | undefined;
  readonly zeroing: boolean;
}

export type Condition =
  | 'e'
  | 'ne'
  | 'l'
  | 'le'
  | 'g'
  | 'ge'
  | 'b'
  | 'be'
  | 'a'
  | 'ae'
  | 's'
  | 'ns'
  | 'p'
  | 'np';

export type MachineCode =
  | Instruction
  | { readonly kind: 'bind'; readonly label: Label; readonly align: number }
  | { readonly kind: 'branch'; readonly condition: Condition | 'always'; readonly label: Label }
  | { readonly kind: 'loopStart' }
  | { readonly kind: 'loopEnd' };

export interface PlaceOptions {
  readonly index?: Virtual;
  readonly lanes?: View;
  readonly scale?: 1 | 2 | 4 | 8;
  readonly broadcast?: boolean;
  readonly bits?: Mem['bits'];
}

export function place(base: Place['base'], offset = 0, options: PlaceOptions = {}): Place {
  const { index, lanes, scale = 1, broadcast = false, bits } = options;
  return { kind: 'place', base, index, lanes, scale, offset, broadcast, bits };
}

/** Instructions that run before a loop: values that it needs can still be put there. */
export type Segment = MachineCode[];

/** Records machine code. */
export class MachineBuilder {
  readonly #root: Segment[] = [[]];
  #current: Segment = this.#root[0];
  #before: Segment | undefined;
  #depth = 0;
  #nextVirtual = 0;
  #frameBytes = 0;

  virtual(cls: RegisterClass, home?: Home): Virtual {
    return { kind: 'virtual', class: cls, id: this.#nextVirtual++, home };
  }

  get virtuals(): number {
    return this.#nextVirtual;
  }

  /** Bytes of the frame that are taken. */
  get frameBytes(): number {
    return this.#frameBytes;
  }

  /** Room in the frame, aligned to its size (at most 64). */
  frame(bytes: number): number {
    const alignment = Math.min(64, bytes);
    const start = Math.ceil(this.#frameBytes / alignment) * alignment;
    this.#frameBytes = start + bytes;
    return start;
  }

  writes(name: Mnemonic, ...operands: MachineOperand[]): void {
    this.#add(name, 'writes', operands);
  }
  changes(name: Mnemonic, ...operands: MachineOperand[]): void {
    this.#add(name, 'changes', operands);
  }
  reads(name: Mnemonic, ...operands: MachineOperand[]): void {
    this.#add(name, 'reads', operands);
  }
  /** Under a mask: what is left out becomes 0, or stays as it is. */
  masked(name: Mnemonic, mask: Virtual, zeroing: boolean, ...operands: MachineOperand[]): void {
    const toMemory = operands[0] !== undefined && isPlace(operands[0]);
    const writes = zeroing || name === 'vblendmps';
    this.#add(name, toMemory ? 'reads' : writes ? 'writes' : 'changes', operands, mask, zeroing);
  }

  #add(
    name: Mnemonic,
    effect: Effect,
    operands: readonly MachineOperand[],
    mask?: Virtual,
    zeroing = false,
  ): void {
    this.#current.push({ kind: 'instruction', name, effect, operands, mask, zeroing });
  }

  bind(label: Label, align = 1): void {
    this.#current.push({ kind: 'bind', label, align });
  }

  branch(condition: Condition | 'always', label: Label): void {
    this.#current.push({ kind: 'branch', condition, label });
  }

  /** Everything that `body` records lies in a loop. */
  inLoop(body: () => void): void {
    this.inRegion(() => {
      this.#current.push({ kind: 'loopStart' });
      body();
      this.#current.push({ kind: 'loopEnd' });
    });
  }

  /** What `body` records runs more than once, or perhaps not at all. */
  inRegion(body: () => void): void {
    if (this.#depth === 0) {
      // What is put before the outermost loop later goes between these two.
      this.#before = [];
      this.#current = [];
      this.#root.push(this.#before, this.#current);
    }
    this.#depth++;
    body();
    this.#depth--;
    if (this.#depth === 0) {
      this.#before = undefined;
      this.#current = [];
      this.#root.push(this.#current);
    }
  }

  /** Records in front of the outermost open region, or here where none is open. */
  early<T>(record: () => T): T {
    if (!this.#before) return record();
    const here = this.#current;
    this.#current = this.#before;
    const recorded = record();
    this.#current = here;
    return recorded;
  }

  /** Number of the outermost open region (0: none): values put before it are known inside. */
  get region(): number {
    return this.#depth === 0 ? 0 : this.#root.length;
  }

  finish(): readonly MachineCode[] {
    if (this.#depth !== 0) throw new InternalError('a region of machine code is still open');
    return this.#root.flat();
  }
}

export function isPlace(operand: MachineOperand): operand is Place {
  return typeof operand === 'object' && operand.kind === 'place';
}

export function isView(operand: MachineOperand): operand is View {
  return typeof operand === 'object' && operand.kind === 'view';
}

/** Calls `visit` for each virtual register that an operand needs to be read, or written if it is one. */
export function eachVirtual(operand: MachineOperand, visit: (v: Virtual) => void): void {
  if (typeof operand === 'number' || operand.kind === 'k' || operand.kind === 'tmm') return;
  if (operand.kind === 'view') {
    visit(operand.register);
    return;
  }
  if (typeof operand.base === 'object' && 'class' in operand.base) visit(operand.base);
  if (operand.index) visit(operand.index);
  if (operand.lanes) visit(operand.lanes.register);
}

export function general(register: Virtual, bits: 8 | 16 | 32 | 64 = 64): View {
  return { kind: 'view', register, bits };
}
export function vector(register: Virtual, bits: number): View {
  return { kind: 'view', register, bits };
}
export function mask(register: Virtual): View {
  return { kind: 'view', register, bits: 64 };
}
