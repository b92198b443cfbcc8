import { operandsOf } from '../../../ir/kernel/operands.ts';
import { isTileStatement } from '../../../ir/kernel/tiles.ts';
import type { Carried, Loop, Statement, Value } from '../../../ir/kernel/types.ts';

/** Where values are needed for the last time, and what follows from it. */
export interface Lifetimes {
  /** Uses of a value; 0: nobody computes it. */
  count(value: Value): number;
  /** The place of a statement in the line of all. */
  position(statement: Statement): number;
  /** True when a statement is the last to need a value, and no later turn of a loop does. */
  endsAt(value: Value, position: number): boolean;
  /** True when nobody needs a value after a position. */
  isOver(value: Value, position: number): boolean;
  /** Loads that may be left in memory: the instruction that uses them reads them there. */
  readonly foldable: ReadonlySet<Value>;
  /** For a value that a loop carries on, what it replaces. */
  readonly carriedBy: ReadonlyMap<Value, Carried>;
}

export function findLifetimes(body: readonly Statement[]): Lifetimes {
  return new LifetimeFinder(body);
}

class LifetimeFinder implements Lifetimes {
  readonly foldable = new Set<Value>();
  readonly carriedBy = new Map<Value, Carried>();
  readonly #counts = new Map<Value, number>();
  readonly #positions = new Map<Statement, number>();
  readonly #last = new Map<Value, number>();
  /** The loops around the definition of a value, outermost first. */
  readonly #loopsOf = new Map<Value, readonly Loop[]>();
  readonly #ends = new Map<Loop, number>();
  readonly #usesInLoop: { value: Value; loops: readonly Loop[]; position: number }[] = [];
  #next = 0;

  constructor(body: readonly Statement[]) {
    this.#block(body, []);
    for (const { value, loops, position } of this.#usesInLoop) {
      const own = this.#loopsOf.get(value) ?? [];
      // Inside a loop that the value comes into from outside, each turn needs it again.
      const around = loops[own.length];
      const last = around ? (this.#ends.get(around) as number) : position;
      this.#last.set(value, Math.max(this.#last.get(value) ?? 0, last));
    }
    this.#usesInLoop.length = 0;
  }

  count(value: Value): number {
    return this.#counts.get(value) ?? 0;
  }

  position(statement: Statement): number {
    return this.#positions.get(statement) ?? 0;
  }

  endsAt(value: Value, position: number): boolean {
    return this.#last.get(value) === position;
  }

  isOver(value: Value, position: number): boolean {
    return (this.#last.get(value) ?? 0) <= position;
  }

  #use(value: Value, loops: readonly Loop[], position: number): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + 1);
    this.#usesInLoop.push({ value, loops, position });
  }

  #block(block: readonly Statement[], loops: readonly Loop[]): void {
    for (const statement of block) {
      const position = ++this.#next;
      this.#positions.set(statement, position);
      if (statement.kind === 'prefetch' || isTileStatement(statement)) continue;
      if (statement.kind === 'store') this.#use(statement.value, loops, position);
      else if (statement.kind === 'loop') this.#loop(statement, loops, position);
      else {
        this.#loopsOf.set(statement, loops);
        for (const operand of operandsOf(statement)) this.#use(operand, loops, position);
      }
    }
    this.#findFoldable(block);
  }

  #loop(loop: Loop, loops: readonly Loop[], position: number): void {
    const inner = [...loops, loop];
    for (const { init, inside, result } of loop.carried) {
      this.#use(init, loops, position);
      this.#loopsOf.set(inside, inner);
      this.#loopsOf.set(result, loops);
    }
    this.#block(loop.body, inner);
    const end = ++this.#next;
    this.#ends.set(loop, end);
    for (const carried of loop.carried) {
      this.#use(carried.next, inner, end);
      const isOwn = this.#loopsOf.get(carried.next)?.length === inner.length;
      if (isOwn && !this.carriedBy.has(carried.next)) this.carriedBy.set(carried.next, carried);
    }
  }

  /** Loads that one instruction of the same block uses, with no write to memory in between. */
  #findFoldable(block: readonly Statement[]): void {
    const open = new Set<Value>();
    for (const statement of block) {
      if (statement.kind === 'prefetch') continue;
      if (statement.kind === 'store' || statement.kind === 'loop' || isTileStatement(statement)) {
        open.clear();
        continue;
      }
      for (const operand of operandsOf(statement)) {
        if (open.has(operand)) this.foldable.add(operand);
      }
      const { kind } = statement;
      const isLoad = kind === 'words' || (kind === 'load' && statement.mask.length === 0);
      if (isLoad) open.add(statement);
      else if ((kind === 'splat' || kind === 'bitcast') && open.has(statement.a)) {
        open.add(statement);
      }
    }
    for (const value of this.foldable) {
      if (this.count(value) !== 1) this.foldable.delete(value);
    }
  }
}
