import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Heap } from '../../src/device/heap.ts';

describe('heap', () => {
  it('never hands out a byte twice and joins what is freed', () => {
    const action = fc.oneof(
      fc.record({ kind: fc.constant('take' as const), bytes: fc.integer({ min: 0, max: 5000 }) }),
      fc.record({ kind: fc.constant('free' as const), pick: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const heap = new Heap(1000, 65536);
        const held: { offset: number; bytes: number }[] = [];
        for (const a of actions) {
          if (a.kind === 'take') {
            let offset = heap.allocate(a.bytes);
            if (offset === undefined) {
              heap.extend(Math.ceil(heap.shortfall(a.bytes) / 65536) * 65536);
              offset = heap.allocate(a.bytes) as number;
            }
            expect(offset % 64).toBe(0);
            for (const h of held) {
              expect(offset + a.bytes <= h.offset || h.offset + h.bytes <= offset).toBe(true);
            }
            held.push({ offset, bytes: a.bytes });
          } else if (held.length > 0) {
            const [gone] = held.splice(a.pick % held.length, 1);
            heap.free(gone.offset);
          }
        }
        for (const h of held) heap.free(h.offset);
        expect(heap.liveBytes).toBe(0);
        expect(heap.allocate(60000)).toBe(1024);
      }),
    );
  });

  it('refuses to free what it did not give', () => {
    expect(() => new Heap(0, 65536).free(64)).toThrow('nothing is allocated at 64');
  });
});
