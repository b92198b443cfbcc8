import { parentPort, workerData } from 'node:worker_threads';
import { makeProbes } from './machine.ts';
import { END, ORDER, PROBE_NAMES, type ProbeWorkerData, RATES } from './threads.ts';

/** A thread that takes a sample at each order; see `ProbeWorkers`. */
const { shared, index, options } = workerData as ProbeWorkerData;
const order = new Int32Array(shared, 0, RATES / 4);
const rates = new Float64Array(shared, RATES);
const probes = await makeProbes(options);

parentPort?.postMessage('ready');
for (let seen = 0; ; seen++) {
  Atomics.wait(order, ORDER.generation, seen);
  if (order[ORDER.probe] === END) break;
  rates[index] = probes[PROBE_NAMES[order[ORDER.probe]]].sample();
  Atomics.add(order, ORDER.done, 1);
  Atomics.notify(order, ORDER.done);
}
