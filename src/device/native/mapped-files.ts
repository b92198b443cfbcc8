import { badArgument } from '../../base/errors.ts';
import type { CodeMemory } from './code-memory.ts';
import { FAULT_ENTRY, FAULTS, faultHandler, HANDLER_HEAD, tableOfHandler } from './fault-code.ts';
import { fs } from './host.ts';
import { LINUX, PAGE } from './libc.ts';
import { mapPages, type System, systemError } from './system.ts';

/** Pieces of files that a process may have mapped at once. */
const MOST = 16_384;
const TABLE_BYTES = FAULTS.entries + MOST * FAULT_ENTRY.bytes;
/** The C library's struct sigaction: handler, 128 bytes of mask, flags, restorer. */
const ACTION = { handler: 0, mask: 8, flags: 136, bytes: 152 } as const;
const SA_SIGINFO = 4;
const SA_RESTART = 0x1000_0000;
const SA_ONSTACK = 0x0800_0000;

/** A piece of a file in memory. */
export interface MappedPiece {
  readonly address: number;
  readonly bytes: number;
  readonly path: string;
  /** The whole pages that hold it. */
  readonly pages: { readonly address: number; readonly bytes: number };
  readonly entry: number;
}

/**
 * Pieces of files as memory. They are private: what a program writes to one never reaches the file.
 * Where a file is cut short meanwhile, reading what is gone gives zeros, and `truncated` tells so.
 */
export class MappedFiles {
  readonly #system: System;
  readonly #i32: Int32Array;
  readonly #u64: BigUint64Array;
  readonly #live = new Set<MappedPiece>();
  #liveBytes = 0;
  /** Address of the table of all mapped pieces, and the number of this device in it. */
  readonly table: number;
  readonly owner: number;

  /** Puts up the handler of faults, or joins the one that is there. */
  constructor(system: System, code: CodeMemory) {
    this.#system = system;
    this.table = faultTable(system, code);
    const view = system.koffi.view(this.table, TABLE_BYTES);
    this.#i32 = new Int32Array(view);
    this.#u64 = new BigUint64Array(view);
    this.owner = Atomics.add(this.#i32, FAULTS.owners / 4, 1) + 1;
  }

  get liveBytes(): number {
    return this.#liveBytes;
  }

  /**
   * @throws Error naming the file that cannot be opened or mapped, or ends before the piece does
   */
  map(path: string, offset: number, bytes: number): MappedPiece {
    for (const [name, value] of [
      ['offset', offset],
      ['bytes', bytes],
    ] as const) {
      if (!Number.isSafeInteger(value) || value < 0) {
        throw badArgument('map', name, value, 'an integer >= 0');
      }
    }
    const first = Math.floor(offset / PAGE) * PAGE;
    const length = Math.max(1, offset + bytes - first);
    const entry = this.#take();
    try {
      const start = this.#mapPages(path, first, length, offset + bytes);
      const end = start + Math.ceil(length / PAGE) * PAGE;
      this.#u64[this.#at(entry, FAULT_ENTRY.start) / 8] = BigInt(start);
      this.#u64[this.#at(entry, FAULT_ENTRY.end) / 8] = BigInt(end);
      this.#liveBytes += bytes;
      const pages = { address: start, bytes: end - start };
      const piece = { address: start + (offset - first), bytes, path, pages, entry };
      this.#live.add(piece);
      return piece;
    } catch (error) {
      this.#release(entry);
      throw error;
    }
  }

  #mapPages(path: string, first: number, length: number, end: number): number {
    const { openSync, fstatSync, closeSync } = fs();
    const fd = openSync(path, 'r');
    try {
      const { size } = fstatSync(fd);
      if (size < end) {
        throw new Error(
          `${JSON.stringify(path)} cannot be mapped: it has ${size} bytes; expected at least ${end}`,
        );
      }
      const { PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_NORESERVE } = LINUX;
      const flags = MAP_PRIVATE | MAP_NORESERVE;
      const { libc } = this.#system;
      const start = libc.mmap(0, length, PROT_READ | PROT_WRITE, flags, fd, first);
      if (start < 0) throw systemError(this.#system, `${JSON.stringify(path)} cannot be mapped`);
      return start;
    } finally {
      closeSync(fd);
    }
  }

  unmap(piece: MappedPiece): void {
    const { pages, bytes, entry } = piece;
    this.#live.delete(piece);
    // First the entry: a fault at an address that is used anew is none of ours.
    this.#u64[this.#at(entry, FAULT_ENTRY.end) / 8] = 0n;
    this.#system.libc.munmap(pages.address, pages.bytes);
    this.#release(entry);
    this.#liveBytes -= bytes;
  }

  /** Unmaps all that is left. */
  dispose(): void {
    for (const piece of this.#live) this.unmap(piece);
  }

  /** Whether its file was cut short and numbers of it were missing when they were used. */
  truncated({ entry }: MappedPiece): boolean {
    return this.#i32[this.#at(entry, FAULT_ENTRY.faulted) / 4] !== 0;
  }

  #at(entry: number, field: number): number {
    return FAULTS.entries + entry * FAULT_ENTRY.bytes + field;
  }

  /** A free entry; other threads of JavaScript may be looking for one at the same time. */
  #take(): number {
    for (let entry = 0; entry < MOST; entry++) {
      const owner = this.#at(entry, FAULT_ENTRY.owner) / 4;
      if (Atomics.compareExchange(this.#i32, owner, 0, this.owner) !== 0) continue;
      this.#i32[this.#at(entry, FAULT_ENTRY.faulted) / 4] = 0;
      const used = FAULTS.used / 4;
      for (let known = this.#i32[used]; known <= entry; ) {
        known = Atomics.compareExchange(this.#i32, used, known, entry + 1);
      }
      return entry;
    }
    throw new RangeError(
      `map: ${MOST} pieces of files are mapped already; expected fewer: dispose of tensors`,
    );
  }

  #release(entry: number): void {
    this.#u64[this.#at(entry, FAULT_ENTRY.start) / 8] = 0n;
    this.#u64[this.#at(entry, FAULT_ENTRY.end) / 8] = 0n;
    Atomics.store(this.#i32, this.#at(entry, FAULT_ENTRY.owner) / 4, 0);
  }
}

export function truncatedError({ path }: MappedPiece): Error {
  return new Error(
    `${JSON.stringify(path)} was truncated while mapped: numbers of it are missing, and what was ` +
      'computed from them is void. Write a new file and rename it into place instead of changing one ' +
      'that is in use; then load it again',
  );
}

/** The table of the process's handler; puts the handler up where there is none of ours. */
function faultTable(system: System, code: CodeMemory): number {
  const { libc } = system;
  const action = mapPages(system, PAGE);
  try {
    const words = new BigUint64Array(ACTION.bytes / 8);
    if (libc.sigaction(LINUX.SIGBUS, 0, action) < 0) throw systemError(system, 'handler of SIGBUS');
    libc.copyOut(words, action, ACTION.bytes);
    const previous = Number(words[ACTION.handler / 8]);
    // 0 and 1 are not addresses: the default, and no action at all.
    if (previous > PAGE) {
      const head = new Uint8Array(HANDLER_HEAD);
      libc.copyOut(head, previous, HANDLER_HEAD);
      const shared = tableOfHandler(head);
      if (shared !== undefined) return shared;
    }
    // Table and handler stay for good: the process may fault until its end.
    const table = mapPages(system, TABLE_BYTES);
    const handler = code.install(faultHandler(table, previous > PAGE ? previous : 0));
    words.fill(0n);
    words[ACTION.handler / 8] = BigInt(handler);
    words[ACTION.flags / 8] = BigInt(SA_SIGINFO | SA_RESTART | SA_ONSTACK);
    libc.copyIn(action, words, ACTION.bytes);
    if (libc.sigaction(LINUX.SIGBUS, action, 0) < 0) throw systemError(system, 'handler of SIGBUS');
    return table;
  } finally {
    libc.munmap(action, PAGE);
  }
}
