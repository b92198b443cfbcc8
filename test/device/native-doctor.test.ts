import { expect, test } from 'vitest';
import { isaSetting } from '../../src/base/env.ts';
import { nativeLines } from '../../src/cli/commands/doctor.ts';
import { nativeSupport } from '../../src/device/index.ts';
import { decodeFeatures } from '../../src/device/native/cpu.ts';
import { tersor } from '../support/command.ts';

const rate = (median: number, unit: 'GFLOP/s' | 'GOP/s' | 'GB/s') => ({
  unit,
  median,
  best: median,
});
const features = { ...decodeFeatures(new Uint32Array(17)), avx512Vnni: true, avx512Bf16: true };

test('doctor tells what device native has and can do', () => {
  const limits = [1, 2].map((threads) => ({
    isa: 'avx512' as const,
    threads,
    peakF32: rate(150 * threads, 'GFLOP/s'),
    peakBf16: undefined,
    peakInt8: rate(600, 'GOP/s'),
    read: rate(12.25, 'GB/s'),
    copy: rate(20, 'GB/s'),
  }));
  const lines = nativeLines({ available: true, isa: 'avx512', features, threads: 2, limits });
  expect(lines).toEqual([
    ['native', 'AVX-512, AVX512-VNNI, AVX512-BF16; 2 threads'],
    ['', '1 thread at most: f32 150.0 GFLOP/s, int8 600.0 GOP/s, read 12.3 GB/s, copy 20.0 GB/s'],
    ['', '2 threads at most: f32 300.0 GFLOP/s, int8 600.0 GOP/s, read 12.3 GB/s, copy 20.0 GB/s'],
  ]);
});

test('doctor says why device native cannot be had', () => {
  expect(nativeLines({ available: false, reason: 'it needs Linux' })).toEqual([
    ['native', 'not available: it needs Linux'],
  ]);
});

test('doctor measures device native, or gives the reason', async () => {
  const { stdout } = await tersor('doctor', '--json');
  const { native } = JSON.parse(stdout).devices;
  const support = nativeSupport();
  if ('reason' in support) {
    expect(native).toEqual({ available: false, reason: support.reason });
  } else {
    const isa = isaSetting() ?? support.isa;
    expect(native).toMatchObject({ available: true, isa, threads: support.threads });
    expect(native.limits[0].peakF32.median).toBeGreaterThan(1);
    expect(native.limits[0].read.median).toBeGreaterThan(0.1);
  }
});
