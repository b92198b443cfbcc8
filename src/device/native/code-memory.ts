import { Heap } from '../heap.ts';
import { LINUX, PAGE } from './libc.ts';
import { pagesOf, type System, systemError } from './system.ts';

/** Address space of one chunk; larger programs get one of their own. */
const CHUNK = 64 * 2 ** 20;

interface Chunk {
  readonly address: number;
  readonly bytes: number;
  readonly heap: Heap;
}

/**
 * Memory for machine code. A page can be written or run, never both at once: code is copied into
 * pages of its own, which then become executable. Code lies close together, so that calls and
 * branches find it in few pages.
 */
export class CodeMemory {
  readonly #system: System;
  readonly #chunks: Chunk[] = [];

  constructor(system: System) {
    this.#system = system;
  }

  /**
   * Puts code into memory that can be run.
   *
   * @returns its address, a multiple of 4096
   * @throws Error where the system allows no executable memory
   */
  install(code: Uint8Array): number {
    const { libc } = this.#system;
    const { PROT_READ, PROT_WRITE, PROT_EXEC } = LINUX;
    const bytes = pagesOf(code.length);
    const { address, chunk } = this.#take(bytes);
    if (libc.mprotect(address, bytes, PROT_READ | PROT_WRITE) < 0) {
      throw this.#failed(chunk, address, bytes, 'memory for code');
    }
    libc.copyIn(address, code, code.length);
    if (libc.mprotect(address, bytes, PROT_READ | PROT_EXEC) < 0) {
      throw this.#failed(chunk, address, bytes, 'executable memory');
    }
    return address;
  }

  /** Takes code out. Nothing may run it. */
  remove(address: number): void {
    const chunk = this.#chunks.find(
      (c) => address >= c.address && address < c.address + c.bytes,
    ) as Chunk;
    const before = chunk.heap.liveBytes;
    chunk.heap.free(address - chunk.address);
    const bytes = before - chunk.heap.liveBytes;
    const { libc } = this.#system;
    libc.madvise(address, bytes, LINUX.MADV_DONTNEED);
    libc.mprotect(address, bytes, LINUX.PROT_NONE);
  }

  dispose(): void {
    for (const { address, bytes } of this.#chunks) this.#system.libc.munmap(address, bytes);
    this.#chunks.length = 0;
  }

  #take(bytes: number): { address: number; chunk: Chunk } {
    for (const chunk of this.#chunks) {
      const offset = chunk.heap.allocate(bytes);
      if (offset !== undefined) return { address: chunk.address + offset, chunk };
    }
    const chunk = this.#reserve(Math.max(CHUNK, bytes));
    this.#chunks.push(chunk);
    return { address: chunk.address + (chunk.heap.allocate(bytes) as number), chunk };
  }

  #reserve(bytes: number): Chunk {
    const { PROT_NONE, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE } = LINUX;
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    const address = this.#system.libc.mmap(0, bytes, PROT_NONE, flags, -1, 0);
    if (address < 0) throw systemError(this.#system, 'address space for code');
    // Offsets stay multiples of a page: so are all sizes.
    return { address, bytes, heap: new Heap(0, bytes) };
  }

  #failed(chunk: Chunk, address: number, bytes: number, what: string): Error {
    const error = systemError(this.#system, what);
    chunk.heap.free(address - chunk.address);
    this.#system.libc.mprotect(address, Math.max(bytes, PAGE), LINUX.PROT_NONE);
    return error;
  }
}
