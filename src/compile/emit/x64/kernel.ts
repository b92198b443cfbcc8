import type { Label, X64Assembler } from '../../../asm/index.ts';
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
import { AddressPlan, type MovingPointer, type Pointer } from '../addresses.ts';
import { leastTurns, PIECES } from '../pieces.ts';
import { avx2 } from './avx2.ts';
import { avx512 } from './avx512.ts';
import { emitChecked } from './checked.ts';
import { Constants } from './constants.ts';
import { bitsOf, type Emitter, type Isa, type X64Features } from './emitter.ts';
import { argumentRegister, IndexEmitter } from './indices.ts';
import { findLifetimes, type Lifetimes } from './lifetimes.ts';
import {
  general,
  MachineBuilder,
  type Place,
  type PlaceOptions,
  place,
  type View,
  type Virtual,
  vector,
} from './machine.ts';
import { emitLoad, emitStore, loadOperand } from './memory.ts';
import { beginTiles, emitTile, endTiles, usesTiles } from './tiles.ts';
import { ValueRegisters } from './value-registers.ts';
import { emitOperation } from './values.ts';
import { writeFunction } from './write.ts';

/**
 * Writes one kernel as a function of a record: 64-bit words with the addresses of its buffers and
 * locals, its vars, then the address of its shared loops' counters, the number of threads and the
 * address of the control block.
 */
export function emitKernel(kernel: Kernel, features: X64Features, a: X64Assembler): void {
  new KernelEmitter(kernel, features, a).emit();
}

/** Loops begin at multiples of so many bytes: a line of the decoded instructions. */
const LOOP_ALIGNMENT = 32;
/** Buffers of so many bytes come from memory rather than from caches. */
const FAR_BYTES = 2 ** 22;
const PAGE = 4096;
/** Constants of instructions are smaller. */
const IMMEDIATE = 2 ** 31;

class KernelEmitter implements Emitter {
  readonly a: X64Assembler;
  readonly m = new MachineBuilder();
  readonly isa: Isa;
  readonly features: X64Features;
  readonly #kernel: Kernel;
  readonly #plan: AddressPlan;
  readonly #lifetimes: Lifetimes;
  readonly #indices: IndexEmitter;
  readonly #shared: readonly Loop[];
  readonly #values: ValueRegisters;
  readonly #constants: Constants;

  constructor(kernel: Kernel, features: X64Features, a: X64Assembler) {
    this.a = a;
    this.features = features;
    this.isa = features.isa === 'avx512' ? avx512 : avx2;
    this.#kernel = kernel;
    this.#plan = new AddressPlan(kernel.body);
    this.#lifetimes = findLifetimes(kernel.body);
    this.#indices = new IndexEmitter(this.m, kernel);
    this.#shared = sharedLoops(kernel);
    this.#constants = new Constants(a, this.m, this.isa.bits);
    this.#values = new ValueRegisters(this.m, this.isa, this.#lifetimes, this.#constants, (value) =>
      this.#compute(value),
    );
  }

  emit(): void {
    const tiles = usesTiles(this.#kernel.body);
    if (tiles) beginTiles(this, this.#kernel.body);
    this.#block(this.#kernel.body);
    if (tiles) endTiles(this);
    // What went past the caches is there before anybody is told.
    if (streams(this.#kernel.body)) this.m.reads('sfence');
    const { bits, registers } = this.isa;
    writeFunction(this.a, this.m, { vectors: registers, bits });
  }

  /** The place of one of the words that follow the kernel's own in its record. */
  #argument(number: 0 | 1 | 2): number {
    const { buffers, locals, vars } = this.#kernel;
    return buffers.length + locals.length + vars.length + number;
  }

  #block(statements: readonly Statement[]): void {
    for (const statement of statements) {
      this.#values.at(statement);
      if (statement.kind === 'store') this.#store(statement);
      else if (statement.kind === 'prefetch') {
        this.m.reads('prefetcht0', this.address(statement.buffer, statement.index));
      } else if (statement.kind === 'loop') this.#loop(statement);
      else if (isTileStatement(statement)) emitTile(this, statement);
      else this.#define(statement);
    }
  }

  #define(value: Value): void {
    if (value.kind === 'checked') {
      this.#checked(value);
      return;
    }
    if (value.kind === 'const' || this.#lifetimes.count(value) === 0) return;
    const waits = this.#lifetimes.foldable.has(value) && loadOperand(this, value) !== undefined;
    if (waits) this.#values.wait(value);
    else this.#compute(value);
  }

  #checked(value: CheckedValue): void {
    const index = emitChecked(this, value, this.#argument(2));
    this.#indices.define(`data${value.id}`, index);
    if (this.#lifetimes.count(value) === 0) return;
    const held = this.m.virtual('vector');
    this.m.writes('vmovd', vector(held, 128), general(index, 32));
    this.#values.keep(value, held);
  }

  #compute(value: Value): void {
    if (value.kind === 'load' || value.kind === 'words') emitLoad(this, value);
    else emitOperation(this, value);
  }

  use(value: Value): Virtual {
    return this.#values.use(value);
  }

  view(value: Value): View {
    return vector(this.use(value), bitsOf(value));
  }

  inMemory(value: Value): boolean {
    return this.#values.isWaiting(value);
  }

  operand(value: Value): View | Place {
    if (!this.#values.isWaiting(value)) return this.view(value);
    const from = loadOperand(this, value);
    if (!from) return this.view(value);
    this.#values.readInMemory(value);
    return from;
  }

  target(value: Value): View {
    return vector(this.#values.target(value), bitsOf(value));
  }

  changed(value: Value, from: Value, others: readonly Value[]): View {
    return vector(this.#values.changed(value, from, others), bitsOf(value));
  }

  share(value: Value, from: Value): boolean {
    return this.#values.share(value, from);
  }

  temporary(bits: number): View {
    return vector(this.m.virtual('vector'), bits);
  }

  constant(bits: number): View {
    return this.#constants.all(bits);
  }

  table(words: readonly number[]): View {
    return this.#constants.table(words);
  }

  number(value: number): Virtual {
    return this.#constants.number(value);
  }

  /**
   * Asks for what an innermost loop will read a page later: processors stop looking ahead where a page
   * ends, and a row's second pass would otherwise leave memory idle.
   */
  #askAhead(moving: readonly { pointer: Pointer; register: Virtual; bytes: number }[]): void {
    for (const { pointer, register, bytes } of moving) {
      const { role, size, dtype } = pointer.buffer;
      if (role !== 'in' || bytes !== this.isa.bits / 8) continue;
      if (size * DTYPES[dtype].bytes < FAR_BYTES) continue;
      this.m.reads('prefetcht0', place(register, PAGE));
    }
  }

  index(index: Index): Virtual {
    return this.#indices.index(index);
  }

  address(buffer: Buffer, index: Index, options?: PlaceOptions): Place {
    return this.#indices.address(buffer, index, options);
  }

  label(): Label {
    return this.a.label();
  }

  #store(store: Store): void {
    const scalar = store.mask.filter((m) => !hasLane(m));
    if (scalar.length === 0) {
      emitStore(this, store);
      return;
    }
    const mask = store.mask.filter((m) => hasLane(m));
    if (store.value.kind !== 'const') this.use(store.value);
    this.where(scalar, () => emitStore(this, { ...store, mask }));
  }

  where(mask: Mask, then: () => void, otherwise?: () => void): void {
    const { m } = this;
    const [no, end] = [this.label(), this.label()];
    m.inRegion(() => {
      this.#indices.inside(() => {
        for (const condition of mask) {
          const held = this.index(condition);
          m.reads('test', general(held), general(held));
          m.branch('s', no);
        }
        then();
      });
      if (otherwise) m.branch('always', end);
      m.bind(no);
      if (otherwise) {
        this.#indices.inside(otherwise);
        m.bind(end);
      }
    });
  }

  #loop(loop: Loop): void {
    const addresses = this.#plan.of(loop);
    for (const pointer of addresses.fixed) this.#indices.pointer(pointer);
    const counter = this.m.virtual('general');
    this.#indices.define(loop.atom.key, counter);
    const number = this.#shared.indexOf(loop);
    if (number < 0) this.#wholeLoop(loop, addresses.moving, counter);
    else this.#sharedLoop(loop, addresses.moving, counter, number);
  }

  /** All turns, one after the other. */
  #wholeLoop(loop: Loop, pointers: readonly MovingPointer[], counter: Virtual): void {
    const { m } = this;
    const { extent } = loop.atom;
    const isImmediate = extent.isConstant && extent.constant < IMMEDIATE;
    const end = isImmediate ? extent.constant : this.#indices.index(extent);
    const registers = loop.carried.map((carried) => this.#values.startCarried(carried));
    const moving = this.#startPointers(pointers);
    const turns = () => {
      m.writes('mov', general(counter), 0);
      this.#turns(loop, moving, counter, end, () => this.#values.carry(loop, registers));
    };
    if (typeof end !== 'number') {
      const none = this.label();
      m.inRegion(() => {
        m.reads('test', general(end), general(end));
        m.branch('le', none);
        this.#indices.inside(turns);
        m.bind(none);
      });
    } else if (end > 0) turns();
    loop.carried.forEach(({ result }, i) => {
      this.#values.keep(result, registers[i]);
    });
  }

  /**
   * Threads take pieces of the loop from a common counter until nothing is left: one that is slower,
   * or late, takes fewer.
   */
  #sharedLoop(
    loop: Loop,
    pointers: readonly MovingPointer[],
    counter: Virtual,
    number: number,
  ): void {
    const { m } = this;
    const end = this.#indices.index(loop.atom.extent);
    const piece = this.#pieceSize(end, leastTurns(loop));
    const starts = this.#startPointers(pointers);
    const moving = starts.map((p) => ({ ...p, register: m.virtual('general') }));
    const [again, done] = [this.label(), this.label()];
    const last = m.virtual('general');
    m.inLoop(() => {
      m.bind(again);
      const counters = argumentRegister(m, this.#argument(0));
      m.writes('mov', general(counter), general(piece));
      m.changes('lock_xadd', place(counters, 4 * number), general(counter, 32));
      m.reads('cmp', general(counter), general(end));
      m.branch('ge', done);
      m.writes('lea', general(last), place(counter, 0, { index: piece }));
      m.reads('cmp', general(last), general(end));
      m.changes('cmovg', general(last), general(end));
      moving.forEach(({ register, bytes }, i) => {
        this.#indices.multiply(register, counter, bytes);
        m.changes('add', general(register), general(starts[i].register));
      });
      this.#turns(loop, moving, counter, last);
      m.branch('always', again);
      m.bind(done);
    });
  }

  /** Turns that a thread takes at a time. */
  #pieceSize(end: Virtual, least: number): Virtual {
    const { m } = this;
    const threads = argumentRegister(m, this.#argument(1));
    const [piece, floor] = [m.virtual('general'), m.virtual('general')];
    const [a, b] = [this.temporary(128), this.temporary(128)];
    // A quotient of integers below 2^31 is exact in doubles.
    m.writes('vxorps', b, b, b);
    m.writes('vcvtsi2sd', a, b, general(end));
    m.writes('vcvtsi2sd', b, b, general(threads));
    m.writes('vdivsd', a, a, b);
    m.writes('vcvttsd2si', general(piece), a);
    m.changes('sar', general(piece), Math.log2(PIECES));
    m.writes('mov', general(floor), least);
    m.reads('cmp', general(piece), general(floor));
    m.changes('cmovl', general(piece), general(floor));
    return piece;
  }

  /** Registers for the pointers that a loop moves, set to where its first turn wants them. */
  #startPointers(pointers: readonly MovingPointer[]) {
    return pointers.map(({ pointer, start, step }) => ({
      pointer,
      register: this.#indices.movable(start),
      bytes: step * DTYPES[pointer.buffer.dtype].bytes,
    }));
  }

  /** Turns from where the counter stands up to the end; there is at least one. */
  #turns(
    loop: Loop,
    moving: readonly { pointer: Pointer; register: Virtual; bytes: number }[],
    counter: Virtual,
    end: Virtual | number,
    carry: () => void = () => {},
  ): void {
    const { m } = this;
    const top = this.label();
    const turn = () => {
      m.bind(top, LOOP_ALIGNMENT);
      this.#block(loop.body);
      carry();
      if (!loop.body.some((s) => s.kind === 'loop')) this.#askAhead(moving);
      for (const { register, bytes } of moving) this.#indices.add(register, bytes);
      m.changes('add', general(counter), 1);
      m.reads('cmp', general(counter), typeof end === 'number' ? end : general(end));
      m.branch('l', top);
    };
    const known = new Map(moving.map((p) => [p.pointer.key, p.register]));
    m.inLoop(() => this.#indices.inside(turn, known));
  }
}

function streams(block: readonly Statement[]): boolean {
  return block.some((s) => (s.kind === 'loop' ? streams(s.body) : s.kind === 'store' && s.streams));
}
