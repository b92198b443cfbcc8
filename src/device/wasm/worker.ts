import type { CONTROL } from './control.ts';

/** What the host tells a thread. */
export type ToWorker =
  | {
      readonly kind: 'start';
      readonly memory: WebAssembly.Memory;
      readonly thread: number;
      readonly control: typeof CONTROL;
    }
  | { readonly kind: 'load'; readonly id: number; readonly module: WebAssembly.Module }
  | { readonly kind: 'unload'; readonly id: number }
  /** Look at the command word. */
  | { readonly kind: 'command' };

/** What a thread tells the host. */
export type FromWorker =
  | { readonly kind: 'started' }
  /** All threads are done with the command of this number. */
  | { readonly kind: 'done'; readonly command: number }
  /** This thread has trapped; it goes on to the end of the command with the others. */
  | { readonly kind: 'failed'; readonly message: string };

/** A worker's end of its channel, the same in Node and in browsers. */
export interface WorkerPort {
  onmessage: ((event: { data: ToWorker }) => void) | null;
  postMessage(message: FromWorker): void;
}

/**
 * The whole program of a thread. It is handed to workers as text, so it must stand alone: no
 * imports, nothing from outside its braces. After a command a thread sleeps on the command word for
 * a while, because the next command mostly follows soon, and a notification is faster than a
 * message; then it returns to its event loop and waits for messages.
 */
export function workerMain(port: WorkerPort): void {
  const LINGER_MS = 10;
  const SPINS = 20_000;
  /** Lets all threads pass every barrier: what was computed is void, but nobody waits for ever. */
  const PASS_ALL = 0x40000000;
  type Run = (table: number, thread: number, threads: number, from: number, to: number) => number;
  const runs = new Map<number, Run>();
  let memory: WebAssembly.Memory;
  let words: Int32Array;
  let at: typeof CONTROL;
  let thread = 0;
  let last = 0;

  // Methods, because bundlers that keep names (esbuild) wrap functions in constants in calls of a
  // helper, which a worker does not have.
  const loop = {
    execute(command: number): void {
      const threads = words[at.threads];
      if (thread >= threads) return;
      const run = runs.get(words[at.executable]) as Run;
      try {
        const status = run(words[at.table], thread, threads, words[at.from], words[at.to]);
        if (status !== 0) words[at.status] = status;
      } catch (error) {
        Atomics.store(words, at.trapped, 1);
        port.postMessage({ kind: 'failed', message: String(error) });
        Atomics.store(words, at.arrivals, PASS_ALL);
      }
      if (Atomics.add(words, at.finished, 1) + 1 === threads) {
        port.postMessage({ kind: 'done', command });
      }
    },
    serve(): void {
      for (;;) {
        const command = Atomics.load(words, at.command);
        if (command !== last) {
          // A program not yet loaded: its message waits in the event loop.
          if (!runs.has(words[at.executable]) && thread < words[at.threads]) return;
          last = command;
          loop.execute(command);
        }
        // The next command often follows within microseconds, and threads that sleep may be woken on
        // one and the same processor.
        for (let spins = 0; spins < SPINS; spins++) {
          if (Atomics.load(words, at.command) !== last) break;
        }
        Atomics.store(words, at.asleep + thread, 1);
        Atomics.wait(words, at.command, last, LINGER_MS);
        Atomics.store(words, at.asleep + thread, 0);
        if (Atomics.load(words, at.command) === last) return;
      }
    },
  };
  port.onmessage = ({ data }) => {
    switch (data.kind) {
      case 'start':
        memory = data.memory;
        thread = data.thread;
        at = data.control;
        words = new Int32Array(memory.buffer, 0, at.asleep + thread + 1);
        last = Atomics.load(words, at.command);
        port.postMessage({ kind: 'started' });
        return;
      case 'load': {
        const { exports } = new WebAssembly.Instance(data.module, { env: { memory } });
        runs.set(data.id, exports.run as Run);
        break;
      }
      case 'unload':
        runs.delete(data.id);
        return;
      case 'command':
        break;
    }
    if (Atomics.load(words, at.command) !== last) loop.serve();
  };
}
