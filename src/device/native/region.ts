import { HUGE_PAGE, LINUX } from './libc.ts';
import { type System, systemError } from './system.ts';

/** Bytes before and behind a region that nothing ever maps: an access there ends the process. */
export const GUARD = HUGE_PAGE;
/** Smallest region worth having. */
const LEAST = 2 ** 28;

/**
 * Address space of which a growing part, from its start on, is memory. Pages take physical memory
 * when they are first written. The rest, and the guards around it, cannot be accessed.
 */
export class Region {
  readonly #system: System;
  /** Of the whole reservation, guards included. */
  readonly #reserved: { readonly address: number; readonly bytes: number };
  /** Address of the first byte that may be used. */
  readonly base: number;
  /** Bytes that the region may grow to. */
  readonly limit: number;
  #size = 0;

  /**
   * @param wish bytes to reserve; less where the system refuses so many
   * @throws Error where it refuses even little
   */
  constructor(system: System, wish: number) {
    this.#system = system;
    const { libc } = system;
    const { PROT_NONE, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE } = LINUX;
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    for (let bytes = wish; ; bytes /= 2) {
      const limit = Math.max(1, Math.floor(bytes / HUGE_PAGE)) * HUGE_PAGE;
      // One huge page more: the start is moved to a multiple of it.
      const whole = limit + 2 * GUARD + HUGE_PAGE;
      const address = libc.mmap(0, whole, PROT_NONE, flags, -1, 0);
      if (address < 0) {
        if (bytes / 2 < LEAST) throw systemError(system, 'address space for arrays');
        continue;
      }
      this.#reserved = { address, bytes: whole };
      this.limit = limit;
      this.base = Math.ceil(address / HUGE_PAGE) * HUGE_PAGE + GUARD;
      // Asked for all of it at once, so that what grows stays one mapping. A wish only: kernels
      // without huge pages refuse it.
      libc.madvise(this.base, limit, LINUX.MADV_HUGEPAGE);
      return;
    }
  }

  /** Bytes from the base on that are memory. */
  get size(): number {
    return this.#size;
  }

  /** Makes more of it memory. @throws Error where the system has none */
  grow(bytes: number): void {
    const { PROT_READ, PROT_WRITE } = LINUX;
    const { libc } = this.#system;
    if (libc.mprotect(this.base + this.#size, bytes, PROT_READ | PROT_WRITE) < 0) {
      throw systemError(this.#system, `${bytes} bytes more`);
    }
    this.#size += bytes;
  }

  /** Gives the physical memory of a piece back; it reads as zeros then. Whole pages only. */
  giveBack(offset: number, bytes: number): void {
    this.#system.libc.madvise(this.base + offset, bytes, LINUX.MADV_DONTNEED);
  }

  /** Bytes of physical memory that the region takes now. Looks at every page. */
  get residentBytes(): number {
    const PART = 2 ** 30;
    const pages = new Uint8Array(PART / 4096);
    let resident = 0;
    for (let at = 0; at < this.#size; at += PART) {
      const bytes = Math.min(PART, this.#size - at);
      if (this.#system.libc.mincore(this.base + at, bytes, pages) < 0) return resident;
      const count = Math.ceil(bytes / 4096);
      for (let i = 0; i < count; i++) resident += (pages[i] & 1) * 4096;
    }
    return resident;
  }

  /** Where all of it lies, guards included: for whoever frees it. */
  get whole(): { readonly address: number; readonly bytes: number } {
    return this.#reserved;
  }

  /** Frees all of it. */
  dispose(): void {
    this.#system.libc.munmap(this.#reserved.address, this.#reserved.bytes);
    this.#size = 0;
  }
}
