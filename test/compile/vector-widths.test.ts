import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CompileOptions, compileProgram } from '../../src/compile/index.ts';
import { resolveOptions } from '../../src/compile/program.ts';
import { programKey } from '../../src/compile/store.ts';
import { KernelInterpreter } from '../../src/device/index.ts';
import type { TypedArray } from '../../src/ir/dtype.ts';
import * as g from '../../src/ir/graph/build.ts';
import type { Node } from '../../src/ir/graph/types.ts';
import { hasLane } from '../../src/ir/kernel/index-expr.ts';
import {
  type Kernel,
  type KernelTarget,
  type Statement,
  WASM_KERNELS,
} from '../../src/ir/kernel/types.ts';
import { type Dim, sizeOf, variable } from '../../src/ir/shape.ts';
import { anyAttentionCase, attentionGraph } from '../support/attention-case.ts';
import { anyPackedCase, packedGraph } from '../support/packed-case.ts';
import { firstDifference, numbers, runGraph } from '../support/run-graph.ts';
import { WIDE_KERNELS } from '../support/wide-kernels.ts';

const four = new KernelInterpreter(true, WASM_KERNELS);
const bare = { lanes: 8, laneMasks: false, wideByteDot: false, hints: true } as const;
const wide = [...WIDE_KERNELS, bare].map((target) => new KernelInterpreter(true, target));
const ALL = { templates: 'all' } as const;

interface Program {
  readonly inputs: readonly g.BufferNode[];
  readonly outputs: readonly Node[];
  readonly values: readonly TypedArray[];
  readonly vars?: ReadonlyMap<string, number>;
}

/** Vectors of any width must give the bits of the narrowest. */
async function expectSame(program: Program, options: CompileOptions = {}): Promise<TypedArray[]> {
  const { inputs, outputs, values, vars = new Map() } = program;
  const wanted = await runGraph(four, outputs, inputs, values, options, vars);
  for (const device of wide) {
    const got = await runGraph(device, outputs, inputs, values, options, vars);
    got.forEach((x, i) => {
      const at = firstDifference(x, wanted[i]);
      if (at < 0) return;
      const { kernelTarget } = device.target as { kernelTarget?: object };
      const where = `output ${i}, element ${at}, ${JSON.stringify(kernelTarget)}`;
      expect.fail(`${where}: ${x[at]} instead of ${wanted[i][at]}`);
    });
  }
  return wanted;
}

/** A buffer and its values, which lie in -2 .. 2. */
function data(name: string, shape: readonly Dim[], seed: number) {
  const node = g.bufferNode('f32', shape, name);
  return { node, values: numbers(seed, sizeOf(shape)) };
}

function softmax(x: Node, axis: number): Node {
  const along = (node: Node) => g.expand(node, x.shape);
  const top = g.reduce('max', x, [axis]);
  const e = g.unary('exp', g.binary('sub', x, along(top)));
  return g.binary('div', e, along(g.reduce('sum', e, [axis])));
}

const size = fc.integer({ min: 1, max: 70 });
/** How much of a size is used where it is symbolic. */
const part = fc.option(fc.integer({ min: 0, max: 70 }), { nil: undefined });

function symbolic(max: number, used: number | undefined) {
  if (used === undefined) return { dim: max, vars: new Map<string, number>() };
  return { dim: variable('n', 0, max), vars: new Map([['n', Math.min(used, max)]]) };
}

describe('vectors of 8 and 16 lanes give the bits of 4', () => {
  it('in rows, columns and what is made of them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5 }), size, part, async (rows, most, used) => {
        const { dim, vars } = symbolic(most, used);
        const x = data('x', [rows, dim], 1);
        const bias = data('bias', [1, dim], 2);
        const y = g.binary('add', x.node, g.expand(bias.node, [rows, dim]));
        const outputs = [
          softmax(y, 1),
          g.unary('tanh', y),
          g.reduce('sum', g.binary('mul', y, y), [0]),
          g.reduce('max', y, [1]),
          g.scan('sum', y, 0),
          g.scan('sum', y, 1),
        ];
        const values = [x.values, bias.values];
        // Where the used part ends, lanes that take no part must have written nothing: all compared.
        await expectSame({ inputs: [x.node, bias.node], outputs, values, vars });
      }),
      { numRuns: 40 },
    );
  });

  it('in products of any sizes, with work before and after', async () => {
    const axis = fc.integer({ min: 1, max: 40 });
    const way = fc.constantFrom('straight', 'turned', 'bytes');
    await fc.assert(
      fc.asyncProperty(axis, axis, axis, way, part, async (m, n, k, kind, used) => {
        const { dim, vars } = symbolic(n, used);
        const x = data('x', [m, k], 3);
        const turned = kind !== 'straight';
        const w = g.bufferNode(kind === 'bytes' ? 'i8' : 'f32', turned ? [dim, k] : [k, dim], 'w');
        const raw = numbers(4, n * k);
        const weight = g.permute(
          kind === 'bytes' ? g.cast(w, 'f32') : (w as Node),
          turned ? [1, 0] : [0, 1],
        );
        const left = g.unary('exp', x.node);
        const outputs = [g.unary('tanh', g.dot(left, weight, 0, 1)), g.dot(x.node, weight, 0, 1)];
        const values = [x.values, kind === 'bytes' ? Int8Array.from(raw, (v) => v * 50) : raw];
        await expectSame({ inputs: [x.node, w], outputs, values, vars });
      }),
      { numRuns: 30 },
    );
  });

  it('in long products, block by block', async () => {
    for (const m of [13, 25]) {
      const [x, w] = [data('x', [m, 530], 5), data('w', [530, 37], 6)];
      const outputs = [g.dot(x.node, w.node, 0, 1), g.dot(g.unary('neg', x.node), w.node, 0, 1)];
      await expectSame({ inputs: [x.node, w.node], outputs, values: [x.values, w.values] });
    }
  });

  it('in attention and its gradients', async () => {
    await fc.assert(
      fc.asyncProperty(anyAttentionCase, fc.nat({ max: 1000 }), async (c, seed) => {
        if (c.queries * c.keys * (c.group ?? 1) > 1200) return;
        const { inputs, values, output, gradients, vars } = attentionGraph(c, seed);
        await expectSame({ inputs, outputs: [output, ...gradients], values, vars }, ALL);
      }),
      { numRuns: 25 },
    );
  });

  it('in packed products', async () => {
    await fc.assert(
      fc.asyncProperty(anyPackedCase, async (c) => {
        if (c.rows > 9) return;
        const { inputs, values, output, vars } = packedGraph(c);
        await expectSame({ inputs, outputs: [output], values, vars }, ALL);
      }),
      { numRuns: 12 },
    );
  });

  it.each([4, 8] as const)('in codes of %i bits, both ways', async (bits) => {
    for (const zeroPoint of [false, true]) {
      const scheme = { bits, block: 16, zeroPoint } as const;
      const x = data('x', [3, 96], 7);
      const s = data('s', [3, 6], 8);
      const z = zeroPoint
        ? g.cast(g.unary('abs', g.binary('mul', s.node, s.node)), 'u8')
        : undefined;
      const codes = g.quantize(x.node, s.node, z, scheme);
      const back = g.dequantize(codes, s.node, z, scheme);
      const moved = g.shrink(back, [
        [0, 3],
        [5, 90],
      ]);
      await expectSame({
        inputs: [x.node, s.node],
        outputs: [codes, back, moved, g.reduce('sum', back, [1])],
        values: [x.values, s.values],
      });
    }
  });

  it('in sorts, gathers, scatters and joined tensors', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 6 }), size, async (rows, columns) => {
        const x = data('x', [rows, columns], 9);
        const index = g.bufferNode('i32', [rows, columns], 'index');
        const places = Int32Array.from({ length: rows * columns }, (_, i) => (i * 7) % columns);
        const row = g.bufferNode('i32', [rows, 1], 'row');
        const targets = Int32Array.from({ length: rows }, (_, i) => (i * 5) % rows);
        const spread = g.expand(row, [rows, columns]);
        const outputs = [
          g.sort(x.node, 1),
          g.gather(x.node, index, 1),
          g.gather(x.node, spread, 0),
          g.scatter(x.node, spread, g.unary('neg', x.node), 0, 'add'),
          g.flip(x.node, [1]),
        ];
        await expectSame({
          inputs: [x.node, index, row],
          outputs,
          values: [x.values, places, targets],
        });
      }),
      { numRuns: 25 },
    );
  });
});

/** Statements of a kernel, those inside loops too. */
function all(kernel: Kernel): Statement[] {
  const inside = (block: readonly Statement[]): Statement[] =>
    block.flatMap((s) => (s.kind === 'loop' ? [s, ...inside(s.body)] : [s]));
  return inside(kernel.body);
}

describe('masks of lanes', () => {
  const [, kernelTarget] = WIDE_KERNELS;
  const kernelOf = (shape: readonly Dim[], make: (x: Node) => Node) => {
    const { node } = data('x', shape, 1);
    const { kernels } = compileProgram([make(node)], [node], { kernelTarget });
    expect(kernels).toHaveLength(1);
    return kernels[0];
  };

  it('take what is left of a row in one turn', () => {
    const kernel = kernelOf([3, 37], (x) => g.unary('exp', g.flip(x, [0])));
    const stores = all(kernel).filter((s) => s.kind === 'store');
    expect(stores.map((s) => [s.value.lanes, s.mask.some(hasLane)])).toEqual([
      [16, false],
      [16, true],
    ]);
  });

  it('take what is left of a symbolic row, and nothing where nothing is left', async () => {
    const n = variable('n', 0, 40);
    const { node, values } = data('x', [2, n], 1);
    const outputs = [g.binary('add', node, g.constLike(node, 1))];
    const kernel = compileProgram(outputs, [node], { kernelTarget }).kernels[0];
    expect(all(kernel).every((s) => s.kind !== 'store' || s.value.lanes === 16)).toBe(true);
    for (const used of [0, 1, 15, 16, 17, 40]) {
      await expectSame({ inputs: [node], outputs, values: [values], vars: new Map([['n', used]]) });
    }
  });

  it('leave a reduction of the row where it is: once, and not for each lane', () => {
    const kernel = kernelOf([4, 37], (x) => softmax(x, 1));
    const values = all(kernel);
    expect(
      values.filter((s) => s.kind === 'binary' && s.fn === 'max' && s.lanes === 1).length,
    ).toBeLessThan(6);
    expect(values.filter((s) => s.kind === 'pack')).toEqual([]);
  });

  it('reach a padded row as one load', () => {
    const kernel = kernelOf([4, 37], (x) =>
      g.pad(
        g.unary('exp', x),
        [
          [0, 0],
          [3, 3],
        ],
        0,
      ),
    );
    const loads = all(kernel).filter((s) => s.kind === 'load');
    expect(loads.every((s) => s.lanes === 16)).toBe(true);
    expect(loads.some((s) => s.mask.some(hasLane))).toBe(true);
  });

  it('keep indices that are data from being asked where no lane is', async () => {
    const { node, values } = data('x', [5], 1);
    const index = g.bufferNode('i32', [19], 'index');
    const places = Int32Array.from({ length: 19 }, (_, i) => i % 5);
    const outputs = [g.gather(g.expand(g.reshape(node, [5]), [5]), index, 0)];
    await expectSame({ inputs: [node, index], outputs, values: [values, places] });
    places[18] = 5;
    for (const device of [four, ...wide]) {
      await expect(runGraph(device, outputs, [node, index], [values, places])).rejects.toThrow(
        RangeError,
      );
    }
  });

  it('let an output take over the memory of an input', () => {
    const { node } = data('x', [3, 37], 1);
    const output = g.unary('neg', g.flip(g.flip(node, [0]), [0]));
    for (const shaped of [output, g.binary('add', node, g.constLike(node, 1))]) {
      const options = { kernelTarget, donations: new Map([[0, 0]]) };
      const { outputs } = compileProgram([shaped], [node], options);
      expect(outputs[0].mayReuse).toBe(0);
    }
  });
});

it('programs of one width are not taken for those of another', () => {
  const { node } = data('x', [3], 1);
  const key = (kernelTarget: KernelTarget) =>
    programKey({ kind: 'graph' }, [node], [node], resolveOptions({ kernelTarget }));
  const keys = [WASM_KERNELS, bare, ...WIDE_KERNELS].map(key);
  expect(new Set(keys).size).toBe(keys.length);
});
