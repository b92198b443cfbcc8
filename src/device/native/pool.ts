import { pinning } from '../../base/env.ts';
import { InternalError } from '../../base/errors.ts';
import { CONTROL, type ControlView, RECORD_BYTES } from './control.ts';
import { net } from './host.ts';
import { LINUX } from './libc.ts';
import { type System, systemError } from './system.ts';

/** A thread spins so long before it sleeps: the next command often follows at once. */
const SPIN_MICROSECONDS = 50;

/** Functions of `threadCode`, in memory. */
export interface InstalledThreadCode {
  /** Address of a thread's start routine. */
  readonly main: number;
  readonly post: (control: number) => void;
  /** Ticks of the processor's clock. */
  readonly clock: () => number | bigint;
}

/**
 * Starts threads that take commands from a control block.
 *
 * @throws Error where the system gives none
 */
export function startThreads(
  system: System,
  control: ControlView,
  code: InstalledThreadCode,
  threads: number,
): void {
  const { address, i32, u64 } = control;
  i32[CONTROL.threads / 4] = threads;
  u64[CONTROL.spin / 8] = BigInt(Math.round(ticksPerMicrosecond(code) * SPIN_MICROSECONDS));
  for (let thread = 0; thread < threads; thread++) {
    const record = CONTROL.records + RECORD_BYTES * thread;
    u64[record / 8] = BigInt(address);
    i32[(record + 8) / 4] = thread;
    startThread(system, code.main, address + record, thread);
  }
}

function startThread(system: System, main: number, record: number, thread: number): void {
  const { libc } = system;
  const id = new BigUint64Array(1);
  // A thread inherits what its maker blocks: all signals are Node's business, but for faults.
  const all = new BigUint64Array(16).fill(0xffff_ffff_ffff_ffffn);
  for (const signal of [LINUX.SIGILL, LINUX.SIGBUS, LINUX.SIGFPE, LINUX.SIGSEGV]) {
    all[0] &= ~(1n << BigInt(signal - 1));
  }
  const before = new BigUint64Array(16);
  libc.pthreadSigmask(LINUX.SIG_SETMASK, all, before);
  const failed = libc.pthreadCreate(id, 0, main, record);
  libc.pthreadSigmask(LINUX.SIG_SETMASK, before, new BigUint64Array(16));
  if (failed !== 0) {
    throw new Error(
      `device native: thread ${thread} could not be started (error ${failed}); set ` +
        'TERSOR_THREADS to fewer threads, or raise the limit of processes (ulimit -u)',
    );
  }
  if (pinning()) pin(system, id[0], thread);
  libc.pthreadDetach(id[0]);
}

/** Binds a thread to one of the processors that the process may run on. */
function pin(system: System, id: bigint, thread: number): void {
  const { libc } = system;
  const allowed = new Uint8Array(128);
  const length = libc.getAffinity(0, allowed.length, allowed);
  if (length < 0) throw systemError(system, 'the processors of this process');
  const processors = [...allowed].flatMap((byte, i) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (byte >> bit) & 1).map((bit) => 8 * i + bit),
  );
  const processor = processors[thread % processors.length];
  const mask = new Uint8Array(128);
  mask[processor >> 3] = 1 << (processor & 7);
  const failed = libc.pthreadSetAffinity(id, mask.length, mask);
  if (failed !== 0) throw new Error(`thread ${thread} was not bound to processor ${processor}`);
}

/** A run of some steps of a program, as the threads get it. */
export interface Command {
  /** Address of `run`. */
  readonly entry: number;
  readonly table: number;
  readonly from: number;
  readonly to: number;
}

/**
 * Threads that run nothing but machine code: all make the same call and meet at the program's
 * barriers. They sleep between commands and never keep the process alive. The end of a command is a
 * byte on a pipe, which wakes the event loop within microseconds.
 */
export class NativePool {
  readonly #system: System;
  readonly #control: ControlView;
  readonly #code: InstalledThreadCode;
  readonly #socket: InstanceType<ReturnType<typeof net>['Socket']>;
  readonly #pipe: number;
  #waiting: (() => void) | undefined;

  /**
   * @param watch threads look each second whether this thread of JavaScript still lives, and free the
   *   device's memory when it does not: for workers, which end without a word
   * @throws Error where the system gives no threads
   */
  constructor(
    system: System,
    control: ControlView,
    code: InstalledThreadCode,
    threads: number,
    watch: boolean,
  ) {
    this.#system = system;
    this.#control = control;
    this.#code = code;
    const fds = new Int32Array(2);
    // Only the reading end must not block.
    if (system.libc.pipe2(fds, LINUX.O_CLOEXEC) < 0) throw systemError(system, 'a pipe');
    const [reader, writer] = fds;
    this.#pipe = writer;
    const { Socket } = net();
    const buffer = new Uint8Array(16);
    const heard = () => {
      this.#waiting?.();
      return true;
    };
    this.#socket = new Socket({
      fd: reader,
      readable: true,
      writable: false,
      onread: { buffer, callback: heard },
    });
    this.#socket.resume();
    this.#socket.unref();
    const { i32, u64 } = control;
    i32[CONTROL.pipe / 4] = writer;
    i32[CONTROL.watch / 4] = watch ? 1 : 0;
    u64[CONTROL.patience / 8] = 1n;
    startThreads(system, control, code, threads);
  }

  /**
   * Runs a command on all threads; one at a time.
   *
   * @returns the step (from 1) that found an index out of range, or 0
   */
  async run(command: Command): Promise<number> {
    const { i32 } = this.#control;
    i32[CONTROL.status / 4] = 0;
    await this.#send(command);
    return i32[CONTROL.status / 4];
  }

  #send({ entry, table, from, to }: Command): Promise<void> {
    if (this.#waiting) throw new InternalError('two runs at once on device native');
    const { address, i32, u64 } = this.#control;
    i32[CONTROL.arrivals / 4] = 0;
    i32[CONTROL.finished / 4] = 0;
    u64[CONTROL.entry / 8] = BigInt(entry);
    u64[CONTROL.table / 8] = BigInt(table);
    i32[CONTROL.from / 4] = from;
    i32[CONTROL.to / 4] = to;
    this.#socket.ref();
    const done = new Promise<void>((resolve) => {
      this.#waiting = () => {
        this.#waiting = undefined;
        this.#socket.unref();
        resolve();
      };
    });
    this.#code.post(address);
    return done;
  }

  /** Ends the threads; done when none touches the device's memory any more. */
  async dispose(): Promise<void> {
    await this.#send({ entry: 0, table: 0, from: 0, to: 0 });
    this.#socket.destroy();
    this.#system.libc.close(this.#pipe);
  }
}

/** Measured once for each thread of JavaScript: takes a millisecond. */
let ticks: number | undefined;

function ticksPerMicrosecond({ clock }: InstalledThreadCode): number {
  if (ticks === undefined) {
    const start = performance.now();
    const first = BigInt(clock());
    while (performance.now() - start < 1);
    ticks = Number(BigInt(clock()) - first) / ((performance.now() - start) * 1000);
  }
  return ticks;
}
