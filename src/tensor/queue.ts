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
 * of everything a device does. Timers and signals get their turn between tasks. A task must not
 * wait for another of its own queue.
 *
 * @param signal a task that still waits when it fires never runs: the promise rejects at once with
 *   the signal's reason. A task that runs looks at the signal itself.
 */
export function enqueue<T>(
  device: Device,
  task: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  let queue = queues.get(device);
  if (!queue) {
    queue = { tail: Promise.resolve(), lastTurn: performance.now() };
    queues.set(device, queue);
  }
  const own = queue;
  let waiting = true;
  const run = async () => {
    if (performance.now() - own.lastTurn > PATIENCE) {
      await nextTurn();
      own.lastTurn = performance.now();
    }
    waiting = false;
    signal?.throwIfAborted();
    return task();
  };
  const result = own.tail.then(run);
  own.tail = result.catch(() => undefined);
  if (!signal) return result;
  return new Promise((resolve, reject) => {
    const leave = () => {
      if (waiting) reject(signal.reason);
    };
    signal.addEventListener('abort', leave);
    result.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}
