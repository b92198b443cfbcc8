import type { X64Assembler } from '../../../asm/index.ts';
import { general, type MachineBuilder, place, type View, type Virtual, vector } from './machine.ts';

/**
 * Vectors of constants. Each is kept once behind the code, and gets a register once for each of the
 * kernel's outermost loops, in front of it; where registers are short it is read where it lies.
 */
export class Constants {
  readonly #a: X64Assembler;
  readonly #m: MachineBuilder;
  readonly #bits: 256 | 512;
  readonly #known = new Map<string, { region: number; register: Virtual }>();

  constructor(a: X64Assembler, m: MachineBuilder, bits: 256 | 512) {
    this.#a = a;
    this.#m = m;
    this.#bits = bits;
  }

  /** A vector that has these bits in each lane. */
  all(bits: number): View {
    return this.table(new Array<number>(this.#bits / 32).fill(bits | 0));
  }

  /** A vector of any content, as long as the widest. */
  table(words: readonly number[]): View {
    const bits = this.#bits;
    const register = this.early(words.join(), () => {
      const label = this.#a.constant(new Uint8Array(Int32Array.from(words).buffer), bits / 8);
      const made = this.#m.virtual('vector', { kind: 'pool', label, bits });
      this.#m.writes('vmovups', vector(made, bits), place(label));
      return made;
    });
    return vector(register, bits);
  }

  /** A general register that holds a number. */
  number(value: number): Virtual {
    return this.early(`number ${value}`, () => {
      const register = this.#m.virtual('general');
      this.#m.writes('mov', general(register), value);
      return register;
    });
  }

  /** Something that is made once for all of the outermost loop at hand. */
  early(key: string, make: () => Virtual): Virtual {
    const { region } = this.#m;
    const known = this.#known.get(key);
    if (known && known.region === region) return known.register;
    const register = this.#m.early(make);
    this.#known.set(key, { region, register });
    return register;
  }
}
