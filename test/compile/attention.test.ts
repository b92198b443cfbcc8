import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileProgram, decideCalls } from '../../src/compile/index.ts';
import { GraphInterpreter, KernelInterpreter, WasmDevice } from '../../src/device/index.ts';
import type { TypedArray } from '../../src/ir/dtype.ts';
import * as g from '../../src/ir/graph/build.ts';
import { sizeOf } from '../../src/ir/shape.ts';
import { type AttentionCase, anyAttentionCase, attentionGraph } from '../support/attention-case.ts';
import { namedNativeDevices } from '../support/native-devices.ts';
import { firstDifference, runGraph } from '../support/run-graph.ts';

const oracle = new GraphInterpreter();
const wasm = new WasmDevice({ relaxedSimd: true, threads: 1 });
const threaded = new WasmDevice({ relaxedSimd: true, threads: 2, worthThreads: 0 });
const kernels = new KernelInterpreter(true);

const ALL = { templates: 'all' } as const;
const EPSILON = 2 ** -24;

/**
 * Both ways round sums of the same terms: they differ by some roundings of the terms' sizes. Values
 * lie in -2 .. 2, so a score is at most 4 d scale and its rounding, and the weights' relative
 * error, some epsilons of that; sums have up to `terms` weighted terms.
 */
function expectClose(got: TypedArray, want: TypedArray, score: number, terms: number): void {
  const largest = Array.from(want).reduce((m, x) => Math.max(m, Math.abs(x)), 1);
  const bound = 16 * EPSILON * (score + 4) * (largest + Math.sqrt(terms));
  for (let i = 0; i < want.length; i++) {
    const off = Math.abs(got[i] - want[i]);
    if (!(off <= bound)) expect.fail(`${i}: ${got[i]} instead of ${want[i]} (bound ${bound})`);
  }
}

async function compare(c: AttentionCase, seed: number): Promise<void> {
  const { inputs, values, output, gradients, vars } = attentionGraph(c, seed);
  const outputs = [output, ...gradients];
  const calls = decideCalls(outputs, 'all').decisions;
  expect(calls.filter((call) => call.inlined)).toEqual([]);
  const want = await runGraph(oracle, outputs, inputs, values, {}, vars);
  const got = await runGraph(wasm, outputs, inputs, values, ALL, vars);
  const score = 4 * c.depth * (c.scale ?? 1 / Math.sqrt(c.depth));
  const terms = c.queries * (c.group ?? 1) * c.keys;
  for (const [i, x] of got.entries()) expectClose(x, want[i], score, i === 0 ? 1 : terms);
  if (terms > 300) return;
  // Small ones also by the kernel interpreter, which must agree to the bit.
  const same = await runGraph(kernels, outputs, inputs, values, ALL, vars);
  for (const [i, x] of same.entries()) expect(firstDifference(x, got[i])).toBe(-1);
}

/** Runs a case and gives its output and gradients. */
async function results(c: AttentionCase, seed = 1, device = wasm): Promise<TypedArray[]> {
  const { inputs, values, output, gradients, vars } = attentionGraph(c, seed);
  return runGraph(device, [output, ...gradients], inputs, values, ALL, vars);
}

/** The output of a case over given values of its inputs. */
async function outputOf(c: AttentionCase, values: readonly TypedArray[]): Promise<TypedArray> {
  const { inputs, output, vars } = attentionGraph(c);
  const [out] = await runGraph(wasm, [output], inputs, values, ALL, vars);
  return out;
}

describe('attention by its template', () => {
  it('is what its body says, and so are its gradients', async () => {
    await fc.assert(
      fc.asyncProperty(anyAttentionCase, fc.nat({ max: 1000 }), async (c, seed) =>
        compare(c, seed),
      ),
      { numRuns: 40 },
    );
  }, 60_000);

  it('gives a row the same bits alone and among others', async () => {
    const [keys, depth] = [70, 12];
    const settings = { keys, depth, causal: true, window: 50, softcap: 5 };
    const all = attentionGraph({ ...settings, queries: 67, offset: 3, offsetIs: 'number' });
    const whole = await outputOf({ ...settings, queries: 67, offset: 3 }, all.values);
    for (const [first, queries] of [
      [0, 1],
      [13, 2],
      [30, 5],
      [1, 64],
      [66, 1],
    ]) {
      const q = all.values[0].slice(first * depth, (first + queries) * depth);
      const part = { ...settings, queries, offset: 3 + first };
      for (const offsetIs of ['number', 'var', 'scalar'] as const) {
        const { values } = attentionGraph({ ...part, offsetIs });
        const own = [...values];
        own[0] = q;
        const at = offsetIs === 'scalar' ? 2 : 1;
        own[at] = all.values[1];
        own[at + 1] = all.values[2];
        const got = await outputOf({ ...part, offsetIs }, own);
        const want = whole.slice(first * depth, (first + queries) * depth);
        expect(firstDifference(got, want)).toBe(-1);
      }
    }
  });

  it('gives the same bits whatever the batch, the heads beside, and the room for keys', async () => {
    const one = { queries: 9, keys: 37, depth: 5, causal: true };
    const many = attentionGraph({ ...one, batch: 3, kvHeads: 2 });
    const whole = await outputOf({ ...one, batch: 3, kvHeads: 2 }, many.values);
    const [qs, ks] = [9 * 5, 37 * 5];
    for (const head of [0, 3, 5]) {
      const part = (x: TypedArray, size: number) => x.slice(head * size, (head + 1) * size);
      const [q, k, v, upstream] = many.values;
      const own = [part(q, qs), part(k, ks), part(v, ks), part(upstream, qs)];
      const want = part(whole, qs);
      expect(firstDifference(await outputOf(one, own), want)).toBe(-1);
      const room = 50 * 5;
      const padded = [k, v].map((x) => {
        const wide = new Float32Array(room).fill(7);
        wide.set(part(x, ks) as Float32Array);
        return wide;
      });
      const roomy = [own[0], ...padded, own[3]];
      expect(firstDifference(await outputOf({ ...one, keyRoom: 50 }, roomy), want)).toBe(-1);
    }
  });

  it('gives gradients the same bits in kernels of their own and in one', async () => {
    const one = { queries: 37, keys: 45, depth: 6, causal: true, group: 2, softcap: 3 };
    const many = attentionGraph({ ...one, kvHeads: 9 });
    const together = await results({ ...one, kvHeads: 9 });
    const alone = attentionGraph(one);
    const head = 4;
    const values = alone.inputs.map((node, i) => {
      const count = sizeOf(node.shape);
      return many.values[i].slice(head * count, (head + 1) * count);
    });
    const outputs = [alone.output, ...alone.gradients];
    const got = await runGraph(wasm, outputs, alone.inputs, values, ALL);
    for (const [i, x] of got.entries()) {
      const want = together[i].slice(head * x.length, (head + 1) * x.length);
      expect(firstDifference(x, want)).toBe(-1);
    }
  });

  it('gives the same bits by one thread and by several', async () => {
    const cases: AttentionCase[] = [
      { queries: 70, keys: 70, depth: 16, causal: true, batch: 2, group: 2 },
      { queries: 33, keys: 40, depth: 8, kvHeads: 16 },
      { queries: 5, keys: 40, depth: 8, causal: true, offset: [30], offsetIs: 'scalar' },
    ];
    for (const c of cases) {
      const alone = await results(c);
      const shared = await results(c, 1, threaded);
      for (const [i, x] of shared.entries()) expect(firstDifference(x, alone[i])).toBe(-1);
    }
  });

  it('shares kernels: the log-sum-exp with the output, the gradients among each other', () => {
    const labels = (c: AttentionCase) => {
      const { inputs, output, gradients } = attentionGraph(c);
      return compileProgram([output, ...gradients], inputs).steps.map((s) => s.label);
    };
    const few = { queries: 40, keys: 40, depth: 8, causal: true };
    expect(labels(few)).toHaveLength(3);
    expect(labels({ ...few, batch: 4, kvHeads: 4 })).toHaveLength(2);
    expect(labels(few).every((label) => label.startsWith('attention'))).toBe(true);
  });

  it('takes pointwise work on its result into its kernel', async () => {
    for (const width of [5, 8]) {
      const c = { queries: 9, keys: 20, depth: 6, width, causal: true };
      const { inputs, values, output } = attentionGraph(c);
      const gate = g.bufferNode('f32', output.shape, 'gate');
      const gated = g.binary('mul', g.unary('tanh', output), gate);
      const nodes = [...inputs, gate];
      const data = [...values, values[values.length - 1]];
      const { steps } = compileProgram([gated], nodes);
      expect(steps.map((s) => s.label)).toEqual([`attention_mul_1x1x9x${width}`]);
      const [alone] = await runGraph(wasm, [output], inputs, values);
      const after = g.bufferNode('f32', output.shape, 'output');
      const apart = g.binary('mul', g.unary('tanh', after), gate);
      const [want] = await runGraph(wasm, [apart], [after, gate], [alone, data[data.length - 1]]);
      const [got] = await runGraph(wasm, [gated], nodes, data);
      expect(firstDifference(got, want)).toBe(-1);
    }
  });

  it('takes memory by the number of queries, never queries times keys', () => {
    const bytes = (n: number, templates: 'all' | 'none') => {
      const c = { queries: n, keys: n, depth: 16, kvHeads: 2, batch: 2, causal: true };
      const { inputs, output, gradients } = attentionGraph(c);
      const program = compileProgram([output, ...gradients], inputs, { templates });
      return { shared: program.scratchBytes, own: program.localBytes };
    };
    const [small, large] = [bytes(128, 'all'), bytes(512, 'all')];
    // Between kernels only the log-sum-exp is kept: 4 bytes a row.
    expect(large.shared).toBe(4 * 512 * 4);
    expect(small.shared).toBe(4 * 128 * 4);
    expect(large.own).toBeLessThan(2 ** 18);
    expect(bytes(512, 'none').shared).toBeGreaterThan(4 * 512 * 512 * 4);
  });

  it('refuses what it cannot do, with the reason, and what it would make slower', () => {
    const reasons = (c: AttentionCase, use: 'all' | 'faster' | 'none' = 'faster') => {
      const { output, gradients } = attentionGraph(c);
      return decideCalls([output, ...gradients], use).decisions.map((d) => d.inlined);
    };
    const c = { queries: 20, keys: 20, depth: 8 };
    expect(new Set(reasons({ ...c, depth: 300, causal: true }))).toEqual(
      new Set(['heads of more than 256 elements']),
    );
    expect(new Set(reasons(c))).toEqual(new Set(['all of only 20 keys are seen']));
    expect(new Set(reasons(c, 'all'))).toEqual(new Set([undefined]));
    expect(new Set(reasons(c, 'none'))).toEqual(new Set(['templates are off']));
    expect(new Set(reasons({ ...c, causal: true }))).toEqual(new Set([undefined]));
  });

  it('reports offsets and blocks out of range as its body does', async () => {
    const c = { queries: 2, keys: 10, depth: 4, causal: true, batch: 2 };
    const native = namedNativeDevices().map(([, device]) => device);
    const devices = [oracle, kernels, wasm, threaded, ...native];
    const fails = async (which: AttentionCase, at: number, data: number[]) => {
      const { inputs, values, output } = attentionGraph(which);
      const bad = values.map((x, i) => (i === at ? Int32Array.from(data) : x));
      const errors: unknown[] = [];
      for (const device of devices) {
        await runGraph(device, [output], inputs, bad, ALL).catch((e) => errors.push(e));
      }
      expect(errors).toHaveLength(devices.length);
      for (const error of errors) expect(error).toBeInstanceOf(RangeError);
      return new Set(errors.map((e) => (e as Error).message));
    };
    const offset = { ...c, offset: [0, 0], offsetIs: 'batch' } as const;
    expect(await fails(offset, 1, [3, 11])).toEqual(
      new Set(['gather on axis 0 of [11]: index 11 is out of range; expected 0 to 10']),
    );
    const paged = { ...c, block: 5 };
    const table = [0, 1, -2, 3];
    expect(await fails(paged, 3, table)).toEqual(
      new Set(['gather on axis 0 of [7, 5, 1, 4]: index -2 is out of range; expected 0 to 6']),
    );
  });
});
