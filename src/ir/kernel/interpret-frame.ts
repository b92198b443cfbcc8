import { InternalError } from '../../base/errors.ts';
import type { TypedArray } from '../dtype.ts';
import { type Atom, atLane, hasLane, type Index } from './index-expr.ts';
import { TILE_BYTES, TILES, type TileShape, tileShapes } from './tiles.ts';
import type { Buffer, Kernel, Loop, Mask, Statement, Value } from './types.ts';

/** The first index that a `checked` value found outside 0 .. size - 1. */
export interface FailedCheck {
  /** Number of the message in `kernel.checks`. */
  readonly check: number;
  readonly value: number;
  readonly size: number;
}

/** Registers that a block needs: one per lane of each value, one per loop. */
function countSlots(block: readonly Statement[]): number {
  let count = 0;
  for (const statement of block) {
    if (statement.kind === 'loop') {
      const carried = statement.carried.reduce((n, c) => n + 2 * c.inside.lanes, 0);
      count += 1 + carried + countSlots(statement.body);
    } else if ('lanes' in statement) count += statement.lanes;
  }
  return count;
}

interface OpenLoop {
  readonly id: number;
  readonly slot: number;
}

/**
 * Where an interpreted kernel keeps its state: one register file for values, loop counters and
 * vars, and the arrays of a run. It also knows what has a register at the point being compiled.
 */
export class Frame {
  readonly kernel: Kernel;
  readonly fusedFma: boolean;
  readonly registers: Float64Array;
  /** The registers of tiles, one after the other. */
  readonly tiles = new Uint8Array(TILES * TILE_BYTES);
  readonly tileShapes: readonly TileShape[];
  /** Arguments, then locals; there only during a run. */
  readonly memory: TypedArray[] = [];
  check: FailedCheck | null = null;
  readonly #bufferSlots = new Map<Buffer, number>();
  readonly #valueSlots = new Map<number, number>();
  readonly #varSlots = new Map<string, number>();
  /** Open loops, outermost first. */
  #loops: readonly OpenLoop[] = [];
  #nextSlot = 0;

  constructor(kernel: Kernel, fusedFma: boolean) {
    this.kernel = kernel;
    this.tileShapes = tileShapes(kernel.body);
    this.fusedFma = fusedFma;
    this.registers = new Float64Array(kernel.vars.length + countSlots(kernel.body));
    // Vars come first, in order: a run copies them in as they are.
    for (const { name } of kernel.vars) this.#varSlots.set(name, this.#nextSlot++);
    for (const b of [...kernel.buffers, ...kernel.locals]) {
      this.#bufferSlots.set(b, this.#bufferSlots.size);
    }
  }

  fail(what: string): never {
    throw new InternalError(`kernel ${this.kernel.name}: ${what}`);
  }

  /** The first register of a value from here on. */
  define(value: Value): number {
    const slot = this.#nextSlot;
    this.#nextSlot += value.lanes;
    this.#valueSlots.set(value.id, slot);
    return slot;
  }

  use(value: Value): number {
    return this.#slotOf(value.id);
  }

  useLanes(value: Value): number[] {
    const slot = this.use(value);
    return Array.from({ length: value.lanes }, (_, l) => slot + l);
  }

  #slotOf(id: number): number {
    return this.#valueSlots.get(id) ?? this.fail(`value ${id} is used but not defined`);
  }

  bufferSlot(buffer: Buffer): number {
    const slot = this.#bufferSlots.get(buffer);
    return slot ?? this.fail(`buffer ${buffer.name} is not declared`);
  }

  /** Compiles what lies inside a loop; gives the register of the loop's counter as well. */
  inLoop<T>(loop: Loop, compile: () => T): [counter: number, compiled: T] {
    const counter = this.#nextSlot++;
    const outer = this.#loops;
    this.#loops = [...outer, { id: loop.atom.id, slot: counter }];
    try {
      return [counter, compile()];
    } finally {
      this.#loops = outer;
    }
  }

  /** Refuses an access whose first or last element, `distance` apart, lies outside the buffer. */
  guard(buffer: Buffer): (first: number, distance: number) => void {
    const { size, name } = buffer;
    const r = this.registers;
    const loops = this.#loops;
    return (first, distance) => {
      if (Math.min(first, first + distance) >= 0 && Math.max(first, first + distance) < size)
        return;
      const lanes = distance === 0 ? '' : ` .. ${first + distance}`;
      const where = loops.map(({ id, slot }) => `i${id} = ${r[slot]}`).join(', ');
      this.fail(`index ${first}${lanes} is outside ${name}[${size}]${where && ` where ${where}`}`);
    };
  }

  /** All conditions of a mask, by lane; undefined when there are none. */
  mask(mask: Mask, lanes: number): ((lane: number) => boolean) | undefined {
    if (mask.length === 0) return undefined;
    const all = (of: Mask) => {
      const conditions = of.map((m) => this.index(m));
      return () => conditions.every((condition) => condition() >= 0);
    };
    if (!mask.some(hasLane)) return all(mask);
    const each = Array.from({ length: lanes }, (_, l) => all(mask.map((m) => atLane(m, l))));
    return (lane) => each[lane]();
  }

  /** An index as a sum over registers, with what is not linear computed apart. */
  index(index: Index): () => number {
    const r = this.registers;
    const base = index.constant;
    const slots: number[] = [];
    const factors: number[] = [];
    const parts: { readonly factor: number; readonly read: () => number }[] = [];
    for (const { atom, coefficient } of index.terms) {
      if (atom.kind === 'div' || atom.kind === 'mod') {
        parts.push({ factor: coefficient, read: this.#division(atom) });
      } else {
        slots.push(this.#atomSlot(atom));
        factors.push(coefficient);
      }
    }
    const count = slots.length;
    if (parts.length === 0 && count === 0) return () => base;
    if (parts.length === 0 && count === 1) {
      const [slot] = slots;
      const [factor] = factors;
      return () => base + factor * r[slot];
    }
    return () => {
      let sum = base;
      for (let k = 0; k < count; k++) sum += factors[k] * r[slots[k]];
      for (const { factor, read } of parts) sum += factor * read();
      return sum;
    };
  }

  #division(atom: Extract<Atom, { kind: 'div' | 'mod' }>): () => number {
    const of = this.index(atom.of);
    const { by } = atom;
    if (atom.kind === 'div') return () => Math.floor(of() / by);
    return () => {
      const x = of();
      return x - by * Math.floor(x / by);
    };
  }

  #atomSlot(atom: Exclude<Atom, { kind: 'div' | 'mod' }>): number {
    switch (atom.kind) {
      case 'loop':
        return this.#open(this.#loops.find((l) => l.id === atom.id)?.slot, atom.key);
      case 'var':
        return this.#open(this.#varSlots.get(atom.variable.name), atom.key);
      case 'data':
        return this.#slotOf(atom.value);
      case 'lane':
        return this.#open(undefined, atom.key);
      default:
        return atom satisfies never;
    }
  }

  #open(slot: number | undefined, key: string): number {
    return slot ?? this.fail(`${key} has no value here`);
  }
}
