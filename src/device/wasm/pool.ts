import { CONTROL } from './control.ts';
import { type FromWorker, type ToWorker, workerMain } from './worker.ts';

/** One thread of the host, in Node or in a browser. */
interface Thread {
  post(message: ToWorker): void;
  /** Whether a waiting message of this thread keeps the process alive. */
  hold(alive: boolean): void;
  /** Ends the thread; done when it writes nothing any more. */
  terminate(): unknown;
}

interface NodeWorker {
  on(event: 'message', listener: (message: FromWorker) => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  postMessage(message: ToWorker): void;
  ref(): void;
  unref(): void;
  terminate(): Promise<number>;
}

interface NodeThreads {
  readonly Worker: new (
    source: string,
    options: { eval: true; name: string; execArgv: string[] },
  ) => NodeWorker;
}

/** What the host hears of a thread; `died`: it is gone, and will not reach its barriers. */
type Heard = FromWorker | { readonly kind: 'died'; readonly message: string };
type Listener = (message: Heard) => void;

/** Node's threads, asked for at run time, so that browsers find no import of them. */
function nodeThreads(): NodeThreads | undefined {
  const host = globalThis as {
    process?: { getBuiltinModule?: (name: string) => unknown; versions?: { node?: string } };
  };
  if (!host.process?.versions?.node) return undefined;
  return host.process.getBuiltinModule?.('node:worker_threads') as NodeThreads | undefined;
}

function startThread(thread: number, listen: Listener): Thread {
  const name = `tersor ${thread}`;
  const node = nodeThreads();
  if (node) {
    const source = `(${workerMain})(require('node:worker_threads').parentPort)`;
    // Flags of the main thread (profilers, inspectors) are not for these.
    const worker = new node.Worker(source, { eval: true, name, execArgv: [] });
    worker.on('message', listen);
    worker.on('error', (error) => listen({ kind: 'died', message: String(error) }));
    worker.unref();
    return {
      post: (message) => worker.postMessage(message),
      hold: (alive) => (alive ? worker.ref() : worker.unref()),
      terminate: () => worker.terminate(),
    };
  }
  const blob = new Blob([`(${workerMain})(self)`], { type: 'text/javascript' });
  const url = URL.createObjectURL(blob);
  const worker = new Worker(url, { name });
  worker.onmessage = ({ data }) => listen(data as FromWorker);
  worker.onerror = (event) => listen({ kind: 'died', message: event.message });
  return {
    post: (message) => worker.postMessage(message),
    hold: () => undefined,
    terminate: () => worker.terminate(),
  };
}

/** A run of some steps of a program, as the threads get it. */
export interface Command {
  readonly executable: number;
  readonly table: number;
  readonly from: number;
  readonly to: number;
}

/**
 * Threads that run programs together over one shared memory: every thread makes the same call, and
 * meets the others at the program's barriers. Commands come one at a time.
 */
export class Pool {
  readonly #memory: WebAssembly.Memory;
  readonly #threads: readonly Thread[];
  readonly #loaded = new Set<number>();
  readonly #started: Promise<void>;
  #waiting: { resolve: () => void; reject: (error: Error) => void } | undefined;
  #command = 0;
  #broken: Error | undefined;
  /** Tells of the first trap. */
  readonly #trap: Promise<Error>;

  constructor(memory: WebAssembly.Memory, count: number) {
    this.#memory = memory;
    let open = count;
    let ready = () => {};
    this.#started = new Promise((resolve) => {
      ready = resolve;
    });
    let trap = (_: Error) => {};
    this.#trap = new Promise((resolve) => {
      trap = resolve;
    });
    const listen = (message: Heard) => {
      if (message.kind === 'started') {
        open--;
        if (open === 0) ready();
      } else if (message.kind === 'failed') trap(broken(message.message));
      else if (message.kind === 'died') this.#end(broken(message.message)).then(ready);
      else if (message.command === this.#command) this.#waiting?.resolve();
    };
    this.#threads = Array.from({ length: count }, (_, i) => startThread(i, listen));
    this.#threads.forEach((t, thread) => {
      t.post({ kind: 'start', memory, thread, control: CONTROL });
    });
  }

  /** Gives all threads a program; it must be there before a command names it. */
  load(id: number, module: WebAssembly.Module): void {
    if (this.#loaded.has(id)) return;
    this.#loaded.add(id);
    for (const thread of this.#threads) thread.post({ kind: 'load', id, module });
  }

  unload(id: number): void {
    if (!this.#loaded.delete(id)) return;
    for (const thread of this.#threads) thread.post({ kind: 'unload', id });
  }

  /**
   * Runs a command on all threads.
   *
   * @returns the step (from 1) that found an index out of range, or 0
   * @throws Error when a thread has failed; the pool is of no use after that
   */
  async run({ executable, table, from, to }: Command): Promise<number> {
    for (const thread of this.#threads) thread.hold(true);
    try {
      await this.#started;
      if (this.#broken) throw this.#broken;
      const words = new Int32Array(this.#memory.buffer, 0, CONTROL.asleep + this.#threads.length);
      words[CONTROL.arrivals] = 0;
      words[CONTROL.finished] = 0;
      words[CONTROL.status] = 0;
      words[CONTROL.trapped] = 0;
      words[CONTROL.executable] = executable;
      words[CONTROL.table] = table;
      words[CONTROL.threads] = this.#threads.length;
      words[CONTROL.from] = from;
      words[CONTROL.to] = to;
      this.#command++;
      const done = new Promise<void>((resolve, reject) => {
        this.#waiting = { resolve, reject };
      });
      Atomics.store(words, CONTROL.command, this.#command);
      Atomics.notify(words, CONTROL.command);
      this.#threads.forEach((thread, i) => {
        // One that is about to sleep sees the new number first; one in its event loop does not.
        if (Atomics.load(words, CONTROL.asleep + i) === 0) thread.post({ kind: 'command' });
      });
      await done;
      if (words[CONTROL.trapped] !== 0) throw await this.#end(await this.#trap);
      return words[CONTROL.status];
    } finally {
      this.#waiting = undefined;
      for (const thread of this.#threads) thread.hold(false);
    }
  }

  /** Ends all threads: the pool is of no use any more, and a run that waits is told. */
  async #end(error: Error): Promise<Error> {
    this.#broken ??= error;
    await this.dispose();
    this.#waiting?.reject(this.#broken);
    return this.#broken;
  }

  /** Ends the threads; done when none writes any more. */
  async dispose(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }
}

function broken(message: string): Error {
  return new Error(
    `a thread of device wasm failed: ${message}; its results are void and this process cannot use ` +
      'threads any more. Restart it, with TERSOR_THREADS=1 if that happens again',
  );
}
