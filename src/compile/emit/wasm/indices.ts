import type { FunctionBuilder } from '../../../asm/index.ts';
import { InternalError } from '../../../base/errors.ts';
import { DTYPES } from '../../../ir/dtype.ts';
import { type Atom, type Index, range, type Term } from '../../../ir/kernel/index-expr.ts';
import type { Buffer, Kernel } from '../../../ir/kernel/types.ts';
import { growsOnly, type Pointer, pointerOf } from '../addresses.ts';

/** Locals known in one block: addresses and parts of indices, by key. */
type Known = ReadonlyMap<string, number>;

/**
 * Writes indices and addresses, and remembers in which locals they are: each is computed once in the
 * outermost block that has it.
 */
export class IndexEmitter {
  readonly f: FunctionBuilder;
  readonly #buffers = new Map<number, number>();
  readonly #vars = new Map<string, number>();
  /** Locals of loop counters and checked indices, by atom key. */
  readonly #atoms = new Map<string, number>();
  #known: Map<string, number>[] = [new Map()];

  /** Parameters of the function are the kernel's buffers, its locals, then its vars. */
  constructor(f: FunctionBuilder, { buffers, locals, vars }: Kernel) {
    this.f = f;
    const all = [...buffers, ...locals];
    all.forEach((buffer, i) => {
      this.#buffers.set(buffer.id, i);
    });
    vars.forEach((v, i) => {
      this.#vars.set(v.name, all.length + i);
    });
  }

  /** Makes a local stand for a loop's counter or for a checked index. */
  define(atomKey: string, local: number): void {
    this.#atoms.set(atomKey, local);
  }

  /** Emits a block: what is computed in it is unknown after it. */
  inside(body: () => void, known: Known = new Map()): void {
    this.#known.push(new Map(known));
    body();
    this.#known.pop();
  }

  /** The local that holds an index, computed here. */
  held(index: Index): number {
    const local = this.f.local('i32');
    this.pushIndex(index);
    this.f.emit('local.set', local);
    return local;
  }

  /** Leaves the address of an element on the stack; returns the offset the instruction must add. */
  pushAddress(buffer: Buffer, index: Index): number {
    const { bytes } = DTYPES[buffer.dtype];
    this.f.emit('local.get', this.pointer(pointerOf(buffer, index)));
    if (growsOnly(index)) return index.constant * bytes;
    this.f.emit('i32.const', index.constant * bytes).emit('i32.add');
    return 0;
  }

  /** The local that holds a pointer, computed here when no open block has it. */
  pointer(pointer: Pointer): number {
    if (pointer.terms.length === 0) return this.#bufferLocal(pointer.buffer);
    const known = this.#lookup(pointer.key);
    if (known !== undefined) return known;
    const local = this.f.local('i32');
    this.pushPointer(pointer);
    this.f.emit('local.set', local);
    this.#remember(pointer.key, local);
    return local;
  }

  #bufferLocal(buffer: Buffer): number {
    const local = this.#buffers.get(buffer.id);
    if (local === undefined) throw new InternalError(`buffer ${buffer.name} is no parameter`);
    return local;
  }

  pushPointer(pointer: Pointer): void {
    const known = this.#lookup(pointer.key);
    if (known !== undefined) {
      this.f.emit('local.get', known);
      return;
    }
    this.f.emit('local.get', this.#bufferLocal(pointer.buffer));
    const { bytes } = DTYPES[pointer.buffer.dtype];
    for (const term of pointer.terms) {
      this.#pushTerm(term, bytes);
      this.f.emit('i32.add');
    }
  }

  #lookup(key: string): number | undefined {
    for (const block of this.#known) {
      const local = block.get(key);
      if (local !== undefined) return local;
    }
    return undefined;
  }

  #remember(key: string, local: number): void {
    this.#known[this.#known.length - 1].set(key, local);
  }

  pushIndex(index: Index): void {
    const { f } = this;
    if (index.isConstant) {
      f.emit('i32.const', index.constant);
      return;
    }
    index.terms.forEach((term, i) => {
      this.#pushTerm(term, 1);
      if (i > 0) f.emit('i32.add');
    });
    if (index.constant !== 0) f.emit('i32.const', index.constant).emit('i32.add');
  }

  #pushTerm({ atom, coefficient }: Term, scale: number): void {
    this.#pushAtom(atom);
    const factor = coefficient * scale;
    if (factor !== 1) this.f.emit('i32.const', factor).emit('i32.mul');
  }

  #pushAtom(atom: Atom): void {
    const { f } = this;
    switch (atom.kind) {
      case 'loop':
        f.emit('local.get', this.#require(this.#atoms, atom.key));
        return;
      case 'var':
        f.emit('local.get', this.#require(this.#vars, atom.variable.name));
        return;
      case 'data':
        f.emit('local.get', this.#require(this.#atoms, atom.key));
        return;
      case 'div':
      case 'mod': {
        let local = this.#lookup(atom.key);
        if (local === undefined) {
          local = f.local('i32');
          this.#pushDivision(atom.kind, atom.of, atom.by);
          f.emit('local.set', local);
          this.#remember(atom.key, local);
        }
        f.emit('local.get', local);
        return;
      }
      case 'lane':
        throw new InternalError('an address must not hold the lane');
      default:
        atom satisfies never;
    }
  }

  #require(map: ReadonlyMap<string, number>, key: string): number {
    const local = map.get(key);
    if (local === undefined) throw new InternalError(`${key} has no local here`);
    return local;
  }

  /** Floor division and its remainder: unsigned instructions once the operand cannot be negative. */
  #pushDivision(kind: 'div' | 'mod', of: Index, by: number): void {
    const { f } = this;
    const shift = Math.max(0, Math.ceil(-range(of).min / by)) * by;
    this.pushIndex(of);
    if (shift > 0) f.emit('i32.const', shift).emit('i32.add');
    const power = Math.log2(by);
    const isPower = Number.isInteger(power);
    if (kind === 'mod') {
      if (isPower) f.emit('i32.const', by - 1).emit('i32.and');
      else f.emit('i32.const', by).emit('i32.rem_u');
      return;
    }
    if (isPower) f.emit('i32.const', power).emit('i32.shr_u');
    else f.emit('i32.const', by).emit('i32.div_u');
    if (shift > 0) f.emit('i32.const', shift / by).emit('i32.sub');
  }
}
