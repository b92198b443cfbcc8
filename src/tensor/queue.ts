import { nextTurn } from '../base/yield.ts';
import type { Device } from '../device/index.ts';

/** Longest time in milliseconds that work may keep the event loop from turning. */
const PATIENCE = 20;

interface Queue {
  tail: Promise<unknown>;
  lastTurn: number;
}

const queues = new WeakMap<Device, Queue>();

/**
 * Runs a task after all earlier tasks of the device, whether they succeeded or not: the one order
 * of everything a device does. Timers and signals get their turn between tasks.
 */
export function enqueue<T>(device: Device, task: () => Promise<T>): Promise<T> {
  let queue = queues.get(device);
  if (!queue) {
    queue = { tail: Promise.resolve(), lastTurn: performance.now() };
    queues.set(device, queue);
  }
  const own = queue;
  const run = async () => {
    if (performance.now() - own.lastTurn > PATIENCE) {
      await nextTurn();
      own.lastTurn = performance.now();
    }
    return task();
  };
  const result = own.tail.then(run, run);
  own.tail = result.catch(() => undefined);
  return result;
}
