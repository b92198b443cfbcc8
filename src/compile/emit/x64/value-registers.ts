import type { Carried, Loop, Statement, Value } from '../../../ir/kernel/types.ts';
import type { Constants } from './constants.ts';
import { bitsOf, constantBits, type Isa } from './emitter.ts';
import type { Lifetimes } from './lifetimes.ts';
import { type MachineBuilder, type Virtual, vector } from './machine.ts';

/**
 * Which register holds a value. Values that follow each other through a loop or a sum share one: so a
 * multiply-add changes its accumulator, and nothing is moved at a loop's end.
 */
export class ValueRegisters {
  readonly #m: MachineBuilder;
  readonly #isa: Isa;
  readonly #lifetimes: Lifetimes;
  readonly #constants: Constants;
  readonly #compute: (value: Value) => void;
  readonly #registers = new Map<Value, Virtual>();
  /** Values that wait to be read from memory by the instruction that uses them. */
  readonly #waiting = new Set<Value>();
  /** The registers of carried values, and what each holds at present. */
  readonly #carriedIn = new Map<Carried, Virtual>();
  readonly #holds = new Map<Virtual, Value>();
  readonly #carrying = new Set<Virtual>();
  /** Position of the statement that is being written. */
  #position = 0;

  /** @param compute writes the code of a value that has no register yet */
  constructor(
    m: MachineBuilder,
    isa: Isa,
    lifetimes: Lifetimes,
    constants: Constants,
    compute: (value: Value) => void,
  ) {
    this.#m = m;
    this.#isa = isa;
    this.#lifetimes = lifetimes;
    this.#constants = constants;
    this.#compute = compute;
  }

  /** The statement that is written next. */
  at(statement: Statement): void {
    this.#position = this.#lifetimes.position(statement);
  }

  /** The register that holds a value, which is computed here if it is not yet. */
  use(value: Value): Virtual {
    const known = this.#registers.get(value);
    if (known) return known;
    if (value.kind === 'const') return this.#constant(value);
    this.#waiting.delete(value);
    this.#compute(value);
    return this.#registers.get(value) as Virtual;
  }

  #constant(value: Value & { readonly kind: 'const' }): Virtual {
    if (value.dtype !== 'bool' || this.#isa.bools === 'vector') {
      return this.#constants.all(constantOf(value)).register;
    }
    return this.#constants.early(`bool${value.value}`, () => {
      const register = this.#m.virtual('mask');
      const view = vector(register, 64);
      this.#m.writes(value.value === 0 ? 'kxorw' : 'kxnorw', view, view, view);
      return register;
    });
  }

  /** Leaves a value in memory until it is used. */
  wait(value: Value): void {
    this.#waiting.add(value);
  }

  isWaiting(value: Value): boolean {
    return this.#waiting.has(value);
  }

  /** The instruction that uses a waiting value has read it. */
  readInMemory(value: Value): void {
    this.#waiting.delete(value);
  }

  /** A register holds a value from here on. */
  keep(value: Value, register: Virtual): void {
    this.#registers.set(value, register);
    this.#holds.set(register, value);
  }

  /**
   * Lets a value that has the bits of another share its register; false where a loop will change that.
   * Nobody may write over a register that two values hold.
   */
  share(value: Value, from: Value): boolean {
    const register = this.use(from);
    if (this.#carrying.has(register)) return false;
    this.#registers.set(value, register);
    this.#holds.delete(register);
    return true;
  }

  /** The register that a value's last instruction must write. */
  target(value: Value): Virtual {
    const carried = this.#lifetimes.carriedBy.get(value);
    let register = carried && this.#carriedIn.get(carried);
    const held = register && this.#holds.get(register);
    if (held && held !== value && !this.#lifetimes.isOver(held, this.#position)) {
      register = undefined;
    }
    register ??= this.#m.virtual(this.#classOf(value));
    this.keep(value, register);
    return register;
  }

  #classOf(value: Value): 'vector' | 'mask' {
    return value.dtype === 'bool' && this.#isa.bools === 'mask' ? 'mask' : 'vector';
  }

  /**
   * The register for a value whose instruction changes `from`: that of `from` itself where nobody
   * needs it any more, else a copy. `others` are read by the same instruction.
   */
  changed(value: Value, from: Value, others: readonly Value[]): Virtual {
    const source = this.use(from);
    if (this.#mayTake(from, source)) {
      this.keep(value, source);
      return source;
    }
    const busy = others.map((other) => this.#registers.get(other));
    let to = this.target(value);
    if (busy.includes(to)) {
      to = this.#m.virtual('vector');
      this.keep(value, to);
    }
    this.#move(to, source, from, bitsOf(value));
    return to;
  }

  /** Whether the statement at hand may write over the register of one of its operands. */
  #mayTake(value: Value, register: Virtual): boolean {
    return (
      value.kind !== 'const' &&
      register.home === undefined &&
      this.#holds.get(register) === value &&
      this.#lifetimes.endsAt(value, this.#position)
    );
  }

  /** The register that carries a value, which holds the initial one. */
  startCarried(carried: Carried): Virtual {
    const { init, inside } = carried;
    const register = this.#copyToCarry(init);
    this.#carriedIn.set(carried, register);
    this.#carrying.add(register);
    this.keep(inside, register);
    return register;
  }

  #copyToCarry(init: Value): Virtual {
    const bits = bitsOf(init);
    const source = this.use(init);
    if (this.#mayTake(init, source)) return source;
    const register = this.#m.virtual(source.class);
    this.#move(register, source, init, bits);
    return register;
  }

  #move(to: Virtual, from: Virtual, value: Value, bits: number): void {
    if (to === from) return;
    if (to.class === 'mask') this.#isa.copyBool(this.#m, vector(to, 64), from);
    else if (value.kind === 'const' && constantOf(value) === 0) {
      // The whole register is cleared, and waits for nobody.
      const view = vector(to, Math.min(bits, 256));
      this.#m.writes('vxorps', view, view, view);
    } else this.#m.writes('vmovaps', vector(to, bits), vector(from, bits));
  }

  /** Puts the next values into the registers of the carried ones, all at the same time. */
  carry(loop: Loop, registers: readonly Virtual[]): void {
    const moves = loop.carried.flatMap(({ next }, i) => {
      const from = this.use(next);
      return from === registers[i] ? [] : [{ to: registers[i], from, next }];
    });
    const written = new Set(moves.map(({ to }) => to));
    const sources = moves.map(({ from, next }) => {
      if (!written.has(from)) return from;
      const copy = this.#m.virtual(from.class);
      this.#move(copy, from, next, bitsOf(next));
      return copy;
    });
    moves.forEach(({ to, next }, i) => {
      this.#move(to, sources[i], next, bitsOf(next));
    });
  }
}

function constantOf(value: Value & { readonly kind: 'const' }): number {
  return constantBits(value.dtype, value.value);
}
