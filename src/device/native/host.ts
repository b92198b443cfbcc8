/**
 * What this room asks of Node, at run time: browsers import these files, too, and find no import of
 * Node's modules in them.
 */
interface NodeProcess {
  readonly platform: string;
  readonly arch: string;
  readonly pid: number;
  getBuiltinModule<T>(name: string): T;
}

/** The process, where this is Node on a system that has files. */
export function nodeProcess(): NodeProcess | undefined {
  const { process: host } = globalThis as {
    process?: Partial<NodeProcess> & { versions?: { node?: string } };
  };
  return host?.versions?.node && host.getBuiltinModule ? (host as NodeProcess) : undefined;
}

/** A module of Node. Only code that runs in Node calls this. */
export function builtin<T>(name: string): T {
  const host = nodeProcess();
  if (!host) throw new Error(`${name} is a module of Node; this is no Node`);
  return host.getBuiltinModule<T>(name);
}

export type Fs = typeof import('node:fs');
export type Os = typeof import('node:os');
export type Net = typeof import('node:net');
export type NodeModule = typeof import('node:module');
export type WorkerThreads = typeof import('node:worker_threads');

/** A small file as text, or undefined where it cannot be read. */
export function textOf(path: string): string | undefined {
  try {
    return builtin<Fs>('node:fs').readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
