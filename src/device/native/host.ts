/**
 * What this room asks of Node, at run time: browsers import these files, too, and find no import of
 * Node's modules in them.
 */

/** The process, where this is Node. */
export function nodeProcess(): typeof process | undefined {
  const { process: host } = globalThis as { process?: Partial<typeof process> };
  return host?.versions?.node && host.getBuiltinModule ? (host as typeof process) : undefined;
}

/** Only code that runs in Node calls what follows. */
function inNode(): typeof process {
  const host = nodeProcess();
  if (!host) throw new Error('device native needs Node; in a browser use device wasm');
  return host;
}

export const fs = () => inNode().getBuiltinModule('node:fs');
export const os = () => inNode().getBuiltinModule('node:os');
export const net = () => inNode().getBuiltinModule('node:net');
export const nodeModule = () => inNode().getBuiltinModule('node:module');
export const workerThreads = () => inNode().getBuiltinModule('node:worker_threads');

/** A small file as text, or undefined where it cannot be read. */
export function textOf(path: string): string | undefined {
  try {
    return fs().readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
