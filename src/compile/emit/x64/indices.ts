import { InternalError } from '../../../base/errors.ts';
import { DTYPES } from '../../../ir/dtype.ts';
import { type Atom, type Index, range, type Term } from '../../../ir/kernel/index-expr.ts';
import type { Buffer, Kernel } from '../../../ir/kernel/types.ts';
import { type Pointer, pointerOf } from '../addresses.ts';
import {
  general,
  type MachineBuilder,
  type Place,
  type PlaceOptions,
  place,
  type Virtual,
} from './machine.ts';

/** Registers known in one block: addresses and parts of indices, by key. */
type Known = ReadonlyMap<string, Virtual>;

const FITS = 2 ** 31;

/**
 * Computes indices and addresses in general registers of 64 bits, and remembers where they are: each
 * is computed once in the outermost block that has it.
 */
export class IndexEmitter {
  readonly #m: MachineBuilder;
  readonly #buffers = new Map<number, Virtual>();
  readonly #vars = new Map<string, Virtual>();
  /** Registers of loop counters and checked indices, by atom key. */
  readonly #atoms = new Map<string, Virtual>();
  #known: Map<string, Virtual>[] = [new Map()];

  /** The record of arguments holds the addresses of buffers and locals, then the vars. */
  constructor(m: MachineBuilder, { buffers, locals, vars }: Kernel) {
    this.#m = m;
    const argument = (i: number) => argumentRegister(m, i);
    const all = [...buffers, ...locals];
    all.forEach((buffer, i) => {
      this.#buffers.set(buffer.id, argument(i));
    });
    vars.forEach((v, i) => {
      this.#vars.set(v.name, argument(all.length + i));
    });
  }

  /** Makes a register stand for a loop's counter or for a checked index. */
  define(atomKey: string, register: Virtual): void {
    this.#atoms.set(atomKey, register);
  }

  /** Emits a block: what is computed in it is unknown after it. */
  inside(body: () => void, known: Known = new Map()): void {
    this.#known.push(new Map(known));
    body();
    this.#known.pop();
  }

  /** Where an element lies. */
  address(buffer: Buffer, index: Index, options?: PlaceOptions): Place {
    const { bytes } = DTYPES[buffer.dtype];
    const base = this.pointer(pointerOf(buffer, index));
    const offset = index.constant * bytes;
    if (Math.abs(offset) < FITS - 4096) return place(base, offset, options);
    const far = this.#m.virtual('general');
    this.#m.writes('mov', general(far), offset);
    this.#m.changes('add', general(far), general(base));
    return place(far, 0, options);
  }

  /** The register that holds a pointer, computed here when no open block has it. */
  pointer(pointer: Pointer): Virtual {
    if (pointer.terms.length === 0) return this.#buffer(pointer.buffer);
    const known = this.#lookup(pointer.key);
    if (known) return known;
    const { bytes } = DTYPES[pointer.buffer.dtype];
    const register = this.#sum(pointer.terms, bytes, this.#buffer(pointer.buffer));
    this.#remember(pointer.key, register);
    return register;
  }

  /** A register of its own with a pointer's value: a loop will move it. */
  movable(pointer: Pointer): Virtual {
    const from = this.pointer(pointer);
    const register = this.#m.virtual('general');
    this.#m.writes('mov', general(register), general(from));
    return register;
  }

  #buffer(buffer: Buffer): Virtual {
    const register = this.#buffers.get(buffer.id);
    if (!register) throw new InternalError(`buffer ${buffer.name} is no argument`);
    return register;
  }

  #lookup(key: string): Virtual | undefined {
    for (const block of this.#known) {
      const register = block.get(key);
      if (register) return register;
    }
    return undefined;
  }

  #remember(key: string, register: Virtual): void {
    this.#known[this.#known.length - 1].set(key, register);
  }

  /** A register that holds an index; nobody may change it. */
  index(index: Index): Virtual {
    const { terms } = index;
    if (terms.length === 1 && terms[0].coefficient === 1 && index.constant === 0) {
      return this.#atom(terms[0].atom);
    }
    const register = this.#sum(terms, 1, undefined);
    if (index.constant !== 0 || terms.length === 0)
      this.#addConstant(register, index.constant, terms.length === 0);
    return register;
  }

  #addConstant(register: Virtual, value: number, alone: boolean): void {
    if (alone) this.#m.writes('mov', general(register), value);
    else this.add(register, value);
  }

  /** Adds a constant to a register; none is too large. */
  add(register: Virtual, value: number): void {
    if (Math.abs(value) < FITS) this.#m.changes('add', general(register), value);
    else {
      const large = this.#m.virtual('general');
      this.#m.writes('mov', general(large), value);
      this.#m.changes('add', general(register), general(large));
    }
  }

  /** The sum of terms times `scale`, and of `base`, in a new register. */
  #sum(terms: readonly Term[], scale: number, base: Virtual | undefined): Virtual {
    const m = this.#m;
    let sum = base;
    for (const { atom, coefficient } of terms) {
      const factor = coefficient * scale;
      const value = this.#atom(atom);
      const next = m.virtual('general');
      if (sum && [1, 2, 4, 8].includes(factor)) {
        const scaled = { index: value, scale: factor as 1 | 2 | 4 | 8 };
        m.writes('lea', general(next), place(sum, 0, scaled));
        sum = next;
        continue;
      }
      this.multiply(next, value, factor);
      if (sum) m.changes('add', general(next), general(sum));
      sum = next;
    }
    return sum ?? m.virtual('general');
  }

  /** Puts `value` times a constant into a register; no constant is too large. */
  multiply(to: Virtual, value: Virtual, factor: number): void {
    const m = this.#m;
    const power = Math.log2(factor);
    if (factor === 1) m.writes('mov', general(to), general(value));
    else if (Number.isInteger(power) && power < 32) {
      m.writes('mov', general(to), general(value));
      m.changes('shl', general(to), power);
    } else if (Math.abs(factor) < FITS) m.writes('imul', general(to), general(value), factor);
    else {
      m.writes('mov', general(to), factor);
      m.changes('imul', general(to), general(value));
    }
  }

  #atom(atom: Atom): Virtual {
    switch (atom.kind) {
      case 'loop':
      case 'data':
        return this.#require(this.#atoms, atom.key);
      case 'var':
        return this.#require(this.#vars, atom.variable.name);
      case 'div':
      case 'mod': {
        const known = this.#lookup(atom.key);
        if (known) return known;
        const register = this.#division(atom.kind, atom.of, atom.by);
        this.#remember(atom.key, register);
        return register;
      }
      case 'lane':
        throw new InternalError('an address must not hold the lane');
      default:
        return atom satisfies never;
    }
  }

  #require(map: ReadonlyMap<string, Virtual>, key: string): Virtual {
    const register = map.get(key);
    if (!register) throw new InternalError(`${key} has no register here`);
    return register;
  }

  /** Floor division by a constant, or its remainder. */
  #division(kind: 'div' | 'mod', of: Index, by: number): Virtual {
    const m = this.#m;
    const value = this.index(of);
    const result = m.virtual('general');
    const power = Math.log2(by);
    if (Number.isInteger(power) && power < 31) {
      // Shifts and masks of two's complement round down, also below 0.
      m.writes('mov', general(result), general(value));
      if (kind === 'div') m.changes('sar', general(result), power);
      else m.changes('and', general(result), by - 1);
      return result;
    }
    const quotient = this.#quotient(value, of, by);
    if (kind === 'div') return quotient;
    this.multiply(result, quotient, -by);
    m.changes('add', general(result), general(value));
    return result;
  }

  /**
   * x / by for 0 <= x < 2^31 as a product with a rounded-up reciprocal (Granlund and Montgomery 1994);
   * by doubles, which are exact up to 2^53, for larger ones. What may be negative is shifted up before.
   */
  #quotient(value: Virtual, of: Index, by: number): Virtual {
    const m = this.#m;
    const { min, max } = range(of);
    const shift = Math.max(0, Math.ceil(-min / by));
    const x = m.virtual('general');
    m.writes('mov', general(x), general(value));
    if (shift > 0) this.#addConstant(x, shift * by, false);
    const result = m.virtual('general');
    if (max + shift * by < FITS) {
      const bits = 31 + Math.ceil(Math.log2(by));
      const reciprocal = (2n ** BigInt(bits) + BigInt(by) - 1n) / BigInt(by);
      m.writes('mov', general(result), Number(reciprocal));
      m.changes('imul', general(result), general(x));
      m.changes('shr', general(result), bits);
    } else {
      const [a, b] = [m.virtual('vector'), m.virtual('vector')];
      const double = (v: Virtual) => ({ kind: 'view', register: v, bits: 128 }) as const;
      m.writes('mov', general(result), by);
      m.writes('vxorps', double(b), double(b), double(b));
      m.writes('vcvtsi2sd', double(a), double(b), general(x));
      m.writes('vcvtsi2sd', double(b), double(b), general(result));
      m.writes('vdivsd', double(a), double(a), double(b));
      m.writes('vcvttsd2si', general(result), double(a));
    }
    if (shift > 0) this.#addConstant(result, -shift, false);
    return result;
  }
}

/** A register that can be read from the record of arguments at any time. */
export function argumentRegister(m: MachineBuilder, i: number): Virtual {
  const register = m.virtual('general', { kind: 'argument', offset: 8 * i });
  m.writes('mov', general(register), place('arguments', 8 * i));
  return register;
}
