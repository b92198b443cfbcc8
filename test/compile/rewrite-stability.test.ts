import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rewriteGraph } from '../../src/compile/rewrite/index.ts';
import { stability } from '../../src/compile/rewrite/stability.ts';
import { device } from '../../src/device/index.ts';
import * as g from '../../src/ir/graph/build.ts';
import { printExpression } from '../../src/ir/graph/print.ts';
import type { Node } from '../../src/ir/graph/types.ts';
import { runGraph } from '../support/run-graph.ts';
import { interpreted, SPECIAL } from '../support/typed-graph.ts';

const EPSILON = 2 ** -24;
const COLUMNS = 5;
const x = g.bufferNode('f32', [1, COLUMNS], 'x');
const like = (value: number) => g.constLike(x, value);
const un = g.unary;
const bin = g.binary;

const top = g.reduce('max', x, [1]);
const shifted = bin('sub', x, g.expand(top, x.shape));
const terms = un('exp', shifted);
const softmax = bin('div', terms, g.expand(g.reduce('sum', terms, [1]), x.shape));

const most = (row: readonly number[]) => Math.max(...row);
/** What is taken from each of a row before its exponential, and the logarithm of the sum then. */
function logSum(row: readonly number[]): { m: number; log: number } {
  const m = Number.isFinite(most(row)) ? most(row) : 0;
  return { m, log: Math.log(row.reduce((sum, v) => sum + Math.exp(v - m), 0)) };
}
const logOnePlusExp = (v: number) => Math.log1p(Math.exp(-Math.abs(v))) + Math.max(v, 0);

interface Case {
  readonly node: Node;
  /** The formula in doubles, without loss. */
  readonly exact: (v: number, row: readonly number[]) => number;
  /** What rounding may be measured by: the largest number that is added up. */
  readonly scale?: (v: number, row: readonly number[]) => number;
}

const CASES: readonly Case[] = [
  { node: un('log', bin('add', x, like(1))), exact: Math.log1p },
  { node: un('log', bin('add', like(1), x)), exact: Math.log1p },
  { node: un('log', bin('sub', like(1), x)), exact: (v) => Math.log1p(-v) },
  { node: bin('sub', un('exp', x), like(1)), exact: Math.expm1 },
  { node: bin('add', un('exp', x), like(-1)), exact: Math.expm1 },
  { node: bin('add', like(-1), un('exp', x)), exact: Math.expm1 },
  { node: un('log', un('sigmoid', x)), exact: (v) => -logOnePlusExp(-v) },
  {
    node: un('log', softmax),
    // Differences from an infinite maximum are NaN, with or without the rewrite.
    exact: (v, row) => {
      const { m, log } = logSum(row);
      return Number.isFinite(most(row)) ? v - m - log : Number.NaN;
    },
    // The sum is rounded where it is 1 and more.
    scale: (v, row) => Math.abs(v - most(row)) + 1,
  },
  {
    node: un('log', g.reduce('sum', un('exp', x), [1])),
    exact: (_v, row) => logSum(row).log + logSum(row).m,
    scale: (_v, row) => Math.abs(most(row)) + 1,
  },
];
const named = CASES.map((item) => [printExpression(item.node), item] as const);

const anyFloat = fc.oneof(
  fc.float({ noDefaultInfinity: true, noNaN: true, min: -200, max: 200 }),
  fc.float({ noNaN: true, min: Math.fround(-1e-3), max: Math.fround(1e-3) }),
  fc.constantFrom(...SPECIAL.map(Math.fround)),
);
const anyRow = fc.array(anyFloat, { minLength: COLUMNS, maxLength: COLUMNS });

describe('the stable formulas', () => {
  test.each(named)('%s is closer to what it means', (_text, { node, exact, scale }) => {
    const [after] = rewriteGraph([node], [stability]);
    expect(after).not.toBe(node);
    fc.assert(
      fc.property(anyRow, (row) => {
        const [old, now] = interpreted([node, after], [x], [Float64Array.from(row)]);
        for (const [i, value] of now.data.entries()) {
          const right = exact(row[i], row);
          // In the type the result may be infinite where the formula is only large.
          const rounded = Math.fround(right);
          if (!Number.isFinite(rounded)) {
            expect(value).toBe(rounded);
            continue;
          }
          const unit = Math.max(Math.abs(right), scale?.(row[i], row) ?? 0, 2 ** -126);
          expect(Math.abs(value - right)).toBeLessThanOrEqual(8 * EPSILON * unit);
          const before = Math.abs(old.data[i] - right);
          expect(Math.abs(value - right)).toBeLessThanOrEqual(before + 4 * EPSILON * unit);
        }
      }),
      { numRuns: 200 },
    );
  });

  test.each(named)('%s keeps its digits compiled', async (_text, { node, exact, scale }) => {
    const row = [1e-6, -80, 0.5, 1e-9, -0.3];
    const [values] = await runGraph(device('wasm'), [node], [x], [Float32Array.from(row)]);
    const rounded = row.map(Math.fround);
    for (const [i, value] of values.entries()) {
      const right = exact(rounded[i], rounded);
      if (Number.isNaN(right)) {
        expect(value).toBeNaN();
        continue;
      }
      const unit = Math.max(Math.abs(right), scale?.(rounded[i], rounded) ?? 0);
      expect(Math.abs(value - right)).toBeLessThanOrEqual(8 * EPSILON * unit);
    }
  });

  test.each(
    [
      un('log', bin('add', x, like(2))),
      un('log', bin('sub', x, like(1))),
      bin('sub', like(1), un('exp', x)),
      un('log', bin('div', terms, g.expand(g.reduce('sum', x, [1]), x.shape))),
      un('log', g.reduce('sum', terms, [1])),
      un('log', g.reduce('max', un('exp', x), [1])),
      un('log', un('tanh', x)),
    ].map((node) => [printExpression(node), node] as const),
  )('%s stays', (_text, node) => {
    expect(rewriteGraph([node], [stability])[0]).toBe(node);
  });
});
