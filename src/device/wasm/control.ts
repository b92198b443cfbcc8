import { BARRIER } from '../../ir/program.ts';

/**
 * Words (i32) at the start of a shared memory by which the host and its threads speak. Words that
 * several threads write lie in cache lines of their own.
 */
export const CONTROL = {
  arrivals: BARRIER / 4,
  /** Threads that are done with the present command. */
  finished: 32,
  /** Number of the last command; threads sleep on it. */
  command: 48,
  /** What the command is: the arguments of `run`. */
  executable: 49,
  table: 50,
  threads: 51,
  from: 52,
  to: 53,
  /** The first step (from 1) that found an index out of range, or 0. */
  status: 54,
  /** 1 once a thread has trapped: what was computed is void. */
  trapped: 55,
  /** For each thread: 1 while it sleeps on the command word, where a notification wakes it. */
  asleep: 64,
} as const;

/** Threads that the control words have room for. */
export const MAX_THREADS = 64;

/** Bytes before the heap. */
export const CONTROL_BYTES = (CONTROL.asleep + MAX_THREADS) * 4;
