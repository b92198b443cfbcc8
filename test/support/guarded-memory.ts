import { LINUX, PAGE } from '../../src/device/native/libc.ts';
import { pagesOf, type System, systemError } from '../../src/device/native/system.ts';

/** Where a piece of memory lies between its two guards. */
export type Edge =
  /** The byte behind its last one cannot be accessed. */
  | 'end'
  /** The byte before its first one cannot be accessed. */
  | 'start';

/** What the rest of the pages holds: a write outside changes it. */
const CANARY = 0xc3;
const CANARIES = new Uint8Array(PAGE).fill(CANARY);

interface Slot {
  readonly start: number;
  readonly bytes: number;
  readonly view: Uint8Array;
}

export interface GuardedPiece {
  readonly slot: Slot;
  readonly offset: number;
  readonly bytes: number;
  readonly address: number;
}

/** Pieces of memory, each in pages of its own between two that cannot be accessed. */
export class GuardedMemory {
  readonly #system: System;
  /** Slots that nobody uses, by their bytes. */
  readonly #free = new Map<number, Slot[]>();

  constructor(system: System) {
    this.#system = system;
  }

  /** @param bytes a multiple of the alignment that its elements have at `end` */
  take(bytes: number, edge: Edge): GuardedPiece {
    const whole = Math.max(PAGE, pagesOf(bytes));
    const slot = this.#free.get(whole)?.pop() ?? this.#map(whole);
    const offset = edge === 'start' ? 0 : whole - bytes;
    slot.view.fill(CANARY, 0, offset);
    slot.view.fill(CANARY, offset + bytes);
    return { slot, offset, bytes, address: slot.start + offset };
  }

  /** The content of a piece. */
  bytesOf({ slot, offset, bytes }: GuardedPiece): Uint8Array {
    return slot.view.subarray(offset, offset + bytes);
  }

  /** @throws Error where something was written outside the piece */
  give(piece: GuardedPiece): void {
    const { slot, offset, bytes } = piece;
    const strange = (from: number, to: number) => {
      const around = slot.view.subarray(from, to);
      if (Buffer.compare(around, CANARIES.subarray(0, to - from)) === 0) return;
      const at = around.findIndex((byte) => byte !== CANARY);
      throw new Error(`byte ${from + at - offset} of a piece of ${bytes} was written`);
    };
    strange(0, offset);
    strange(offset + bytes, slot.bytes);
    const same = this.#free.get(slot.bytes);
    if (same) same.push(slot);
    else this.#free.set(slot.bytes, [slot]);
  }

  #map(bytes: number): Slot {
    const { libc, koffi } = this.#system;
    const { PROT_NONE, PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS } = LINUX;
    const flags = MAP_PRIVATE | MAP_ANONYMOUS;
    const address = libc.mmap(0, bytes + 2 * PAGE, PROT_NONE, flags, -1, 0);
    const start = address + PAGE;
    if (address < 0 || libc.mprotect(start, bytes, PROT_READ | PROT_WRITE) < 0) {
      throw systemError(this.#system, `${bytes} bytes between guards`);
    }
    return { start, bytes, view: new Uint8Array(koffi.view(start, bytes)) };
  }
}
