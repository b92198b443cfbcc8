import { afterEach, expect, test, vi } from 'vitest';
import {
  amxAllowed,
  bf16Setting,
  breadcrumbFile,
  isaSetting,
  pinning,
  threadCount,
} from '../../src/base/env.ts';

afterEach(() => vi.unstubAllEnvs());

test('TERSOR_ISA is one of three, or nothing', () => {
  vi.stubEnv('TERSOR_ISA', '');
  expect(isaSetting()).toBeUndefined();
  for (const isa of ['avx2', 'avx512', 'none']) {
    vi.stubEnv('TERSOR_ISA', isa);
    expect(isaSetting()).toBe(isa);
  }
  vi.stubEnv('TERSOR_ISA', 'AVX2');
  expect(isaSetting).toThrow('TERSOR_ISA is AVX2; expected avx2, avx512, none or nothing');
});

test('TERSOR_BF16 is one of three, or nothing', () => {
  vi.stubEnv('TERSOR_BF16', '');
  expect(bf16Setting()).toBeUndefined();
  for (const way of ['f32', 'pairs', 'tiles']) {
    vi.stubEnv('TERSOR_BF16', way);
    expect(bf16Setting()).toBe(way);
  }
  vi.stubEnv('TERSOR_BF16', 'amx');
  expect(bf16Setting).toThrow('TERSOR_BF16 is amx; expected f32, pairs, tiles or nothing');
});

test('tiles are allowed unless TERSOR_AMX is 0', () => {
  for (const text of ['', '1']) {
    vi.stubEnv('TERSOR_AMX', text);
    expect(amxAllowed()).toBe(true);
  }
  vi.stubEnv('TERSOR_AMX', '0');
  expect(amxAllowed()).toBe(false);
});

test('threads are a number from 1 on', () => {
  vi.stubEnv('TERSOR_THREADS', '3');
  expect(threadCount()).toBe(3);
  vi.stubEnv('TERSOR_THREADS', '0');
  expect(threadCount).toThrow('TERSOR_THREADS is 0; expected an integer >= 1');
});

test('threads are bound, and a breadcrumb kept, only where it is asked for', () => {
  expect([pinning(), breadcrumbFile()]).toEqual([false, undefined]);
  vi.stubEnv('TERSOR_PIN', '1');
  vi.stubEnv('TERSOR_BREADCRUMB', 'here');
  expect([pinning(), breadcrumbFile()]).toEqual([true, 'here']);
});
