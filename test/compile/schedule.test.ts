import { describe, expect, it } from 'vitest';
import { compileProgram } from '../../src/compile/index.ts';
import { planArena } from '../../src/compile/schedule/memory.ts';
import * as g from '../../src/ir/graph/build.ts';
import { gradientGraph } from '../../src/ir/graph/gradient.ts';
import type { Node } from '../../src/ir/graph/types.ts';

const x = g.bufferNode('f32', [16, 64], 'x');

function softmax(node: Node): Node {
  const axis = node.shape.length - 1;
  const top = g.expand(g.reduce('max', node, [axis]), node.shape);
  const e = g.unary('exp', g.binary('sub', node, top));
  return g.binary('div', e, g.expand(g.reduce('sum', e, [axis]), node.shape));
}

const steps = (outputs: readonly Node[], inputs: readonly g.BufferNode[], fuse = true) =>
  compileProgram(outputs, inputs, { fuse }).steps.length;

describe('schedule', () => {
  it('a chain of pointwise operations is one kernel', () => {
    const y = g.unary('tanh', g.binary('mul', g.binary('add', x, x), x));
    expect(steps([y], [x])).toBe(1);
    expect(steps([y], [x], false)).toBe(3);
  });

  it('a softmax row is one kernel or two', () => {
    expect(steps([softmax(x)], [x])).toBeLessThanOrEqual(2);
  });

  it('an RMS norm is one kernel', () => {
    const square = g.reduce('sum', g.binary('mul', x, x), [1]);
    const scale = g.unary('rsqrt', g.binary('mul', square, g.constLike(square, 1 / 64)));
    expect(steps([g.binary('mul', x, g.expand(scale, x.shape))], [x])).toBe(1);
  });

  it('a product takes bias, activation and residual with it', () => {
    const w = g.bufferNode('f32', [64, 64], 'w');
    const b = g.bufferNode('f32', [1, 64], 'b');
    const product = g.dot(x, g.permute(w, [1, 0]), 0, 1);
    const y = g.unary('tanh', g.binary('add', product, g.expand(b, product.shape)));
    expect(steps([g.binary('add', y, x)], [x, w, b])).toBe(1);
  });

  it("an optimiser's moments and new parameter are one kernel", () => {
    const [m, v, grad] = ['m', 'v', 'g'].map((name) => g.bufferNode('f32', [16, 64], name));
    const scaled = (node: Node, by: number) => g.binary('mul', node, g.constLike(node, by));
    const m1 = g.binary('add', scaled(m, 0.9), scaled(grad, 0.1));
    const v1 = g.binary('add', scaled(v, 0.99), scaled(g.binary('mul', grad, grad), 0.01));
    const p1 = g.binary('sub', x, g.binary('div', m1, g.unary('sqrt', v1)));
    const program = compileProgram([p1, m1, v1], [x, m, v, grad], {
      donations: new Map([
        [0, 0],
        [1, 1],
        [2, 2],
      ]),
    });
    expect(program.steps).toHaveLength(1);
    expect(program.outputs.map((o) => o.mayReuse)).toEqual([0, 1, 2]);
  });

  it('what is read in another order is not written over', () => {
    const y = g.binary('add', x, g.flip(x, [1]));
    const program = compileProgram([y], [x], { donations: new Map([[0, 0]]) });
    expect(program.outputs[0].mayReuse).toBeUndefined();
  });

  it('layers share their kernels', () => {
    const w = Array.from({ length: 6 }, (_, i) => g.bufferNode('f32', [64, 64], `w${i}`));
    const y = w.reduce<Node>((h, m) => g.unary('tanh', g.dot(h, m, 0, 1)), x);
    const program = compileProgram([y], [x, ...w]);
    expect(program.steps).toHaveLength(6);
    expect(program.kernels).toHaveLength(1);
  });

  it('a step that can fail comes before those that write over inputs', () => {
    const index = g.bufferNode('i32', [16], 'index');
    const spread = g.expand(g.reshape(index, [16, 1]), [16, 64]);
    const rows = g.gather(x, spread, 0);
    const next = g.binary('add', x, g.constLike(x, 1));
    const program = compileProgram([next, rows], [x, index], { donations: new Map([[0, 0]]) });
    const checked = program.steps.findIndex((s) => program.kernels[s.kernel].checks.length > 0);
    const writes = program.steps.findIndex((s) =>
      s.places.some((p) => p.kind === 'output' && p.index === 0),
    );
    expect(checked).toBeLessThan(writes);
  });

  it('gradients of a softmax cross entropy stay few kernels', () => {
    const loss = g.reshape(g.reduce('sum', g.unary('log', softmax(x)), [0, 1]), []);
    const [dx] = gradientGraph([loss], [g.constLike(loss, 1)], [x]);
    expect(steps([loss, dx], [x])).toBeLessThanOrEqual(8);
  });
});

describe('arena', () => {
  it('places what lives at the same time apart and reuses the rest', () => {
    const { offsets, bytes } = planArena([
      { bytes: 1000, from: 0, to: 1 },
      { bytes: 1000, from: 1, to: 2 },
      { bytes: 1000, from: 2, to: 3 },
      { bytes: 100, from: 0, to: 3 },
    ]);
    expect(offsets[0]).not.toBe(offsets[1]);
    expect(offsets[2]).toBe(offsets[0]);
    expect(bytes).toBe(1024 * 2 + 128);
  });
});
