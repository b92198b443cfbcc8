import { totalmem } from 'node:os';
import { expect, test } from 'vitest';
import {
  GraphInterpreter,
  KernelInterpreter,
  makeNativeDevice,
  WasmDevice,
} from '../../src/device/index.ts';
import { WITHOUT_NATIVE } from '../support/device-names.ts';

test('an interpreter runs on the calling thread, and knows no limit', () => {
  for (const device of [new GraphInterpreter(), new KernelInterpreter()]) {
    expect(device.runsAside).toBe(false);
    expect(device.capacity).toBe(Number.POSITIVE_INFINITY);
  }
});

test('wasm runs aside with several threads, and holds 4 GiB', () => {
  for (const threads of [1, 2]) {
    const device = new WasmDevice({ relaxedSimd: true, threads });
    expect(device.runsAside).toBe(threads > 1);
    expect(device.capacity).toBe(2 ** 32);
  }
});

test.skipIf(WITHOUT_NATIVE !== undefined)('native runs aside, and holds what is free', async () => {
  const device = makeNativeDevice({ threads: 1 });
  expect(device.runsAside).toBe(true);
  expect(device.capacity).toBeGreaterThan(0);
  expect(device.capacity).toBeLessThan(totalmem());
  await device.dispose();
  const small = makeNativeDevice({ threads: 1, maximumBytes: 2 ** 28 });
  expect(small.capacity).toBe(2 ** 28);
  await small.dispose();
});
