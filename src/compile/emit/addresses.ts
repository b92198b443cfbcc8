import {
  type Atom,
  Index,
  type LoopAtom,
  mentions,
  range,
  type Term,
} from '../../ir/kernel/index-expr.ts';
import type { Buffer, Loop, Statement } from '../../ir/kernel/types.ts';

/** The part of an address that varies: a buffer and the terms of an index without its constant. */
export interface Pointer {
  readonly key: string;
  readonly buffer: Buffer;
  readonly terms: readonly Term[];
}

/** A pointer that a loop moves along: starts at `start`, advances by `step` elements a turn. */
export interface MovingPointer {
  readonly pointer: Pointer;
  readonly start: Pointer;
  readonly step: number;
}

/** What a loop needs of addresses. */
export interface LoopAddresses {
  /** Pointers that advance with the loop. */
  readonly moving: readonly MovingPointer[];
  /** Pointers that stay the same during the loop, made before it. */
  readonly fixed: readonly Pointer[];
}

export function pointerOf(buffer: Buffer, index: Index): Pointer {
  // A negative step may carry the pointer below the buffer's start before the constant is added:
  // the constant then belongs to the pointer, not to the instruction's unsigned offset.
  return makePointer(buffer, index.terms);
}

function makePointer(buffer: Buffer, terms: readonly Term[]): Pointer {
  return { key: `${buffer.id}|${new Index(terms, 0).key}`, buffer, terms };
}

/**
 * True when no part of the address lies below its buffer: the constant may then be an instruction's
 * offset. (A floor division may be negative under a positive coefficient.)
 */
export function growsOnly(index: Index): boolean {
  return index.constant >= 0 && index.terms.every((t) => range(new Index([t], 0)).min >= 0);
}

function dependsInside(atom: Atom, loop: LoopAtom): boolean {
  return (atom.kind === 'div' || atom.kind === 'mod') && mentions(atom.of, loop.key);
}

/** Pointers that every loop of a kernel keeps, found from the innermost accesses outwards. */
export class AddressPlan {
  readonly #loops = new Map<Loop, LoopAddresses>();

  constructor(body: readonly Statement[]) {
    for (const statement of body) if (statement.kind === 'loop') this.#needs(statement);
  }

  of(loop: Loop): LoopAddresses {
    return this.#loops.get(loop) ?? { moving: [], fixed: [] };
  }

  /** Plans a loop and returns the pointers that it needs from outside. */
  #needs(loop: Loop): Pointer[] {
    const wanted = new Map<string, Pointer>();
    const defined = new Set<string>();
    const want = (pointer: Pointer) => wanted.set(pointer.key, pointer);
    for (const statement of loop.body) {
      if (statement.kind === 'checked') defined.add(`data${statement.id}`);
      if ('buffer' in statement) {
        want(pointerOf(statement.buffer, statement.index));
      }
      if (statement.kind === 'loop') for (const pointer of this.#needs(statement)) want(pointer);
    }
    const moving: MovingPointer[] = [];
    const fixed: Pointer[] = [];
    const outer: Pointer[] = [];
    for (const pointer of wanted.values()) {
      const unsteady = pointer.terms.some(
        ({ atom }) => dependsInside(atom, loop.atom) || usesData(atom, defined),
      );
      if (unsteady) continue;
      const own = pointer.terms.find((t) => t.atom.key === loop.atom.key);
      if (!own) {
        fixed.push(pointer);
        outer.push(pointer);
        continue;
      }
      const rest = pointer.terms.filter((t) => t !== own);
      const start = makePointer(pointer.buffer, rest);
      moving.push({ pointer, start, step: own.coefficient });
      outer.push(start);
    }
    this.#loops.set(loop, { moving, fixed });
    return outer;
  }
}

function usesData(atom: Atom, defined: ReadonlySet<string>): boolean {
  if (defined.has(atom.key)) return true;
  if (atom.kind !== 'div' && atom.kind !== 'mod') return false;
  return [...defined].some((key) => mentions(atom.of, key));
}
