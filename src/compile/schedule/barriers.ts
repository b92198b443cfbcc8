import { DTYPES } from '../../ir/dtype.ts';
import type { Kernel } from '../../ir/kernel/types.ts';
import type { Place } from '../../ir/program.ts';

/** Bytes `from` to `to` (exclusive) of one piece of memory. */
interface Span {
  readonly memory: string;
  readonly from: number;
  readonly to: number;
}

/** What a step reads and writes of the memory that threads share. */
export interface Accesses {
  readonly reads: readonly Span[];
  readonly writes: readonly Span[];
  /** The step may find an index out of range: threads agree on that before they go on. */
  readonly fails: boolean;
}

/** @param reuse for each output the number of the input in whose memory it may lie */
export function accessesOf(
  kernel: Kernel,
  places: readonly Place[],
  reuse: readonly (number | undefined)[],
): Accesses {
  const reads: Span[] = [];
  const writes: Span[] = [];
  [...kernel.buffers, ...kernel.locals].forEach((buffer, i) => {
    // A thread's own arena is read and written by nobody else.
    const place = places[i];
    if (place.kind === 'local') return;
    const bytes = buffer.size * DTYPES[buffer.dtype].bytes;
    const span = spanOf(place, bytes, reuse);
    (buffer.role === 'in' ? reads : writes).push(span);
  });
  return { reads, writes, fails: kernel.checks.length > 0 };
}

function spanOf(
  place: Exclude<Place, { kind: 'local' }>,
  bytes: number,
  reuse: readonly (number | undefined)[],
): Span {
  if (place.kind === 'scratch') {
    return { memory: 'scratch', from: place.offset, to: place.offset + bytes };
  }
  const input = place.kind === 'output' ? reuse[place.index] : place.index;
  const memory = input === undefined ? `output ${place.index}` : `input ${input}`;
  return { memory, from: 0, to: bytes };
}

/** Which steps must wait until all threads have finished those before them. */
export function findBarriers(steps: readonly Accesses[]): boolean[] {
  let open: Accesses[] = [];
  /** Since the last barrier threads have met after a step that may fail, and look at its outcome. */
  let unread = false;
  return steps.map((step) => {
    const depends = open.some(
      (earlier) =>
        meet(earlier.writes, step.reads) ||
        meet(earlier.writes, step.writes) ||
        meet(earlier.reads, step.writes),
    );
    // The next step that may fail must not change the outcome that others still look at.
    const waits = depends || (unread && step.fails);
    if (waits) unread = false;
    if (waits || step.fails) open = [];
    // Threads meet after a step that may fail.
    if (step.fails) unread = true;
    else open.push(step);
    return waits;
  });
}

function meet(some: readonly Span[], others: readonly Span[]): boolean {
  return some.some((a) =>
    others.some((b) => a.memory === b.memory && a.from < b.to && b.from < a.to),
  );
}
