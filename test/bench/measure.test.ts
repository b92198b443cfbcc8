import { describe, expect, test } from 'vitest';
import { wasmFeatures } from '../../src/asm/index.ts';
import { makeProbes, makeThreadProbes, measureMachine } from '../../src/device/measure/index.ts';
import { GRAIN, makeLoops } from '../../src/device/measure/loops.ts';

const QUICK = { bytes: 2 ** 16, repeats: 3, warmSeconds: 0.001 };

describe('the measuring loops', () => {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const floats = new Float32Array(memory.buffer);

  test('read every float once', async () => {
    const { read } = await makeLoops(memory, false);
    const bytes = 5 * GRAIN;
    const sums = [0, 0, 0, 0];
    floats.forEach((_, i) => {
      floats[i] = i % 17;
      if (i * 4 >= 2 * GRAIN && i * 4 < 2 * GRAIN + bytes) sums[i % 4] += i % 17;
    });
    // The result is the first lane of the sums.
    expect(read(2 * GRAIN, bytes)).toBe(sums[0]);
  });

  test('copy an array and nothing beyond', async () => {
    const { copy } = await makeLoops(memory, false);
    floats.forEach((_, i) => {
      floats[i] = i;
    });
    const [from, to, size] = [0, 1024, 96];
    copy(from * 4, to * 4, size * 4);
    expect([...floats.subarray(to, to + size)]).toEqual([...floats.subarray(from, from + size)]);
    expect(floats[to - 1]).toBe(to - 1);
    expect(floats[to + size]).toBe(to + size);
  });

  test.each([false, true])('multiply and add (relaxed SIMD: %s)', async (relaxed) => {
    if (relaxed && !wasmFeatures().relaxedSimd) return;
    const { multiplyAdd } = await makeLoops(memory, relaxed);
    // Each of 12 chains goes to the fixed point of x / 2 + 1 / 4.
    expect(multiplyAdd(100)).toBeCloseTo(12 * 0.5, 5);
  });
});

describe('the machine', () => {
  test('is measured in named units', async () => {
    const machine = await measureMachine(QUICK);
    expect(machine.peakF32.unit).toBe('GFLOP/s');
    expect(machine.read.unit).toBe('GB/s');
    expect(machine.copy.unit).toBe('GB/s');
    for (const rate of [machine.peakF32, machine.read, machine.copy]) {
      expect(rate.median).toBeGreaterThan(0);
      expect(rate.best).toBeGreaterThanOrEqual(rate.median);
    }
  });

  test('can be measured without relaxed SIMD', async () => {
    expect((await makeProbes({ ...QUICK, relaxedSimd: false })).relaxedSimd).toBe(false);
  });

  test('is measured on several threads at once', async () => {
    const alone = await makeThreadProbes(1, QUICK);
    const both = await makeThreadProbes(2, QUICK);
    const [one, two] = [alone.peakF32.sample(), both.peakF32.sample()];
    // What the two reach together depends on what else runs; each of them adds something.
    expect(two).toBeGreaterThan(one * 0.3);
    for (const probe of [both.peakF32, both.read, both.copy]) {
      expect(probe.sample()).toBeGreaterThan(0);
      expect(probe.sample()).toBeGreaterThan(0);
    }
    expect(both.read.unit).toBe('GB/s');
    both.close();
    alone.close();
  });
});
