import { describe, expect, test } from 'vitest';
import { Slots } from '../../src/generate/slots.ts';

const system = Array.from({ length: 20 }, (_, i) => 100 + i);

describe('Slots', () => {
  test('are taken until none is free', () => {
    const slots = new Slots(2);
    expect([slots.take([1]), slots.take([1])].map((t) => t?.slot)).toEqual([0, 1]);
    expect(slots.take([1])).toBeUndefined();
    slots.release(1, []);
    expect(slots.free).toBe(1);
    expect(slots.take([1])).toEqual({ slot: 1, known: 0 });
  });

  test('go to the prompt that begins with what they hold, but for its last token', () => {
    const slots = new Slots(3);
    for (const tail of [7, 8, 9]) {
      const taken = slots.take([...system, tail]);
      expect(taken?.slot).toBe(tail - 7);
    }
    for (const tail of [7, 8, 9]) slots.release(tail - 7, [...system, tail, tail]);
    expect(slots.take([...system, 8, 8, 1, 2])).toEqual({ slot: 1, known: 22 });
    expect(slots.take([...system, 9, 9])).toEqual({ slot: 2, known: 21 });
    expect(slots.take(system)).toEqual({ slot: 0, known: 19 });
  });

  test('else to whom they were free for the longest time', () => {
    const slots = new Slots(2);
    slots.take([1]);
    slots.take([2]);
    slots.release(1, [2, ...system]);
    slots.release(0, [1, ...system]);
    // One token in common is not worth what the slot holds.
    expect(slots.take([1, 2, 3])).toEqual({ slot: 1, known: 0 });
    expect(slots.take([1, ...system, 4])).toEqual({ slot: 0, known: 21 });
  });

  test('for short texts are those that hold next to nothing, and conversations stay', () => {
    const slots = new Slots(4);
    for (const tail of [7, 8, 9]) slots.take([tail, ...system]);
    for (const tail of [7, 8, 9]) slots.release(tail - 7, [tail, ...system]);
    for (let probe = 0; probe < 5; probe++) {
      expect(slots.take([1])?.slot).toBe(3);
      slots.release(3, [1]);
    }
    expect(slots.take([7, ...system, 4])).toEqual({ slot: 0, known: 21 });
  });

  test('forget what they hold', () => {
    const slots = new Slots(1);
    slots.take(system);
    slots.release(0, system);
    slots.forget();
    expect(slots.take(system)).toEqual({ slot: 0, known: 0 });
  });
});
