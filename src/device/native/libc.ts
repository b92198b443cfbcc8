import { fs, nodeModule } from './host.ts';

/** What this room uses of koffi, a package that calls C functions. Addresses are numbers. */
export interface Koffi {
  load(path: null): {
    func(name: string, result: string, parameters: readonly string[]): unknown;
  };
  proto(result: string, parameters: readonly string[]): unknown;
  /** The function at an address. */
  decode(address: number, type: unknown): unknown;
  /** Memory at an address as an ArrayBuffer that does not own it. */
  view(address: number, bytes: number): ArrayBuffer;
  errno(): number;
}

/** @throws Error where the package is missing or does not load */
export function loadKoffi(): Koffi {
  const { createRequire } = nodeModule();
  const require = createRequire(import.meta.url);
  return binaryOf(createRequire(require.resolve('koffi'))) ?? (require('koffi') as Koffi);
}

const BINARY = '@koromix/koffi-linux-x64/linux_x64/koffi.node';
const MUSL = '/lib/ld-musl-x86_64.so.1';

/**
 * The package's binary for the common C library, which is all that is used of it: its own loader first
 * reads Node's program and takes ten times as long. That one is right wherever this finds nothing.
 */
function binaryOf(require: NodeJS.Require): Koffi | undefined {
  if (fs().existsSync(MUSL)) return undefined;
  try {
    return require(BINARY) as Koffi;
  } catch {
    return undefined;
  }
}

/** Constants of Linux on x86-64. */
export const LINUX = {
  PROT_NONE: 0,
  PROT_READ: 1,
  PROT_WRITE: 2,
  PROT_EXEC: 4,
  MAP_PRIVATE: 0x2,
  MAP_FIXED: 0x10,
  MAP_ANONYMOUS: 0x20,
  MAP_NORESERVE: 0x4000,
  MADV_DONTNEED: 4,
  MADV_HUGEPAGE: 14,
  SIG_SETMASK: 2,
  SIGILL: 4,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGSEGV: 11,
  O_CLOEXEC: 0o2000000,
  O_NONBLOCK: 0o4000,
  ENOENT: 2,
  ENOMEM: 12,
  EACCES: 13,
} as const;

export const PAGE = 4096;
export const HUGE_PAGE = 2 ** 21;

/** Functions of the C library; sizes and addresses are numbers, results below 0 are failures. */
export interface Libc {
  readonly mmap: (
    address: number,
    bytes: number,
    protection: number,
    flags: number,
    fd: number,
    offset: number,
  ) => number;
  readonly munmap: (address: number, bytes: number) => number;
  readonly mprotect: (address: number, bytes: number, protection: number) => number;
  readonly madvise: (address: number, bytes: number, advice: number) => number;
  readonly mincore: (address: number, bytes: number, pages: Uint8Array) => number;
  /** Copies into memory at an address. */
  readonly copyIn: (to: number, from: ArrayBufferView, bytes: number) => void;
  /** Copies out of memory at an address. */
  readonly copyOut: (to: ArrayBufferView, from: number, bytes: number) => void;
  readonly fill: (to: number, byte: number, bytes: number) => void;
  readonly pipe2: (fds: Int32Array, flags: number) => number;
  readonly close: (fd: number) => number;
  readonly pthreadCreate: (
    thread: BigUint64Array,
    attributes: number,
    start: number,
    argument: number,
  ) => number;
  readonly pthreadDetach: (thread: bigint) => number;
  readonly pthreadSigmask: (how: number, set: ArrayBufferView, old: ArrayBufferView) => number;
  readonly pthreadSetAffinity: (thread: bigint, bytes: number, set: ArrayBufferView) => number;
  readonly getAffinity: (pid: number, bytes: number, set: ArrayBufferView) => number;
  readonly sigaction: (signal: number, action: number, old: number) => number;
  /** A call of the system by its number. */
  readonly systemCall: (number: number, a: number, b: number) => number;
  readonly errno: () => number;
}

export function openLibc(koffi: Koffi): Libc {
  // The process itself: Node is linked to the C library, whichever it is.
  const library = koffi.load(null);
  const func = <T>(name: string, result: string, ...parameters: string[]): T =>
    library.func(name, result, parameters) as T;
  const [p, n] = ['uintptr_t', 'size_t'];
  return {
    mmap: func('mmap', 'intptr_t', p, n, 'int', 'int', 'int', 'int64_t'),
    munmap: func('munmap', 'int', p, n),
    mprotect: func('mprotect', 'int', p, n, 'int'),
    madvise: func('madvise', 'int', p, n, 'int'),
    mincore: func('mincore', 'int', p, n, 'void *'),
    copyIn: func('memcpy', 'void', p, 'const void *', n),
    copyOut: func('memcpy', 'void', 'void *', p, n),
    fill: func('memset', 'void', p, 'int', n),
    pipe2: func('pipe2', 'int', 'void *', 'int'),
    close: func('close', 'int', 'int'),
    pthreadCreate: func('pthread_create', 'int', 'void *', p, p, p),
    pthreadDetach: func('pthread_detach', 'int', 'uint64_t'),
    pthreadSigmask: func('pthread_sigmask', 'int', 'int', 'void *', 'void *'),
    pthreadSetAffinity: func('pthread_setaffinity_np', 'int', 'uint64_t', n, 'void *'),
    getAffinity: func('sched_getaffinity', 'int', 'int', n, 'void *'),
    sigaction: func('sigaction', 'int', 'int', p, p),
    systemCall: func('syscall', 'intptr_t', 'intptr_t', p, p),
    errno: () => koffi.errno(),
  };
}
