import { constants } from 'node:os';

/** The reason of a signal that aborts: not an error, and told as such. */
export class Interrupted extends Error {
  override readonly name = 'AbortError';
  constructor() {
    super('interrupted');
  }
}

/**
 * Milliseconds in which a second signal counts as the same: under npm one Ctrl-C arrives twice,
 * from the terminal and from npm.
 */
const ECHO = 250;

/**
 * Runs a command that ends early and cleanly at Ctrl-C (or SIGTERM) when its signal is aborted; a
 * second Ctrl-C kills it at once.
 *
 * @returns the exit code: 0, or 128 and the number of the signal, as shells have it
 */
export async function interruptible(body: (signal: AbortSignal) => Promise<void>): Promise<number> {
  const controller = new AbortController();
  let code = 0;
  let first = 0;
  const onSignal = (name: NodeJS.Signals) => {
    const now = performance.now();
    if (code !== 0) {
      if (now - first > ECHO) process.exit(code);
      return;
    }
    first = now;
    code = 128 + constants.signals[name];
    controller.abort(new Interrupted());
  };
  const names = ['SIGINT', 'SIGTERM'] as const;
  for (const name of names) process.on(name, onSignal);
  try {
    await body(controller.signal);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    console.error('stopped');
  } finally {
    for (const name of names) process.off(name, onSignal);
  }
  return code;
}
