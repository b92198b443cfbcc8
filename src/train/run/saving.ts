import { setTimeout as sleep } from 'node:timers/promises';

/** Reasons that may pass when a user makes room. */
const PASSING = new Set(['ENOSPC', 'EDQUOT']);

export interface Insistence {
  /** Seconds for which a save is tried again while the disk is full. */
  readonly seconds: number;
  readonly warn: (message: string) => void;
  /** Ends the waiting. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds between two tries (default 5000). */
  readonly pause?: number;
}

/**
 * Saves what would otherwise be lost: while the disk is full it is told and tried again.
 *
 * @throws the last error, when the time is over
 */
export async function insist<T>(save: () => Promise<T>, options: Insistence): Promise<T> {
  const { seconds, warn, signal, pause = 5000 } = options;
  const end = performance.now() + seconds * 1000;
  for (let told = false; ; ) {
    try {
      return await save();
    } catch (error) {
      const over = performance.now() >= end || signal?.aborted;
      if (over || !isPassing(error)) throw error;
      if (!told) {
        warn(
          `${(error as Error).message}. What was trained is still in memory: it is tried again for ` +
            `${Math.ceil(seconds / 60)} minutes`,
        );
      }
      told = true;
      await sleep(pause);
    }
  }
}

function isPassing(error: unknown): boolean {
  for (let at = error as { code?: unknown; cause?: unknown } | undefined; at; ) {
    if (typeof at.code === 'string' && PASSING.has(at.code)) return true;
    at = at.cause as typeof at;
  }
  return false;
}
