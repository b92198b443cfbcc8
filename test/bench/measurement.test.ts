import { describe, expect, test } from 'vitest';
import { measured, measurement, withMore } from '../../src/bench/measurement.ts';

const LABELS = { bench: 'gemm', case: 'f32 2x2x2', device: 'wasm', threads: 1, unit: 'GFLOP/s' };
const toRate = (seconds: number) => 1 / seconds;

describe('a measurement', () => {
  test('has the median, the minimum, the limit and the peers of its race', () => {
    const seconds = new Map([
      ['tersor', [0.02, 0.025, 0.05]],
      ['limit', [0.01, 0.01, 0.01]],
      ['openblas', [0.0125, 0.0125, 0.02]],
    ]);
    const result = measurement(LABELS, seconds, toRate);
    expect(JSON.stringify(result)).toBe(
      '{"bench":"gemm","case":"f32 2x2x2","device":"wasm","threads":1,"value":40,"min":20,' +
        '"unit":"GFLOP/s","limit":100,"ofLimit":0.4,"peers":{"openblas":80}}',
    );
  });

  test('leaves out limit and peers that took no part', () => {
    const result = measurement(LABELS, new Map([['tersor', [0.5]]]), toRate);
    expect(Object.keys(result)).toEqual(
      'bench case device threads value min unit peers'.split(' '),
    );
    expect(result.peers).toEqual({});
  });

  test('without its subject is refused', () => {
    expect(() => measurement(LABELS, new Map([['openblas', [1]]]), toRate)).toThrow('tersor');
  });

  test('of given values has the smallest as its minimum', () => {
    const labels = { ...LABELS, unit: 'ms' };
    expect(measured(labels, [30, 10, 20], 40)).toMatchObject({ value: 20, min: 10, ofLimit: 0.5 });
    expect(measured(labels, [1])).not.toHaveProperty('limit');
  });

  test('may have more that was found, with three digits', () => {
    const result = withMore(measured({ ...LABELS, unit: 'ms' }, [2]), { growth: 1.23456 });
    expect(JSON.stringify(result)).toContain('"peers":{},"more":{"growth":1.23}}');
  });

  test('has three digits', () => {
    expect(measured(LABELS, [1234.567]).value).toBe(1235);
    expect(measured(LABELS, [12.3456]).value).toBe(12.3);
    expect(measured(LABELS, [0.00123456]).value).toBe(0.00123);
    expect(measured(LABELS, [0]).value).toBe(0);
  });
});
