import { type Koffi, LINUX, type Libc, openLibc, PAGE } from './libc.ts';

/** The C library and the ways of koffi that this room shares, opened once for each thread of JS. */
export interface System {
  readonly koffi: Koffi;
  readonly libc: Libc;
}

export function openSystem(koffi: Koffi): System {
  return { koffi, libc: openLibc(koffi) };
}

/** A failed call of the system, in words. */
export function systemError({ libc }: System, what: string): Error {
  const code = libc.errno();
  const reason = REASONS[code] ?? `error ${code}`;
  return Object.assign(new Error(`${what}: ${reason}`), { errno: code });
}

const REASONS: Readonly<Record<number, string>> = {
  1: 'it is not permitted',
  2: 'there is no such file',
  11: 'there are too many threads or too little memory; raise the limit (ulimit -u)',
  12: 'there is no memory for it; raise the limit of address space (ulimit -v) or free some',
  13: 'permission is denied',
  19: 'the file system cannot do it',
  22: 'the system does not know such a request',
  23: 'too many files are open on this system',
  24: 'this process has too many files open; raise the limit (ulimit -n)',
};

/** Fresh pages that can be read and written. @throws Error */
export function mapPages(system: System, bytes: number): number {
  const { PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS } = LINUX;
  const protection = PROT_READ | PROT_WRITE;
  const address = system.libc.mmap(0, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address < 0) throw systemError(system, `${bytes} bytes of memory`);
  return address;
}

export function pagesOf(bytes: number): number {
  return Math.ceil(bytes / PAGE) * PAGE;
}
