import { describe, expect, it } from 'vitest';
import { compileProgram, rewriteGraph } from '../../src/compile/index.ts';
import { planArena } from '../../src/compile/schedule/memory.ts';
import { orderTasks } from '../../src/compile/schedule/order.ts';
import { device } from '../../src/device/index.ts';
import * as g from '../../src/ir/graph/build.ts';
import { gradientGraph } from '../../src/ir/graph/gradient.ts';
import { graphKey } from '../../src/ir/graph/print.ts';
import type { Node } from '../../src/ir/graph/types.ts';
import { COMPILED_DEVICES } from '../support/device-names.ts';
import { firstDifference, numbers, runGraph } from '../support/run-graph.ts';

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

  it('what comes after something is computed again, later, and to the same bits', async () => {
    const w = g.bufferNode('f32', [64, 64], 'w');
    const product = (node: Node) => g.unary('tanh', g.dot(node, w, 0, 1));
    const first = product(x);
    const again = product(g.after(x, [product(first)]));
    const sum = g.binary('add', product(first), again);
    expect(steps([g.binary('add', product(first), first)], [x, w])).toBe(2);
    const program = compileProgram([sum], [x, w]);
    expect(program.steps.filter((s) => s.label.startsWith('dot'))).toHaveLength(3);
    const bare = g.binary('add', product(first), first);
    const data = [numbers(1, 16 * 64), numbers(2, 64 * 64)];
    for (const name of COMPILED_DEVICES) {
      const [got] = await runGraph(device(name), [sum], [x, w], data);
      const [expected] = await runGraph(device(name), [bare], [x, w], data);
      expect(firstDifference(got, expected)).toBe(-1);
    }
    const [defined] = await runGraph(device('interpret'), [sum], [x, w], data);
    const [kernels] = await runGraph(device('interpret-kernels'), [sum], [x, w], data);
    defined.forEach((v, i) => {
      expect(kernels[i]).toBeCloseTo(v, 5);
    });
  });

  it('a kept row that is read inside another loop is known outside of it', async () => {
    const w = g.bufferNode('f32', [16, 1], 'w');
    const sums = g.reduce('sum', x, [1]);
    const e = g.unary('exp', g.binary('sub', sums, g.expand(g.reduce('max', sums, [0]), [16, 1])));
    const shares = g.binary('div', e, g.expand(g.reduce('sum', e, [0]), [16, 1]));
    const loss = g.reshape(g.reduce('sum', g.binary('mul', shares, w), [0]), []);
    const [dx] = gradientGraph([loss], [g.constLike(loss, 1)], [x]);
    const data = [numbers(1, 16 * 64).map((v) => v / 8), numbers(2, 16)];
    const [expected] = await runGraph(device('interpret'), [dx], [x, w], data);
    expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(0.01);
    for (const name of COMPILED_DEVICES) {
      const [got] = await runGraph(device(name), [dx], [x, w], data);
      expected.forEach((v, i) => {
        expect(got[i]).toBeCloseTo(v, 5);
      });
    }
  });

  it('marks leave no trace', () => {
    const marked = g.mark(g.unary('exp', x), [x], { kind: 'stop' });
    const y = g.binary('mul', marked, g.after(g.constLike(x, 2), [x]));
    const bare = g.binary('mul', g.unary('exp', x), g.constLike(x, 2));
    expect(graphKey(rewriteGraph([y]), [x])).toBe(graphKey(rewriteGraph([bare]), [x]));
  });

  it('gradients of a softmax cross entropy stay few kernels', () => {
    const loss = g.reshape(g.reduce('sum', g.unary('log', softmax(x)), [0, 1]), []);
    const [dx] = gradientGraph([loss], [g.constLike(loss, 1)], [x]);
    expect(steps([loss, dx], [x])).toBeLessThanOrEqual(8);
  });
});

describe('order', () => {
  const task = (
    fills: [number, number][],
    reads: number[],
    after: number[],
  ): Parameters<typeof orderTasks>[0][number] => ({
    fills: new Map(fills),
    reads: new Set(reads),
    after: new Set(after),
  });

  it('runs what frees memory as soon as it can, and the rest as given', () => {
    const tasks = [
      task([[1, 100]], [], []), // an activation
      task([[2, 100]], [1], [0]), // the next one: keeps the first for task 3
      task([[3, 110]], [2], [1]),
      task([[4, 50]], [1], [0]), // takes 50 and frees 100
    ];
    expect(orderTasks(tasks)).toEqual([0, 1, 3, 2]);
    const kept = [...tasks.slice(0, 3), task([[4, 150]], [1], [0])];
    expect(orderTasks(kept)).toEqual([0, 1, 2, 3]);
  });

  it('never passes what must come before', () => {
    const tasks = [task([[1, 8]], [], []), task([[2, 8]], [], []), task([], [1], [0, 1])];
    expect(orderTasks(tasks)).toEqual([0, 1, 2]);
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
