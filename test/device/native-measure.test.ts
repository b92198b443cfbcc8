import { describe, expect, it } from 'vitest';
import { makeNativeProbes, measureNative } from '../../src/device/measure/index.ts';
import {
  arithmeticLoop,
  copyLoop,
  NATIVE_GRAIN,
  readLoop,
  tileLoop,
} from '../../src/device/measure/native-loops.ts';
import { unsupported } from './native-code.ts';

describe.skipIf(unsupported !== undefined)('limits of device native', () => {
  it('are measured on one thread and on two', () => {
    for (const threads of [1, 2]) {
      const found = measureNative(threads, { repeats: 1, warmSeconds: 0, bytes: 2 ** 20 });
      expect(found).toMatchObject({
        threads,
        peakF32: { unit: 'GFLOP/s' },
        read: { unit: 'GB/s' },
      });
      // A million multiply-adds a second are below any processor that has the instructions.
      expect(found.peakF32.median).toBeGreaterThan(0.01);
      for (const { median } of [found.read, found.copy]) expect(median).toBeGreaterThan(0.01);
    }
  });

  it('are sampled again and again, by another clock, too', () => {
    const probes = makeNativeProbes(2, { isa: 'avx2', warmSeconds: 0, bytes: 2 ** 20 });
    let now = 0;
    // A clock that says 50 ms a look: the sample ends at its second.
    expect(probes.read.sample(() => (now += 50))).toBeGreaterThan(0);
    expect(now).toBe(150);
    expect(probes.isa).toBe('avx2');
    expect(probes.peakBf16).toBeUndefined();
    probes.close();
  });

  it('count what a turn does', () => {
    // Chains, rounds, lanes, multiplication and addition.
    expect(arithmeticLoop('fma', 512).operations).toBe(24 * 4 * 16 * 2);
    expect(arithmeticLoop('fma', 256).operations).toBe(12 * 4 * 8 * 2);
    expect(arithmeticLoop('bf16', 512).operations).toBe(24 * 4 * 16 * 2 * 2);
    expect(tileLoop().operations).toBe(4 * 4 * 16 * 16 * 32 * 2);
    expect(arithmeticLoop('int8', 256).operations).toBe(12 * 4 * 8 * 4 * 2);
  });

  it('are of loops that read and copy every byte of a part, and no other', async () => {
    const { runtime } = await import('./native-runtime.ts');
    const { system, code } = runtime;
    const { mapPages } = await import('../../src/device/native/system.ts');
    const part = 4 * NATIVE_GRAIN;
    const memory = mapPages(system, 3 * part);
    const table = mapPages(system, 4096);
    const content = Uint8Array.from({ length: 3 * part }, (_, i) => (i % 255) + 1);
    const after = new Uint8Array(3 * part);
    for (const [make, bits] of [
      [copyLoop, 256],
      [readLoop, 256],
    ] as const) {
      const address = code.install(make(bits).bytes);
      system.libc.copyIn(memory, content, content.length);
      system.libc.copyIn(table, new BigUint64Array([BigInt(memory), BigInt(part)]), 16);
      runtime.runAt(address)(table, 1, 2, 0, 0);
      system.libc.copyOut(after, memory, after.length);
      const expected = content.slice();
      if (make === copyLoop) expected.copyWithin(part + part / 2, part, part + part / 2);
      expect(after).toEqual(expected);
      code.remove(address);
    }
    for (const address of [memory, table]) system.libc.munmap(address, 4096);
  });
});
