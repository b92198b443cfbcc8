import { type BlockType, FunctionBuilder, type ValType } from '../../../asm/index.ts';
import { InternalError } from '../../../base/errors.ts';
import { DTYPES } from '../../../ir/dtype.ts';
import { hasLane, type Index } from '../../../ir/kernel/index-expr.ts';
import { sharedLoops } from '../../../ir/kernel/threads.ts';
import { isTileStatement } from '../../../ir/kernel/tiles.ts';
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
import { AddressPlan, type MovingPointer, type Pointer } from '../addresses.ts';
import { leastTurns, PIECES } from '../pieces.ts';
import { type EmitOptions, type Emitter, wasmType } from './emitter.ts';
import { IndexEmitter } from './indices.ts';
import { LANES } from './lanes.ts';
import { emitLoad, emitStore, emitWords } from './memory.ts';
import { countUses, type Uses } from './uses.ts';
import { emitOperation } from './values.ts';

/**
 * Emits one kernel: parameters are the addresses of its buffers and locals, then its vars, then for
 * shared kernels the address of their counters and the number of threads.
 */
export function emitKernel(kernel: Kernel, options: EmitOptions): FunctionBuilder {
  return new KernelEmitter(kernel, options).emit();
}

class KernelEmitter implements Emitter {
  readonly f: FunctionBuilder;
  readonly options: EmitOptions;
  readonly #kernel: Kernel;
  readonly #uses: Uses;
  readonly #plan: AddressPlan;
  readonly #locals = new Map<Value, number>();
  readonly #indices: IndexEmitter;
  /** Loops whose turns threads share, in order of their counters. */
  readonly #shared: readonly Loop[];
  readonly #counterBase: number;
  readonly #threads: number;

  constructor(kernel: Kernel, options: EmitOptions) {
    const { buffers, locals, vars, lanes } = kernel;
    if (lanes !== LANES) throw new InternalError(`wasm has no vectors of ${lanes} lanes`);
    const params = [...buffers, ...locals, ...vars].map((): ValType => 'i32');
    this.#counterBase = params.length;
    this.#threads = params.length + 1;
    if (options.shared) params.push('i32', 'i32');
    this.#shared = options.shared ? sharedLoops(kernel) : [];
    this.f = new FunctionBuilder({ params, results: [] });
    this.options = options;
    this.#kernel = kernel;
    this.#indices = new IndexEmitter(this.f, kernel);
    this.#uses = countUses(kernel.body);
    this.#plan = new AddressPlan(kernel.body);
  }

  emit(): FunctionBuilder {
    this.#block(this.#kernel.body);
    return this.f;
  }

  #block(statements: readonly Statement[]): void {
    for (const statement of statements) {
      if (statement.kind === 'prefetch') throw new InternalError('wasm has no prefetch');
      if (isTileStatement(statement)) throw new InternalError('wasm has no tiles');
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
    else if (value.kind === 'words') emitWords(this, value);
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
    const { check } = value;
    const local = f.local('i32');
    this.push(value.a);
    this.#locals.set(value, local);
    this.#indices.define(`data${value.id}`, local);
    if (check === undefined) {
      f.emit('local.set', local);
      return;
    }
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
        record(4, () => f.emit('i32.const', check));
        record(8, () => f.emit('local.get', local));
        record(12, () => f.emit('i32.const', value.size));
      });
      f.emit('i32.const', 0).emit('i32.const', value.size - 1);
      f.emit('local.get', local).emit('i32.const', 0).emit('i32.lt_s');
      f.emit('select').emit('local.set', local);
    });
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
    const apart = (body: () => void) => () => this.#indices.inside(body);
    this.f.if(apart(then), otherwise && apart(otherwise), type);
  }

  pushMask(mask: Mask): void {
    mask.forEach((m, i) => {
      if (hasLane(m)) throw new InternalError('wasm has no masks for lanes');
      this.pushIndex(m);
      this.f.emit('i32.const', 0).emit('i32.ge_s');
      if (i > 0) this.f.emit('i32.and');
    });
  }

  #loop(loop: Loop): void {
    const addresses = this.#plan.of(loop);
    for (const pointer of addresses.fixed) this.#indices.pointer(pointer);
    const counter = this.f.local('i32');
    this.#indices.define(loop.atom.key, counter);
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
    const end = extent.isConstant ? undefined : this.#indices.held(extent);
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
      this.#indices.held(loop.atom.extent),
      f.local('i32'),
      f.local('i32'),
      f.local('i32'),
    ];
    const least = leastTurns(loop);
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
      this.#indices.pushPointer(start);
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
    const turn = () => {
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
    };
    const known = new Map(moving.map((m) => [m.pointer.key, m.local]));
    f.loop(() => this.#indices.inside(turn, known));
  }

  pushIndex(index: Index): void {
    this.#indices.pushIndex(index);
  }

  pushAddress(buffer: Buffer, index: Index): number {
    return this.#indices.pushAddress(buffer, index);
  }
}
