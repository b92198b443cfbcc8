import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import {
  DEFAULT_BYTES,
  type MeasureOptions,
  makeProbes,
  type Probe,
  type Probes,
} from './machine.ts';

/** The probes by their place in the orders to workers. */
export const PROBE_NAMES = ['peakF32', 'read', 'copy'] as const;
export type ProbeName = (typeof PROBE_NAMES)[number];

/** i32 at these places of the shared memory; the workers' rates, f64, follow from `RATES` on. */
export const ORDER = { generation: 0, probe: 1, done: 2 };
export const RATES = 16;
/** The number of a probe that ends a worker. */
export const END = -1;

/** What a worker gets at its start. */
export interface ProbeWorkerData {
  readonly shared: SharedArrayBuffer;
  readonly index: number;
  readonly options: MeasureOptions;
}

/** Probes that hold threads, to be closed. */
export interface ThreadProbes extends Probes {
  readonly close: () => void;
}

/**
 * Makes the probes of several threads at once: rates are sums, and the threads share the bytes. Time
 * is that of the clock on the wall.
 */
export async function makeThreadProbes(
  threads: number,
  options: MeasureOptions = {},
): Promise<ThreadProbes> {
  const share = { ...options, bytes: (options.bytes ?? DEFAULT_BYTES) / threads };
  const own = await makeProbes(share);
  if (threads === 1) return { ...own, close: () => undefined };
  const workers = await ProbeWorkers.start(threads - 1, share);
  return {
    relaxedSimd: own.relaxedSimd,
    peakF32: workers.together('peakF32', own.peakF32),
    read: workers.together('read', own.read),
    copy: workers.together('copy', own.copy),
    close: () => workers.close(),
  };
}

/** Workers that measure whenever the calling thread does. */
class ProbeWorkers {
  readonly #workers: readonly Worker[];
  readonly #order: Int32Array;
  readonly #rates: Float64Array;

  private constructor(workers: readonly Worker[], shared: SharedArrayBuffer) {
    this.#workers = workers;
    this.#order = new Int32Array(shared, 0, RATES / 4);
    this.#rates = new Float64Array(shared, RATES, workers.length);
  }

  /** Starts workers; each makes probes of its own and warms them. */
  static async start(count: number, options: MeasureOptions): Promise<ProbeWorkers> {
    const shared = new SharedArrayBuffer(RATES + 8 * count);
    // The build renames the worker's source with all others.
    const file = new URL(`probe-worker${extname(import.meta.url)}`, import.meta.url);
    const workers = Array.from({ length: count }, (_, index) => {
      const workerData: ProbeWorkerData = { shared, index, options };
      return new Worker(file, { workerData, execArgv: [] });
    });
    await Promise.all(
      workers.map(
        (worker) =>
          new Promise<void>((resolve, reject) => {
            worker.once('message', () => resolve());
            worker.once('error', reject);
          }),
      ),
    );
    // One that waits for orders must not keep the process alive.
    for (const worker of workers) worker.unref();
    return new ProbeWorkers(workers, shared);
  }

  /** A probe whose rate is that of all threads together, the calling one among them. */
  together(name: ProbeName, own: Probe): Probe {
    const sample = () => {
      this.#send(PROBE_NAMES.indexOf(name));
      const rate = own.sample();
      this.#wait();
      return this.#rates.reduce((sum, r) => sum + r, rate);
    };
    return { unit: own.unit, sample };
  }

  #send(probe: number): void {
    this.#order[ORDER.probe] = probe;
    Atomics.store(this.#order, ORDER.done, 0);
    Atomics.add(this.#order, ORDER.generation, 1);
    Atomics.notify(this.#order, ORDER.generation);
  }

  #wait(): void {
    for (;;) {
      const done = Atomics.load(this.#order, ORDER.done);
      if (done === this.#workers.length) return;
      Atomics.wait(this.#order, ORDER.done, done);
    }
  }

  close(): void {
    this.#send(END);
  }
}
