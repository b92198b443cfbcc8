import { describe, expect, it } from 'vitest';
import { decideCalls, rewriteGraph } from '../../src/compile/index.ts';
import { batchGraph } from '../../src/ir/graph/batching.ts';
import * as g from '../../src/ir/graph/build.ts';
import { gradientGraph } from '../../src/ir/graph/gradient.ts';
import { interpretGraph } from '../../src/ir/graph/interpret.ts';
import { graphKey, printGraph } from '../../src/ir/graph/print.ts';
import { topological } from '../../src/ir/graph/traverse.ts';
import type { NdArray, Node } from '../../src/ir/graph/types.ts';
import { verifyGraph } from '../../src/ir/graph/verify.ts';
import { numbers } from '../support/run-graph.ts';

/** exp(x) y, with the logarithm of its square saved, as a call of a made-up name. */
function example(x: Node, y: Node, options: { attributes?: number; factor?: number } = {}) {
  const { attributes = 1, factor = 1 } = options;
  const [p, q] = [g.bufferNode(x.dtype, x.shape, 'x'), g.bufferNode(y.dtype, y.shape, 'y')];
  const scaled = g.binary('mul', g.unary('exp', p), g.constLike(p, factor));
  return g.call([x, y], {
    name: 'example',
    parameters: [p, q],
    body: g.binary('mul', scaled, q),
    attributes: { attributes },
    saved: { name: 'example.saved', body: g.binary('add', p, p) },
  });
}

const inputs = () => [g.bufferNode('f64', [2, 3], 'a'), g.bufferNode('f64', [2, 3], 'b')] as const;

function evaluate(outputs: readonly Node[], nodes: readonly g.BufferNode[], data: Float64Array[]) {
  const buffers = new Map<number, NdArray>();
  nodes.forEach((node, i) => {
    buffers.set(node.arg.id, { dtype: 'f64', shape: node.shape as number[], data: data[i] });
  });
  return interpretGraph(outputs, buffers).map((r) => r.data);
}

const data = (seed: number, size = 6) => Float64Array.from(numbers(seed, size));

describe('a call', () => {
  it('is its body over the sources', () => {
    const [a, b] = inputs();
    const [got] = evaluate([example(a, b)], [a, b], [data(1), data(2)]);
    const [want] = evaluate([g.binary('mul', g.unary('exp', a), b)], [a, b], [data(1), data(2)]);
    expect(got).toEqual(want);
  });

  it('inlined is the same', () => {
    const [a, b] = inputs();
    const outer = example(example(a, b), b);
    const { outputs, decisions } = decideCalls([outer, g.unary('neg', outer)], 'all');
    expect(decisions).toEqual([
      { name: 'example', inlined: 'no template of this name' },
      { name: 'example', inlined: 'no template of this name' },
    ]);
    expect(topological(outputs).some((n) => n.op === 'call')).toBe(false);
    const values = [data(1), data(2)];
    expect(evaluate(outputs, [a, b], values)[0]).toEqual(evaluate([outer], [a, b], values)[0]);
  });

  it('inside a body is inlined with it', () => {
    const [a, b] = inputs();
    const [p, q] = inputs();
    const body = g.unary('neg', example(p, q));
    const outer = g.call([b, a], { name: 'outer', parameters: [p, q], body, attributes: null });
    const { outputs } = decideCalls([outer], 'faster');
    expect(topological(outputs).some((n) => n.op === 'call')).toBe(false);
    const values = [data(1), data(2)];
    expect(evaluate(outputs, [a, b], values)).toEqual(evaluate([outer], [a, b], values));
  });

  it('has the gradients of its body, as calls that are named after the parameters', () => {
    const [a, b] = inputs();
    const upstream = g.bufferNode('f64', [2, 3], 'upstream');
    const call = example(a, b);
    const plain = g.binary('mul', g.unary('exp', a), b);
    const [da, db] = gradientGraph([call], [upstream], [a, b]);
    expect([da, db].map((n) => n.op === 'call' && n.arg.name)).toEqual([
      'example.dx',
      'example.dy',
    ]);
    const names = da.op === 'call' ? da.arg.parameters.map((p) => p.arg.name) : [];
    expect(names).toEqual(['x', 'y', 'result', 'saved', 'upstream']);
    expect(da.src[2]).toBe(call);
    expect(da.src[3].op === 'call' && da.src[3].arg.name).toBe('example.saved');
    verifyGraph([da, db]);
    const all = [a, b, upstream];
    const values = [data(1), data(2), data(3)];
    const want = evaluate(gradientGraph([plain], [upstream], [a, b]), all, values);
    expect(evaluate([da, db], all, values)).toEqual(want);
    // Once more, by what the first gradient depends on.
    const seconds = (gradient: Node) => gradientGraph([gradient], [upstream], [a, b, upstream]);
    const again = evaluate(seconds(da), all, values);
    const [plainA] = gradientGraph([plain], [upstream], [a]);
    const wanted = evaluate(seconds(plainA), all, values);
    again.forEach((x, i) => {
      x.forEach((value, j) => {
        expect(value).toBeCloseTo(wanted[i][j], 10);
      });
    });
  });

  it('over a batch is the call over each member', () => {
    const [a, b] = inputs();
    const many = g.bufferNode('f64', [4, 2, 3], 'many');
    const [call] = batchGraph([example(a, b)], new Map([[a.id, many]]), 4);
    verifyGraph([call]);
    expect(call.op === 'call' && call.arg.saved?.body.shape).toEqual([4, 2, 3]);
    const wide = data(5, 24);
    const [got] = evaluate([call], [many, b], [wide, data(2)]);
    for (let i = 0; i < 4; i++) {
      const member = wide.slice(i * 6, (i + 1) * 6);
      const [want] = evaluate([example(a, b)], [a, b], [member, data(2)]);
      expect(got.slice(i * 6, (i + 1) * 6)).toEqual(want);
    }
  });

  it('has its content for a key', () => {
    const [a, b] = inputs();
    const key = (options: { attributes?: number; factor?: number } = {}) =>
      graphKey([example(a, b, options)], [a, b]);
    expect(key()).toBe(key());
    expect(key({ attributes: 2 })).not.toBe(key());
    expect(key({ factor: 2 })).not.toBe(key());
  });

  it('made twice is computed once', () => {
    const [a, b] = inputs();
    const [x, y, other] = rewriteGraph([
      example(a, b),
      example(a, b),
      example(a, b, { factor: 3 }),
    ]);
    expect(x).toBe(y);
    expect(other).not.toBe(x);
  });

  it('is printed with its body', () => {
    const [a, b] = inputs();
    const text = printGraph([example(a, b)]);
    expect(text).toContain('%2 = f64[2, 3] call example {"attributes":1} %0 %1 {\n  %0 = ');
    expect(text).toContain('unary {"fn":"exp"}');
  });

  it('refuses other arguments, and a body that reads anything else', () => {
    const [a, b] = inputs();
    const other = g.bufferNode('f64', [3, 2], 'other');
    const { arg } = example(a, b) as Node & { op: 'call' };
    expect(() => g.call([a, other], arg)).toThrow(
      'example: arguments are f64[2, 3], f64[3, 2]; expected f64[2, 3], f64[2, 3]',
    );
    expect(() => g.call([a], arg)).toThrow(/arguments are f64\[2, 3\]; expected/);
    const open = { ...arg, body: g.binary('add', arg.body, a) };
    expect(() => g.call([a, b], open)).toThrow(/body of the call example reads a, no parameter/);
  });
});
