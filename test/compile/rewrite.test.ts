import { describe, expect, it, vi } from 'vitest';
import { commonSubexpressions } from '../../src/compile/rewrite/common-subexpressions.ts';
import { constantFolding } from '../../src/compile/rewrite/constant-folding.ts';
import { constantValue } from '../../src/compile/rewrite/constants.ts';
import { identities } from '../../src/compile/rewrite/identities.ts';
import { PASSES, rewriteGraph } from '../../src/compile/rewrite/index.ts';
import type { Pass } from '../../src/compile/rewrite/pass.ts';
import { powerOfTwoDivision } from '../../src/compile/rewrite/powers-of-two.ts';
import { transposedProducts } from '../../src/compile/rewrite/transposed-products.ts';
import * as g from '../../src/ir/graph/build.ts';
import { topological } from '../../src/ir/graph/traverse.ts';
import type { Node } from '../../src/ir/graph/types.ts';

const x = g.bufferNode('f32', [2, 3], 'x');
const apply = (pass: Pass, node: Node): Node => rewriteGraph([node], [pass])[0];
const like = (value: number) => g.constLike(x, value);

describe('rewrites', () => {
  it('constant folding computes with the arithmetic of the type', () => {
    const third = g.binary('div', like(1), like(3));
    expect(constantValue(apply(constantFolding, third))).toBe(Math.fround(1 / 3));
    const wrapped = g.binary('add', g.full(2 ** 31 - 1, [2], 'i32'), g.full(1, [2], 'i32'));
    expect(constantValue(apply(constantFolding, wrapped))).toBe(-(2 ** 31));
    expect(apply(constantFolding, g.binary('add', x, like(1))).op).toBe('binary');
  });

  it('identities keep every value, also -0 and NaN', () => {
    expect(apply(identities, g.binary('mul', x, like(1)))).toBe(x);
    expect(apply(identities, g.binary('mul', like(1), x))).toBe(x);
    expect(apply(identities, g.binary('div', x, like(1)))).toBe(x);
    expect(apply(identities, g.binary('sub', x, like(0)))).toBe(x);
    expect(apply(identities, g.binary('add', x, like(-0)))).toBe(x);
    expect(apply(identities, g.unary('neg', g.unary('neg', x)))).toBe(x);
    // -0 + 0 is 0, and 0 times NaN is NaN: neither may go.
    expect(apply(identities, g.binary('add', x, like(0))).op).toBe('binary');
    expect(apply(identities, g.binary('mul', x, like(0))).op).toBe('binary');
  });

  it('division by a power of two becomes a product, others stay', () => {
    const half = apply(powerOfTwoDivision, g.binary('div', x, like(4)));
    expect(half.op === 'binary' && half.arg.fn).toBe('mul');
    const third = apply(powerOfTwoDivision, g.binary('div', x, like(3)));
    expect(third.op === 'binary' && third.arg.fn).toBe('div');
  });

  it('a transposed product is the product of the transposed operands', () => {
    const w = g.bufferNode('f32', [3, 5], 'w');
    const turned = g.permute(g.dot(x, w, 0, 1), [1, 0]);
    const result = apply(transposedProducts, turned);
    expect(result.op).toBe('dot');
    expect(result.shape).toEqual([5, 2]);
  });

  it('equal expressions become one', () => {
    const [a, b] = rewriteGraph(
      [g.unary('exp', g.binary('add', x, like(2))), g.unary('exp', g.binary('add', x, like(2)))],
      [commonSubexpressions],
    );
    expect(a).toBe(b);
    const [zero, minus] = rewriteGraph([like(0), like(-0)], [commonSubexpressions]);
    expect(zero).not.toBe(minus);
  });

  it('TERSOR_DEBUG=3 tells of each pass that changed something what it changed', () => {
    vi.stubEnv('TERSOR_DEBUG', '3');
    const told: string[] = [];
    vi.spyOn(console, 'error').mockImplementation((text: string) => void told.push(text));
    const sum = g.binary('add', g.unary('neg', g.unary('neg', x)), like(1));
    rewriteGraph([g.unary('log', sum), g.unary('tanh', sum)]);
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
    expect(told.map((text) => text.split('\n')[0])).toEqual([
      'graph',
      'identities: 1 changed',
      'stability: 1 changed',
      'graph after rewriting',
    ]);
    expect(told[1]).toContain('f32[2, 3] neg(neg(x))  ->  f32[2, 3] x');
    expect(told[2]).toContain('f32[2, 3] log(add(x, 1))  ->  f32[2, 3] log1p(x)');
  });

  it('every pass leaves a graph as it is when there is nothing to do', () => {
    const node = g.unary('tanh', x);
    for (const pass of PASSES) expect(topological([apply(pass, node)])).toHaveLength(2);
  });
});
