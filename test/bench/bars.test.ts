import { describe, expect, test } from 'vitest';
import { verdictText, withBars } from '../../src/bench/bars.ts';
import type { Measurement } from '../../src/bench/measurement.ts';
import { markdownTable } from '../../src/bench/table.ts';

const RESULT: Measurement = {
  bench: 'gemm',
  case: 'f32 8x8x8',
  device: 'wasm',
  threads: 2,
  value: 90,
  min: 80,
  unit: 'GFLOP/s',
  limit: 100,
  ofLimit: 0.9,
  peers: { openblas: 90 },
};

describe('bars', () => {
  test('compare a rate with the limit and with peers', () => {
    const { bars } = withBars(RESULT, [
      { of: 'limit', atLeast: 0.92 },
      { of: 'limit', atLeast: 0.9 },
      { of: 'openblas', atLeast: 1 },
    ]);
    expect(bars?.map(({ ratio, met }) => [ratio, met])).toEqual([
      [0.9, false],
      [0.9, true],
      [1, true],
    ]);
  });

  test('compare a time, which must be small', () => {
    const time = { ...RESULT, value: 71, unit: 'ms', peers: { 'llama.cpp': 100 } };
    expect(withBars(time, [{ of: 'llama.cpp', atMost: 0.7 }]).bars).toEqual([
      { of: 'llama.cpp', atMost: 0.7, ratio: 0.71, met: false },
    ]);
    const better = { ...time, value: 70 };
    expect(withBars(better, [{ of: 'llama.cpp', atMost: 0.7 }]).bars?.[0].met).toBe(true);
  });

  test('are neither met nor missed without what they are of', () => {
    const [verdict] = withBars(RESULT, [{ of: 'onnxruntime', atLeast: 1 }]).bars ?? [];
    expect(verdict).toEqual({ of: 'onnxruntime', atLeast: 1 });
    expect(verdictText(verdict)).toBe('bar >= 1x onnxruntime: not measured');
  });

  test('never show a miss as what was asked for', () => {
    const near = { ...RESULT, value: 91.96 };
    const [verdict] = withBars(near, [{ of: 'limit', atLeast: 0.92 }]).bars ?? [];
    expect(verdictText(verdict)).toBe('0.91x limit, bar >= 0.92x: missed');
    const late = { ...RESULT, value: 70.2, peers: { 'llama.cpp': 100 } };
    const [slow] = withBars(late, [{ of: 'llama.cpp', atMost: 0.7 }]).bars ?? [];
    expect(verdictText(slow)).toBe('0.71x llama.cpp, bar <= 0.7x: missed');
  });

  test('have a column in tables', () => {
    const judged = withBars(RESULT, [{ of: 'openblas', atLeast: 1 }]);
    const [head, , row] = markdownTable([judged]).split('\n');
    expect(head).toContain('| peers | bars |');
    expect(row).toContain('| openblas 90 | 1x openblas, bar >= 1x: met |');
    expect(markdownTable([RESULT])).not.toContain('bars');
  });
});
