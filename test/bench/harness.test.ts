import { describe, expect, test } from 'vitest';
import { THREAD, WALL } from '../../src/bench/clock.ts';
import { limiting, median, race, repeating } from '../../src/bench/harness.ts';

const FAST = { warmSeconds: 0.001, sampleSeconds: 0.001, rounds: 3, clock: WALL };

describe('the median', () => {
  test('is the middle value', () => {
    expect(median([3])).toBe(3);
    expect(median([9, 1, 5])).toBe(5);
  });

  test('lies between the two middle values of an even number', () => {
    expect(median([10, 1, 2, 4])).toBe(3);
  });

  test('leaves the values in their order and sorts them as numbers', () => {
    const values = [10, 9, 100];
    expect(median(values)).toBe(10);
    expect(values).toEqual([10, 9, 100]);
  });

  test('of nothing is refused', () => {
    expect(() => median([])).toThrow('expected at least one');
  });
});

describe('a race', () => {
  /** Pretends to take some seconds for each run, and tells when it ran. */
  const pretending = (name: string, seconds: number, log: string[]) => ({
    name,
    run: (count: number) => {
      log.push(name);
      return seconds * count;
    },
  });

  test('gives the seconds of one run in each round', async () => {
    const times = await race([pretending('slow', 0.5, []), pretending('quick', 1e-5, [])], FAST);
    expect([...times.keys()]).toEqual(['slow', 'quick']);
    expect(times.get('slow')).toEqual([0.5, 0.5, 0.5]);
    for (const seconds of times.get('quick') ?? []) expect(seconds).toBeCloseTo(1e-5, 10);
    expect(times.get('quick')).toHaveLength(3);
  });

  test('lets the contestants run in turns', async () => {
    const log: string[] = [];
    await race([pretending('a', 1, log), pretending('b', 1, log)], FAST);
    expect(log.slice(-6).join('')).toBe('ababab');
  });

  test('repeats what is short until a sample is long enough', async () => {
    const counts: number[] = [];
    const run = (count: number) => {
      counts.push(count);
      return count * 1e-6;
    };
    await race([{ name: 'short', run }], FAST);
    for (const count of counts.slice(-3)) expect(count).toBe(1000);
  });

  test('warms before it counts', async () => {
    const start = performance.now();
    await race([pretending('a', 1, [])], { ...FAST, warmSeconds: 0.05 });
    expect(performance.now() - start).toBeGreaterThanOrEqual(50);
  });
});

describe('a contestant', () => {
  test('repeats a function and waits for its promises', async () => {
    let calls = 0;
    const once = () => new Promise<void>((resolve) => setTimeout(resolve, 2, calls++));
    const seconds = await repeating('sleep', once).run(3, WALL);
    expect(calls).toBe(3);
    expect(seconds).toBeGreaterThan(0.004);
  });

  test('may be a limit of the machine', () => {
    const probe = { unit: 'GFLOP/s' as const, sample: () => 50 };
    expect(limiting('limit', probe, 1e9).run(2, WALL)).toBeCloseTo(0.04, 12);
  });
});

describe('the clock of the thread', () => {
  test('stands while the thread sleeps and goes while it works', async () => {
    const start = THREAD.now();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const slept = THREAD.now() - start;
    expect(slept).toBeLessThan(50);
    const end = performance.now() + 200;
    while (performance.now() < end);
    expect(THREAD.now() - start).toBeGreaterThan(slept);
  });
});
