/** What time is counted by. */
export interface Clock {
  readonly name: 'wall' | 'thread';
  /** Milliseconds from some start. */
  readonly now: () => number;
}

/** The clock on the wall: what a user waits. */
export const WALL: Clock = { name: 'wall', now: () => performance.now() };

/**
 * Processor time of this thread alone. On a machine that is busy with other things it tells more
 * than the clock on the wall, but it misses what the engine does on other threads, and its steps
 * may be as long as 4 ms.
 */
export const THREAD: Clock = {
  name: 'thread',
  now: () => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  },
};
