import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until something is so. @throws Error when it has not come to be within some seconds */
export async function until(condition: () => boolean, seconds = 10): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${seconds} s: ${condition}`);
    await sleep(2);
  }
}
