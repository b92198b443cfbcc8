import { Heap } from '../heap.ts';
import { memoryAvailable, type ReadText } from './cgroup.ts';
import { HUGE_PAGE } from './libc.ts';
import type { Region } from './region.ts';

/** Growing by little would be growing often. */
const STEP = 64 * 2 ** 20;
/** Whether there is memory is looked at after so many bytes. */
const LOOK = 64 * 2 ** 20;
/** Bytes that stay free for the rest of the process and of the system. */
const MARGIN = 256 * 2 ** 20;
/** Freed memory up to this, or half of what is live, is kept: it is about to be used again. */
const KEEP = 256 * 2 ** 20;

/** Pieces of a region, handed out and taken back. */
export class Arena {
  readonly #region: Region;
  readonly #heap = new Heap(0, 0);
  readonly #read: ReadText;
  #sinceLook = 0;
  /** Bytes freed in large pieces that still may take physical memory. */
  #kept = 0;

  /** @param read reads the system's files that tell how much memory there is */
  constructor(region: Region, read: ReadText) {
    this.#region = region;
    this.#read = read;
  }

  get liveBytes(): number {
    return this.#heap.liveBytes;
  }

  /** Bytes that all pieces can have: what is theirs already, and what the process may still take. */
  get capacity(): number {
    const available = Math.max(0, memoryAvailable(this.#read) - MARGIN);
    return Math.min(this.#region.limit, available + this.#region.residentBytes);
  }

  /** Address of a piece, at a multiple of 64. @throws RangeError when memory is exhausted */
  allocate(bytes: number): number {
    if (bytes > this.#region.limit) throw this.#exhausted(bytes, 'beyond the address space');
    this.#look(bytes);
    let offset = this.#heap.allocate(bytes);
    if (offset === undefined) {
      this.#grow(bytes);
      offset = this.#heap.allocate(bytes) as number;
    }
    if (bytes >= HUGE_PAGE) this.#kept = Math.max(0, this.#kept - bytes);
    return this.#region.base + offset;
  }

  free(address: number): void {
    const before = this.#heap.liveBytes;
    this.#heap.free(address - this.#region.base);
    const bytes = before - this.#heap.liveBytes;
    if (bytes < HUGE_PAGE) return;
    this.#kept += bytes;
    if (this.#kept > Math.max(KEEP, this.#heap.liveBytes / 2)) this.#giveBack();
  }

  #giveBack(): void {
    for (const { offset, bytes } of this.#heap.freeBlocks) {
      const start = Math.ceil(offset / HUGE_PAGE) * HUGE_PAGE;
      const end = Math.floor((offset + bytes) / HUGE_PAGE) * HUGE_PAGE;
      if (end > start) this.#region.giveBack(start, end - start);
    }
    this.#kept = 0;
  }

  #grow(bytes: number): void {
    const { size, limit } = this.#region;
    const whole = (n: number) => Math.ceil(n / HUGE_PAGE) * HUGE_PAGE;
    const needed = whole(this.#heap.shortfall(bytes));
    if (needed > limit - size) throw this.#exhausted(bytes, 'beyond the address space');
    const step = Math.min(Math.max(needed, whole(Math.max(STEP, size / 4))), limit - size);
    try {
      this.#region.grow(step);
    } catch (cause) {
      throw this.#exhausted(bytes, 'the system gives no more', cause);
    }
    this.#heap.extend(step);
  }

  /** Throws before the system would have to kill a process for what is about to be written. */
  #look(bytes: number): void {
    this.#sinceLook += bytes;
    if (this.#sinceLook < LOOK) return;
    this.#sinceLook = 0;
    const available = memoryAvailable(this.#read) - MARGIN;
    const wanted = this.#heap.liveBytes + bytes;
    if (wanted <= available) return;
    // Memory that is taken already may be all that is wanted. Counting it takes milliseconds.
    if (wanted <= available + this.#region.residentBytes) return;
    this.#sinceLook = LOOK;
    throw this.#exhausted(bytes, 'the system or its group of processes would be out of memory');
  }

  #exhausted(bytes: number, why: string, cause?: unknown): RangeError {
    const mib = (n: number) => `${(n / 2 ** 20).toFixed(1)} MiB`;
    return new RangeError(
      `native: no memory for ${mib(bytes)} more (${mib(this.#heap.liveBytes)} in use; ${why}); ` +
        'dispose of tensors, or make batch or model smaller',
      { cause },
    );
  }
}
