import type { Label, X64Assembler } from '../../../asm/index.ts';
import { DTYPES } from '../../../ir/dtype.ts';
import { blockCost } from '../../../ir/kernel/cost.ts';
import { hasLane, type Index } from '../../../ir/kernel/index-expr.ts';
import { sharedLoops } from '../../../ir/kernel/threads.ts';
import type {
  Buffer,
  Carried,
  CheckedValue,
  Kernel,
  Loop,
  Mask,
  Statement,
  Store,
  Value,
} from '../../../ir/kernel/types.ts';
import { AddressPlan, type MovingPointer, type Pointer } from '../wasm/addresses.ts';
import { avx2 } from './avx2.ts';
import { avx512 } from './avx512.ts';
import { bitsOf, constantBits, type Emitter, type X64Features } from './emitter.ts';
import { argumentRegister, IndexEmitter } from './indices.ts';
import type { Isa } from './isa.ts';
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

/** A shared loop is dealt out in about so many pieces for each thread, so that none waits long. */
const PIECES = 4;
/** Fewer instructions than this are not worth a turn at the counter. */
const LEAST_PIECE = 4000;
/** Loops begin at multiples of so many bytes: a line of the decoded instructions. */
const LOOP_ALIGNMENT = 32;
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
  readonly #values = new Map<Value, Virtual>();
  /** Values that wait to be read from memory by the instruction that uses them. */
  readonly #waiting = new Set<Value>();
  /** The registers of carried values, and what each holds at present. */
  readonly #carriedIn = new Map<Carried, Virtual>();
  readonly #holds = new Map<Virtual, Value>();
  readonly #constants = new Map<string, { region: number; register: Virtual }>();
  /** Position of the statement that is being written. */
  #position = 0;

  constructor(kernel: Kernel, features: X64Features, a: X64Assembler) {
    this.a = a;
    this.features = features;
    this.isa = features.isa === 'avx512' ? avx512 : avx2;
    this.#kernel = kernel;
    this.#plan = new AddressPlan(kernel.body);
    this.#lifetimes = findLifetimes(kernel.body);
    this.#indices = new IndexEmitter(this.m, kernel);
    this.#shared = sharedLoops(kernel);
  }

  emit(): void {
    this.#block(this.#kernel.body);
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
      this.#position = this.#lifetimes.position(statement);
      if (statement.kind === 'store') this.#store(statement);
      else if (statement.kind === 'prefetch') {
        this.m.reads('prefetcht0', this.address(statement.buffer, statement.index));
      }
      else if (statement.kind === 'loop') this.#loop(statement);
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
    if (waits) this.#waiting.add(value);
    else this.#compute(value);
  }

  #compute(value: Value): void {
    if (value.kind === 'load' || value.kind === 'words') emitLoad(this, value);
    else emitOperation(this, value);
  }

  use(value: Value): Virtual {
    const known = this.#values.get(value);
    if (known) return known;
    if (value.kind === 'const') return this.#constantValue(value);
    this.#waiting.delete(value);
    this.#compute(value);
    return this.#values.get(value) as Virtual;
  }

  #constantValue(value: Value & { readonly kind: 'const' }): Virtual {
    if (value.dtype === 'bool' && this.isa.bools === 'mask') {
      return this.#early(`bool${value.value}`, () => {
        const register = this.m.virtual('mask');
        const view = vector(register, 64);
        this.isa.boolConstant(this, view, value.value !== 0);
        return register;
      });
    }
    return this.constant(constantOf(value)).register;
  }

  view(value: Value): View {
    return vector(this.use(value), bitsOf(value));
  }

  inMemory(value: Value): boolean {
    return this.#waiting.has(value);
  }

  operand(value: Value): View | Place {
    if (!this.#waiting.has(value)) return this.view(value);
    this.#waiting.delete(value);
    return loadOperand(this, value) ?? this.view(value);
  }

  target(value: Value): View {
    const carried = this.#lifetimes.carriedBy.get(value);
    let register = carried && this.#carriedIn.get(carried);
    if (register) {
      const held = this.#holds.get(register);
      if (held && held !== value && !this.#lifetimes.isOver(held, this.#position)) {
        register = undefined;
      }
    }
    register ??= this.m.virtual(this.#classOf(value));
    this.#keep(value, register);
    return vector(register, bitsOf(value));
  }

  #keep(value: Value, register: Virtual): void {
    this.#values.set(value, register);
    this.#holds.set(register, value);
  }

  #classOf(value: Value): 'vector' | 'mask' {
    return value.dtype === 'bool' && this.isa.bools === 'mask' ? 'mask' : 'vector';
  }

  changed(value: Value, from: Value, others: readonly Value[]): View {
    const source = this.use(from);
    const bits = bitsOf(value);
    if (this.#mayTake(from, source)) {
      this.#keep(value, source);
      return vector(source, bits);
    }
    const busy = others.map((other) => this.#values.get(other));
    let to = this.target(value);
    if (busy.includes(to.register)) {
      to = this.temporary(bits);
      this.#keep(value, to.register);
    }
    this.m.writes('vmovaps', to, vector(source, bits));
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

  temporary(bits: number): View {
    return vector(this.m.virtual('vector'), bits);
  }

  constant(bits: number): View {
    return this.table(new Array<number>(this.isa.bits / 32).fill(bits | 0));
  }

  table(words: readonly number[]): View {
    const { bits } = this.isa;
    const register = this.#early(words.join(), () => {
      const label = this.a.constant(new Uint8Array(Int32Array.from(words).buffer), bits / 8);
      const made = this.m.virtual('vector', { kind: 'pool', label, bits });
      this.m.writes('vmovups', vector(made, bits), place(label));
      return made;
    });
    return vector(register, bits);
  }

  /** Something that is made once for all of the outermost loop at hand. */
  #early(key: string, make: () => Virtual): Virtual {
    const { region } = this.m;
    const known = this.#constants.get(key);
    if (known && known.region === region) return known.register;
    let register: Virtual | undefined;
    this.m.early(() => {
      register = make();
    });
    const made = register as unknown as Virtual;
    this.#constants.set(key, { region, register: made });
    return made;
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

  #checked(value: CheckedValue): void {
    const { m } = this;
    const { check, size } = value;
    const word = m.virtual('general');
    const index = m.virtual('general');
    m.writes('vmovd', general(word, 32), vector(this.use(value.a), 128));
    this.#indices.define(`data${value.id}`, index);
    // Proven ones are never negative; of the others a negative one is a large one.
    m.writes('mov', general(index, 32), general(word, 32));
    if (check !== undefined) {
      const inside = this.label();
      m.reads('cmp', general(index, 32), size | 0);
      m.inRegion(() => {
        m.branch('b', inside);
        this.#recordFailure(word, check, size);
        const zero = m.virtual('general');
        // The nearest index: 0 for negative ones, else the last.
        m.writes('mov', general(index, 32), (size - 1) | 0);
        m.writes('mov', general(zero, 32), 0);
        m.reads('test', general(word, 32), general(word, 32));
        m.changes('cmovs', general(index, 32), general(zero, 32));
        m.bind(inside);
      });
    }
    if (this.#lifetimes.count(value) > 0) {
      const held = m.virtual('vector');
      m.writes('vmovd', vector(held, 128), general(index, 32));
      this.#keep(value, held);
    }
  }

  /** Of threads that find an index out of range at the same time, one records it. */
  #recordFailure(word: Virtual, check: number, size: number): void {
    const { m } = this;
    const control = argumentRegister(m, this.#argument(2));
    const [one, known] = [m.virtual('general'), this.label()];
    m.writes('mov', general(one, 32), 1);
    m.changes('xchg', place(control, 0), general(one, 32));
    m.reads('test', general(one, 32), general(one, 32));
    m.branch('ne', known);
    m.reads('mov', place(control, 4, { bits: 32 }), check);
    m.reads('mov', place(control, 8), general(word, 32));
    m.reads('mov', place(control, 12, { bits: 32 }), size | 0);
    m.bind(known);
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
    const registers = loop.carried.map((carried) => this.#startCarried(carried));
    const moving = this.#startPointers(pointers);
    const turns = () => {
      m.writes('mov', general(counter), 0);
      this.#turns(loop, moving, counter, end, () => this.#carry(loop, registers));
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
      this.#keep(result, registers[i]);
    });
  }

  /** The register that carries a value, which holds the initial one. */
  #startCarried(carried: Carried): Virtual {
    const { init, inside } = carried;
    const register = this.#copyToCarry(init);
    this.#carriedIn.set(carried, register);
    this.#keep(inside, register);
    return register;
  }

  #copyToCarry(init: Value): Virtual {
    const bits = bitsOf(init);
    const source = this.use(init);
    if (this.#mayTake(init, source)) return source;
    const register = this.m.virtual(source.class);
    this.#move(register, source, init, bits);
    return register;
  }

  #move(to: Virtual, from: Virtual, value: Value, bits: number): void {
    if (to === from) return;
    if (to.class === 'mask') this.isa.copyBool(this, vector(to, 64), from);
    else if (value.kind === 'const' && constantOf(value) === 0) {
      // The whole register is cleared, and waits for nobody.
      const view = vector(to, Math.min(bits, 256));
      this.m.writes('vxorps', view, view, view);
    } else this.m.writes('vmovaps', vector(to, bits), vector(from, bits));
  }

  /** Puts the next values into the registers of the carried ones, all at the same time. */
  #carry(loop: Loop, registers: readonly Virtual[]): void {
    const moves = loop.carried.flatMap(({ next }, i) => {
      const from = this.use(next);
      return from === registers[i] ? [] : [{ to: registers[i], from, next }];
    });
    const written = new Set(moves.map(({ to }) => to));
    const sources = moves.map(({ from, next }) => {
      if (!written.has(from)) return from;
      const copy = this.m.virtual(from.class);
      this.#move(copy, from, next, bitsOf(next));
      return copy;
    });
    moves.forEach(({ to, next }, i) => {
      this.#move(to, sources[i], next, bitsOf(next));
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
    const cost = Math.max(1, blockCost(loop.body).instructions);
    const piece = this.#pieceSize(end, Math.ceil(LEAST_PIECE / cost));
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
        m.writes('imul', general(register), general(counter), bytes);
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
      for (const { register, bytes } of moving) m.changes('add', general(register), bytes);
      m.changes('add', general(counter), 1);
      m.reads('cmp', general(counter), typeof end === 'number' ? end : general(end));
      m.branch('l', top);
    };
    const known = new Map(moving.map((p) => [p.pointer.key, p.register]));
    m.inLoop(() => this.#indices.inside(turn, known));
  }
}

function constantOf(value: Value & { readonly kind: 'const' }): number {
  return constantBits(value.dtype, value.value);
}
