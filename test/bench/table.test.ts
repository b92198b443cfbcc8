import { describe, expect, test } from 'vitest';
import { withResults } from '../../src/bench/docs.ts';
import type { Measurement } from '../../src/bench/measurement.ts';
import { markdownTable, textTable } from '../../src/bench/table.ts';

const RESULTS: readonly Measurement[] = [
  {
    bench: 'gemm',
    case: 'f32 8x8x8',
    device: 'wasm',
    threads: 1,
    value: 55.1,
    min: 54,
    unit: 'GFLOP/s',
    limit: 58,
    ofLimit: 0.95,
    peers: { a: 9, b: 7 },
  },
  {
    bench: 'compile',
    case: 'emit',
    device: 'wasm',
    threads: 1,
    value: 8,
    min: 7.5,
    unit: 'ms',
    peers: {},
  },
];

describe('the table', () => {
  test('aligns words at the left and numbers at the right', () => {
    const lines = [
      'bench    case       device  threads  value  min  unit     limit  of limit  peers',
      'gemm     f32 8x8x8  wasm          1   55.1   54  GFLOP/s     58      95 %  a 9, b 7',
      'compile  emit       wasm          1      8  7.5  ms',
    ];
    expect(textTable(RESULTS)).toBe(lines.map((line) => `${line}\n`).join(''));
  });

  test('is a table in Markdown', () => {
    const [head, rule, first, ...rest] = markdownTable(RESULTS).trimEnd().split('\n');
    expect(head).toBe(
      '| bench | case | device | threads | value | min | unit | limit | of limit | peers |',
    );
    expect(rule).toBe('| --- | --- | --- | ---: | ---: | ---: | --- | ---: | ---: | --- |');
    expect(first).toContain('| 55.1 | 54 | GFLOP/s | 58 | 95 % | a 9, b 7 |');
    expect(rest).toHaveLength(1);
  });

  test('has a last column where more was found', () => {
    const [, second] = RESULTS;
    const lines = textTable([RESULTS[0], { ...second, more: { growth: 2, 'extra MiB': 3 } }]);
    expect(lines).toMatch(/^bench .*peers +more\n/);
    expect(lines).toMatch(/ms +growth 2, extra MiB 3\n$/);
    expect(markdownTable([{ ...second, more: { growth: 2 } }])).toContain(
      '| ms |  |  |  | growth 2 |',
    );
  });

  test('of nothing is its head', () => {
    expect(textTable([])).toMatch(/^bench .*peers\n$/);
  });
});

describe('the results in the document', () => {
  const start = '<!-- results: written by npm run bench -- all --write-docs -->';
  const end = '<!-- end of results -->';

  test('are replaced, a table for each bench, and the rest stays', () => {
    const text = withResults(`before\n${start}\nold\n${end}\nafter\n`, RESULTS, 'Some machine.');
    expect(text).toMatch(/^before\n<!-- results/);
    expect(text).toMatch(/\n\n<!-- end of results -->\nafter\n$/);
    expect(text).not.toContain('old');
    expect(text).toContain('Some machine.\n\n### gemm\n\n| bench');
    expect(text).toContain('### compile\n\n| bench');
    expect(withResults(text, RESULTS, 'Some machine.')).toBe(text);
  });

  test('need their marks', () => {
    expect(() => withResults('nothing', RESULTS)).toThrow('the document has no');
  });
});
