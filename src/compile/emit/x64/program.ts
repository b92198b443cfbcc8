import {
  type Gpr,
  type Label,
  type Mem,
  mem,
  r32,
  r64,
  rax,
  rbp,
  rbx,
  rdi,
  rsp,
  X64Assembler,
} from '../../../asm/index.ts';
import { isParallel, sharedLoops } from '../../../ir/kernel/threads.ts';
import { CONTROL_WORDS, type Place, type Program, tableSlots } from '../../../ir/program.ts';
import { writeBarrier } from './barrier.ts';
import type { X64Features } from './emitter.ts';
import { emitKernel } from './kernel.ts';

/** Code of a program; see `Code` of the kind x64. */
export interface X64Code {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly entry: number;
  readonly kernelEntries: readonly number[];
  readonly sharedLoops: number;
  /** The code as text. */
  readonly text: () => string;
}

/** Emits a program: its kernels, and the `run` that calls them in order. */
export function emitX64(program: Program, features: X64Features): X64Code {
  const a = new X64Assembler();
  const kernels = program.kernels.map((kernel) => {
    const label = a.align(64).label();
    a.bind(label);
    emitKernel(kernel, features, a);
    return label;
  });
  const barrier = a.align(64).label();
  a.bind(barrier);
  writeBarrier(a);
  const entry = a.align(64).label();
  a.bind(entry);
  const loops = new RunWriter(a, program, kernels, barrier).write();
  const bytes = a.bytes();
  return {
    bytes,
    entry: a.offsetOf(entry),
    kernelEntries: kernels.map((label) => a.offsetOf(label)),
    sharedLoops: loops,
    text: () => a.text(),
  };
}

/** Registers of `run` that calls leave alone. */
const TABLE = rbx;
/** Arrivals at barriers that this thread has waited for. */
const ARRIVALS = r32(5);
const THREAD = r32(12);
const THREADS = r32(13);
const FROM = r32(14);
const TO = r32(15);
const SAVED: readonly Gpr[] = [rbx, rbp, r64(12), r64(13), r64(14), r64(15)];

const FITS = 2 ** 31;

class RunWriter {
  readonly #a: X64Assembler;
  readonly #program: Program;
  readonly #kernels: readonly Label[];
  readonly #barrier: Label;
  readonly #slots: ReturnType<typeof tableSlots>;
  /** Words of the longest record; this thread's own arena is in the word behind it. */
  readonly #recordWords: number;

  constructor(a: X64Assembler, program: Program, kernels: readonly Label[], barrier: Label) {
    this.#a = a;
    this.#program = program;
    this.#kernels = kernels;
    this.#barrier = barrier;
    this.#slots = tableSlots(program);
    const words = program.kernels.map((k) => k.buffers.length + k.locals.length + k.vars.length);
    this.#recordWords = Math.max(0, ...words) + 3;
  }

  /** Writes `run`; gives the number of shared loops. */
  write(): number {
    const a = this.#a;
    const { steps, kernels, localBytes } = this.#program;
    for (const register of SAVED) a.emit('push', register);
    // With the return address seven words: an odd number more keeps calls aligned to 16 bytes.
    const words = this.#recordWords + 1;
    const frame = 8 * (words % 2 === 0 ? words + 1 : words);
    a.emit('sub', rsp, frame).emit('mov', TABLE, rdi);
    a.emit('mov', THREAD, r32(6)).emit('mov', THREADS, r32(2));
    a.emit('mov', FROM, r32(1)).emit('mov', TO, r32(8)).emit('xor', ARRIVALS, ARRIVALS);
    a.emit('mov', r32(0), THREAD);
    this.#multiply(rax, localBytes);
    a.emit('add', rax, this.#slot(this.#slots.local)).emit('mov', this.#own(), rax);
    const end = a.label();
    let loops = 0;
    steps.forEach((_, i) => {
      this.#step(i, loops, end);
      loops += sharedLoops(kernels[steps[i].kernel]).length;
    });
    a.emit('xor', r32(0), r32(0)).bind(end);
    a.emit('add', rsp, frame);
    for (const register of [...SAVED].reverse()) a.emit('pop', register);
    a.emit('ret');
    return loops;
  }

  #slot(slot: number): Mem {
    return mem(TABLE, 8 * slot);
  }

  #own(): Mem {
    return mem(rsp, 8 * this.#recordWords);
  }

  #control(to: Gpr): void {
    this.#a.emit('mov', to, this.#slot(this.#slots.count));
  }

  #multiply(register: Gpr, factor: number): void {
    if (factor < FITS) this.#a.emit('imul', register, register, factor);
    else this.#a.emit('mov', r64(1), factor).emit('imul', register, r64(1));
  }

  #step(i: number, loops: number, end: Label): void {
    const a = this.#a;
    const step = this.#program.steps[i];
    const kernel = this.#program.kernels[step.kernel];
    const [skip, called] = [a.label(), a.label()];
    a.emit('cmp', FROM, i).branch('g', skip).emit('cmp', TO, i).branch('le', skip);
    if (step.barrier) this.#meet();
    if (!isParallel(kernel)) a.emit('test', THREAD, THREAD).branch('ne', called);
    this.#record(step.places, kernel.vars, loops);
    a.emit('mov', rdi, rsp).call(this.#kernels[step.kernel]);
    a.bind(called);
    if (kernel.checks.length > 0) {
      this.#meet();
      this.#control(rax);
      a.emit('cmp', mem(rax, CONTROL_WORDS.failure, { bits: 32 }), 0).branch('e', skip);
      a.emit('mov', r32(0), i + 1).jump(end);
    }
    a.bind(skip);
  }

  #meet(): void {
    const a = this.#a;
    a.emit('add', ARRIVALS, THREADS);
    this.#control(rdi);
    a.emit('mov', r32(6), ARRIVALS).emit('mov', r32(2), THREADS).call(this.#barrier);
  }

  /** The arguments of a kernel, at the top of the stack. */
  #record(places: readonly Place[], vars: Program['vars'], loops: number): void {
    const a = this.#a;
    const known = this.#program.vars;
    let words = 0;
    const put = () => a.emit('mov', mem(rsp, 8 * words++), rax);
    for (const place of places) {
      this.#address(place);
      put();
    }
    for (const v of vars) {
      const number = known.findIndex((other) => other.name === v.name);
      a.emit('mov', rax, this.#slot(this.#slots.vars + number));
      put();
    }
    a.emit('mov', rax, this.#slot(this.#slots.counters)).emit('add', rax, 4 * loops);
    put();
    a.emit('mov', r32(0), THREADS);
    put();
    this.#control(rax);
    put();
  }

  /** The address of a place in rax. */
  #address(place: Place): void {
    const a = this.#a;
    const { inputs } = this.#program;
    if (place.kind === 'input') a.emit('mov', rax, this.#slot(place.index));
    else if (place.kind === 'output') a.emit('mov', rax, this.#slot(inputs.length + place.index));
    else {
      a.emit('mov', rax, place.kind === 'local' ? this.#own() : this.#slot(this.#slots.scratch));
      if (place.offset >= FITS) a.emit('mov', r64(1), place.offset).emit('add', rax, r64(1));
      else if (place.offset > 0) a.emit('add', rax, place.offset);
    }
  }
}
