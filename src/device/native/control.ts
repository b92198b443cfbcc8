import { CONTROL_WORDS } from '../../ir/program.ts';

/** Threads that the control block has room for. */
export const MAX_THREADS = 256;

/**
 * The control block of a device, by which host and threads speak: byte offsets. What several threads
 * write, or spin on, lies in cache lines of its own.
 */
export const CONTROL = {
  ...CONTROL_WORDS,
  /** i32: number of the last command; threads spin and sleep on it. */
  command: CONTROL_WORDS.device,
  /** What the command is: u64 address of `run` (0: end the threads) and of its table, i32 steps. */
  entry: 200,
  table: 208,
  from: 216,
  to: 220,
  /** i32: threads of the pool. */
  threads: 224,
  /** i32: threads that are done with the present command. */
  finished: 256,
  /** i32: the first step (from 1) that found an index out of range, or 0. */
  status: 320,
  /** i32: the end of a pipe to which the last thread that is done writes a byte. */
  pipe: 384,
  /** i32: 1 where threads look from time to time whether somebody still reads that pipe. */
  watch: 388,
  /** u64: ticks of the processor's clock that a thread spins before it sleeps. */
  spin: 392,
  /** Two i64, seconds and nanoseconds: how long a thread sleeps between looks. */
  patience: 400,
  /** i32: threads that sleep, or are about to. */
  asleep: 448,
  /** i32: threads that have left because nobody reads the pipe any more. */
  left: 512,
  /** u64: address of the table of mapped files, 0 where none was mapped; i32: whose they are. */
  faults: 576,
  owner: 584,
  /** i32: how many pieces of memory the last of them unmaps, the control block as the last. */
  legacyCount: 516,
  /** Their addresses and sizes, u64 each. */
  legacy: 520,
  /** For each thread, 64 bytes apart: u64 address of the control block, i32 its number. */
  records: 1024,
} as const;

export const RECORD_BYTES = 64;
export const CONTROL_BYTES = CONTROL.records + MAX_THREADS * RECORD_BYTES;

/** A control block as numbers: `i32[CONTROL.x / 4]`. It belongs to the device and leaves it never. */
export interface ControlView {
  readonly address: number;
  readonly i32: Int32Array;
  readonly u64: BigUint64Array;
}
