/** A library to compare with that is not on this machine, or does not run here; says how to get it. */
export class AbsentPeer extends Error {
  override readonly name = 'AbsentPeer';

  constructor(peer: string, reason: string, remedy: string) {
    super(`${peer} is left out: ${reason}; ${remedy}`);
  }
}

/** What installs all peers that npm has. */
export const INSTALL = 'npm run bench -- peers installs it';

const said = new Set<string>();

/**
 * What `open` gives, or undefined where the peer is absent: then standard error has a line about
 * that, once in a process.
 */
export async function ifThere<T>(open: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof AbsentPeer)) throw error;
    if (!said.has(error.message)) console.error(error.message);
    said.add(error.message);
    return undefined;
  }
}
