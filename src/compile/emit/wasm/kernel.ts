import { type BlockType, FunctionBuilder, type ValType } from '../../../asm/index.ts';
import { InternalError } from '../../../base/errors.ts';
import { DTYPES } from '../../../ir/dtype.ts';
import { blockCost } from '../../../ir/kernel/cost.ts';
import { type Atom, type Index, LANES, range, type Term } from '../../../ir/kernel/index-expr.ts';
import { sharedLoops } from '../../../ir/kernel/threads.ts';
import type {
  Buffer,
  CheckedValue,
  Kernel,
  Loop,
  Mask,
  Statement,
  Store,
  Value,
} from '../../../ir/kernel/types.ts';
import { FAILURE_RECORD } from '../../../ir/program.ts';
import {
  AddressPlan,
  growsOnly,
  type MovingPointer,
  type Pointer,
  pointerOf,
} from './addresses.ts';
import { type EmitOptions, type Emitter, wasmType } from './emitter.ts';
import { emitLoad, emitStore } from './memory.ts';
import { countUses, type Uses } from './uses.ts';
import { emitOperation } from './values.ts';

/**
 * Emits one kernel: parameters are the addresses of its buffers and locals, then its vars, then for
 * shared kernels the address of their counters and the number of threads.
 */
export function emitKernel(kernel: Kernel, options: EmitOptions): FunctionBuilder {
  return new KernelEmitter(kernel, options).emit();
}

/** A shared loop is dealt out in about so many pieces for each thread, so that none waits long. */
const PIECES = 4;
/** Fewer instructions than this are not worth a turn at the counter. */
const LEAST_PIECE = 4000;

/** Locals known in one block: addresses and parts of indices, by key. */
type Known = Map<string, number>;

class KernelEmitter implements Emitter {
  readonly f: FunctionBuilder;
  readonly options: EmitOptions;
  readonly #kernel: Kernel;
  readonly #uses: Uses;
  readonly #plan: AddressPlan;
  readonly #locals = new Map<Value, number>();
  readonly #buffers = new Map<number, number>();
  readonly #vars = new Map<string, number>();
  /** Locals of loop counters, by atom key. */
  readonly #counters = new Map<string, number>();
  /** Locals of checked indices, by atom key. */
  readonly #data = new Map<string, number>();
  /** Loops whose turns threads share, in order of their counters. */
  readonly #shared: readonly Loop[];
  readonly #counterBase: number;
  readonly #threads: number;
  #known: Known[] = [new Map()];

  constructor(kernel: Kernel, options: EmitOptions) {
    const buffers = [...kernel.buffers, ...kernel.locals];
    const params = [...buffers, ...kernel.vars].map((): ValType => 'i32');
    this.#counterBase = params.length;
    this.#threads = params.length + 1;
    if (options.shared) params.push('i32', 'i32');
    this.#shared = options.shared ? sharedLoops(kernel) : [];
    this.f = new FunctionBuilder({ params, results: [] });
    this.options = options;
    this.#kernel = kernel;
    buffers.forEach((buffer, i) => {
      this.#buffers.set(buffer.id, i);
    });
    kernel.vars.forEach((v, i) => {
      this.#vars.set(v.name, buffers.length + i);
    });
    this.#uses = countUses(kernel.body);
    this.#plan = new AddressPlan(kernel.body);
  }

  emit(): FunctionBuilder {
    this.#block(this.#kernel.body);
    return this.f;
  }

  #block(statements: readonly Statement[]): void {
    for (const statement of statements) {
      if (statement.kind === 'store') this.#store(statement);
      else if (statement.kind === 'loop') this.#loop(statement);
      else this.#define(statement);
    }
  }

  /** Values used once, in their own block, are written where they are used; others get a local. */
  #define(value: Value): void {
    if (value.kind === 'checked') {
      this.#checked(value);
      return;
    }
    if (this.#uses.isInline(value)) return;
    if (this.#uses.count(value) === 0) return;
    const local = this.f.local(wasmType(value));
    this.#compute(value);
    this.f.emit('local.set', local);
    this.#locals.set(value, local);
  }

  /** Leaves a value on the stack. */
  push(value: Value): void {
    const local = this.#locals.get(value);
    if (local === undefined) this.#compute(value);
    else this.f.emit('local.get', local);
  }

  isPending(value: Value): boolean {
    return !this.#locals.has(value);
  }

  #compute(value: Value): void {
    if (value.kind === 'load') emitLoad(this, value);
    else if (value.kind === 'index') {
      this.pushIndex(value.index);
      if (value.lanes > 1) this.#spread(value.step);
    } else emitOperation(this, value);
  }

  /** From a single integer to a vector of it, + step, + 2 step, ... */
  #spread(step: number): void {
    const lanes = new DataView(new ArrayBuffer(16));
    for (let lane = 0; lane < LANES; lane++) lanes.setInt32(lane * 4, step * lane, true);
    this.f.emit('i32x4.splat');
    this.f.emit('v128.const', new Uint8Array(lanes.buffer)).emit('i32x4.add');
  }

  #checked(value: CheckedValue): void {
    const { f } = this;
    const local = f.local('i32');
    this.push(value.a);
    f.emit('local.tee', local).emit('i32.const', value.size).emit('i32.ge_u');
    f.if(() => {
      f.emit('i32.const', FAILURE_RECORD);
      if (this.options.shared) {
        // Of threads that find one at the same time, one records it.
        f.emit('i32.const', 0).emit('i32.const', 1).emit('i32.atomic.rmw.cmpxchg');
      } else f.emit('i32.load');
      f.emit('i32.eqz');
      f.if(() => {
        const record = (offset: number, push: () => void) => {
          f.emit('i32.const', FAILURE_RECORD);
          push();
          f.emit('i32.store', { offset });
        };
        record(0, () => f.emit('i32.const', 1));
        record(4, () => f.emit('i32.const', value.check));
        record(8, () => f.emit('local.get', local));
        record(12, () => f.emit('i32.const', value.size));
      });
      f.emit('i32.const', 0).emit('i32.const', value.size - 1);
      f.emit('local.get', local).emit('i32.const', 0).emit('i32.lt_s');
      f.emit('select').emit('local.set', local);
    });
    this.#locals.set(value, local);
    this.#data.set(`data${value.id}`, local);
  }

  #store(store: Store): void {
    if (store.mask.length === 0) {
      emitStore(this, store);
      return;
    }
    this.pushMask(store.mask);
    this.branch(() => emitStore(this, store));
  }

  /** An `if`. Addresses computed in a branch are unknown after it: it may not have run. */
  branch(then: () => void, otherwise?: () => void, type?: BlockType): void {
    const apart = (body: () => void) => () => {
      this.#known.push(new Map());
      body();
      this.#known.pop();
    };
    this.f.if(apart(then), otherwise && apart(otherwise), type);
  }

  pushMask(mask: Mask): void {
    mask.forEach((m, i) => {
      this.pushIndex(m);
      this.f.emit('i32.const', 0).emit('i32.ge_s');
      if (i > 0) this.f.emit('i32.and');
    });
  }

  #loop(loop: Loop): void {
    const addresses = this.#plan.of(loop);
    for (const pointer of addresses.fixed) this.#pointer(pointer);
    const counter = this.f.local('i32');
    this.#counters.set(loop.atom.key, counter);
    const number = this.#shared.indexOf(loop);
    if (number < 0) this.#wholeLoop(loop, addresses.moving, counter);
    else this.#sharedLoop(loop, addresses.moving, counter, number);
  }

  /** All turns, one after the other. */
  #wholeLoop(loop: Loop, pointers: readonly MovingPointer[], counter: number): void {
    const { f } = this;
    const { extent } = loop.atom;
    const carried = loop.carried.map((c) => ({ ...c, local: f.local(wasmType(c.inside)) }));
    for (const { init, local } of carried) {
      this.push(init);
      f.emit('local.set', local);
    }
    for (const { inside, result, local } of carried) {
      this.#locals.set(inside, local);
      this.#locals.set(result, local);
    }
    const moving = this.#startPointers(pointers);
    const end = extent.isConstant ? undefined : this.#extent(extent);
    f.emit('i32.const', 0).emit('local.set', counter);
    const pushEnd = () => {
      if (end === undefined) f.emit('i32.const', extent.constant);
      else f.emit('local.get', end);
    };
    const turns = () =>
      this.#turns(loop, moving, counter, pushEnd, () => {
        // All next values are read before any carried value changes.
        for (const { next } of carried) this.push(next);
        for (const { local } of [...carried].reverse()) f.emit('local.set', local);
      });
    if (end === undefined && extent.constant > 0) turns();
    else if (end !== undefined) {
      f.emit('local.get', end).emit('i32.const', 0).emit('i32.gt_s');
      this.branch(turns);
    }
  }

  /**
   * Threads take pieces of the loop from a common counter until nothing is left: one that is slower,
   * or late, takes fewer.
   */
  #sharedLoop(
    loop: Loop,
    pointers: readonly MovingPointer[],
    counter: number,
    number: number,
  ): void {
    const { f } = this;
    const [end, piece, first, last] = [
      this.#extent(loop.atom.extent),
      f.local('i32'),
      f.local('i32'),
      f.local('i32'),
    ];
    const cost = Math.max(1, blockCost(loop.body).instructions);
    const least = Math.ceil(LEAST_PIECE / cost);
    f.emit('local.get', end).emit('local.get', this.#threads);
    f.emit('i32.const', PIECES).emit('i32.mul').emit('i32.div_u');
    f.emit('local.tee', piece).emit('i32.const', least);
    f.emit('local.get', piece).emit('i32.const', least).emit('i32.gt_s');
    f.emit('select').emit('local.set', piece);
    const starts = this.#startPointers(pointers);
    const moving = starts.map((m) => ({ ...m, local: f.local('i32') }));
    f.block(() => {
      f.loop(() => {
        f.emit('local.get', this.#counterBase).emit('local.get', piece);
        f.emit('i32.atomic.rmw.add', { offset: number * 4 }).emit('local.tee', first);
        f.emit('local.get', end).emit('i32.ge_s').emit('br_if', 1);
        f.emit('local.get', first).emit('local.get', piece).emit('i32.add').emit('local.tee', last);
        f.emit('local.get', end);
        f.emit('local.get', last).emit('local.get', end).emit('i32.lt_s');
        f.emit('select').emit('local.set', last);
        f.emit('local.get', first).emit('local.set', counter);
        moving.forEach(({ local, bytes }, i) => {
          f.emit('local.get', starts[i].local).emit('local.get', first);
          f.emit('i32.const', bytes).emit('i32.mul').emit('i32.add').emit('local.set', local);
        });
        this.#turns(loop, moving, counter, () => f.emit('local.get', last));
        f.emit('br', 0);
      });
    });
  }

  /** Locals for the pointers that a loop moves, set to where its first turn wants them. */
  #startPointers(pointers: readonly MovingPointer[]) {
    return pointers.map(({ pointer, start, step }) => {
      const local = this.f.local('i32');
      this.#pushPointer(start);
      this.f.emit('local.set', local);
      return { pointer, local, bytes: step * DTYPES[pointer.buffer.dtype].bytes };
    });
  }

  /** Turns from where the counter stands up to the end; there is at least one. */
  #turns(
    loop: Loop,
    moving: readonly { pointer: Pointer; local: number; bytes: number }[],
    counter: number,
    pushEnd: () => void,
    carry: () => void = () => {},
  ): void {
    const { f } = this;
    f.loop(() => {
      this.#known.push(new Map(moving.map((m) => [m.pointer.key, m.local])));
      this.#block(loop.body);
      carry();
      for (const { local, bytes } of moving) {
        f.emit('local.get', local)
          .emit('i32.const', bytes)
          .emit('i32.add')
          .emit('local.set', local);
      }
      f.emit('local.get', counter).emit('i32.const', 1).emit('i32.add').emit('local.tee', counter);
      pushEnd();
      f.emit('i32.lt_s').emit('br_if', 0);
      this.#known.pop();
    });
  }

  #extent(extent: Index): number {
    const local = this.f.local('i32');
    this.pushIndex(extent);
    this.f.emit('local.set', local);
    return local;
  }

  /** Leaves the address of an element on the stack; returns the offset the instruction must add. */
  pushAddress(buffer: Buffer, index: Index): number {
    const { bytes } = DTYPES[buffer.dtype];
    this.f.emit('local.get', this.#pointer(pointerOf(buffer, index)));
    if (growsOnly(index)) return index.constant * bytes;
    this.f.emit('i32.const', index.constant * bytes).emit('i32.add');
    return 0;
  }

  /** The local that holds a pointer, computed here when no open block has it. */
  #pointer(pointer: Pointer): number {
    if (pointer.terms.length === 0) return this.#bufferLocal(pointer.buffer);
    const known = this.#lookup(pointer.key);
    if (known !== undefined) return known;
    const local = this.f.local('i32');
    this.#pushPointer(pointer);
    this.f.emit('local.set', local);
    this.#remember(pointer.key, local);
    return local;
  }

  #bufferLocal(buffer: Buffer): number {
    const local = this.#buffers.get(buffer.id);
    if (local === undefined) throw new InternalError(`buffer ${buffer.name} is no parameter`);
    return local;
  }

  #pushPointer(pointer: Pointer): void {
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
        f.emit('local.get', this.#require(this.#counters, atom.key));
        return;
      case 'var':
        f.emit('local.get', this.#require(this.#vars, atom.variable.name));
        return;
      case 'data':
        f.emit('local.get', this.#require(this.#data, atom.key));
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
