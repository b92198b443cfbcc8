import { DTYPES } from '../../ir/dtype.ts';
import type { Buffer, Kernel } from '../../ir/kernel/types.ts';
import { alignUp, type Place } from '../../ir/program.ts';

/** A buffer that lives in the arena from one step to another (both inclusive). */
export interface Lifetime {
  readonly bytes: number;
  readonly from: number;
  readonly to: number;
}

/**
 * Places buffers in one arena so that those alive at the same time do not overlap: the largest
 * first, each at the lowest free place.
 *
 * @returns the byte offset of each buffer and the size of the arena
 */
export function planArena(lifetimes: readonly Lifetime[]): { offsets: number[]; bytes: number } {
  const offsets = new Array<number>(lifetimes.length).fill(0);
  const order = lifetimes.map((_, i) => i).sort((a, b) => lifetimes[b].bytes - lifetimes[a].bytes);
  const placed: number[] = [];
  let total = 0;
  for (const i of order) {
    const { bytes, from, to } = lifetimes[i];
    const size = alignUp(bytes);
    const neighbours = placed
      .filter((j) => lifetimes[j].from <= to && from <= lifetimes[j].to)
      .sort((a, b) => offsets[a] - offsets[b]);
    let offset = 0;
    for (const j of neighbours) {
      if (offsets[j] - offset >= size) break;
      offset = Math.max(offset, offsets[j] + alignUp(lifetimes[j].bytes));
    }
    offsets[i] = offset;
    placed.push(i);
    total = Math.max(total, offset + size);
  }
  return { offsets, bytes: total };
}

/** Bytes of scratch that a kernel asks for. */
export function localBytes({ size, dtype }: Buffer): number {
  return size * DTYPES[dtype].bytes;
}

/** A kernel's locals one after the other in the arena of the thread that runs it. */
export function placeLocals({ locals }: Kernel): { places: Place[]; bytes: number } {
  let bytes = 0;
  const places = locals.map((local): Place => {
    const offset = bytes;
    bytes += alignUp(localBytes(local));
    return { kind: 'local', offset };
  });
  return { places, bytes };
}
