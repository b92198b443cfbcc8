import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isaSetting } from '../../src/base/env.ts';
import { compileProgram } from '../../src/compile/index.ts';
import { KernelInterpreter, nativeSupport } from '../../src/device/index.ts';
import type { TypedArray } from '../../src/ir/dtype.ts';
import { decodeFloat, encodeFloat } from '../../src/ir/float-formats.ts';
import * as g from '../../src/ir/graph/build.ts';
import type { Node } from '../../src/ir/graph/types.ts';
import { KernelBuilder } from '../../src/ir/kernel/builder.ts';
import { add, constant, ZERO } from '../../src/ir/kernel/index-expr.ts';
import { interpretKernel } from '../../src/ir/kernel/interpret.ts';
import type { Kernel, KernelTarget, Statement } from '../../src/ir/kernel/types.ts';
import { verifyKernel } from '../../src/ir/kernel/verify.ts';
import { variable } from '../../src/ir/shape.ts';
import { WITHOUT_NATIVE } from '../support/device-names.ts';
import { nativeDevices } from '../support/native-devices.ts';
import { firstDifference, numbers, runGraph } from '../support/run-graph.ts';
import { runOnNative } from '../support/run-kernel.ts';

const WAYS = ['pairs', 'tiles'] as const;
type Way = (typeof WAYS)[number];

function targetOf(bf16: Way): KernelTarget {
  return { lanes: 16, laneMasks: true, wideByteDot: true, hints: true, bf16 };
}

const interpreters = Object.fromEntries(
  WAYS.map((way) => [way, new KernelInterpreter(true, targetOf(way))]),
) as Record<Way, KernelInterpreter>;
const machines = WITHOUT_NATIVE === undefined ? nativeDevices() : [];

const sums = (b: KernelBuilder) => b.buffer('sums', 'f32', 256, 'out');

/** Sixteen times sixteen products of pairs. */
function pairKernel(): Kernel {
  const b = new KernelBuilder(targetOf('pairs'));
  const [x, y] = ['x', 'y'].map((name) => b.buffer(name, 'bf16', 512, 'in'));
  const out = sums(b);
  for (let i = 0; i < 256; i += 16) {
    const [a, c] = [x, y].map((buffer) => b.words(buffer, constant(2 * i)));
    const place = add(b.laneIndex, i);
    b.store(out, place, b.pairDot(a, c, b.load(out, place)));
  }
  return b.build('pairs');
}

/** One product of tiles. */
function tileKernel(change: (statement: Statement) => Statement = (s) => s): Kernel {
  const b = new KernelBuilder(targetOf('tiles'));
  const [x, y] = ['x', 'y'].map((name) => b.buffer(name, 'bf16', 512, 'in'));
  const out = sums(b);
  b.tile({ kind: 'tileLoad', tile: 0, buffer: out, index: ZERO, stride: 16 });
  b.tile({ kind: 'tileLoad', tile: 1, buffer: x, index: ZERO, stride: 32 });
  b.tile({ kind: 'tileLoad', tile: 2, buffer: y, index: ZERO, stride: 32 });
  b.tile({ kind: 'tileDot', of: 'bf16', sum: 0, a: 1, b: 2 });
  b.tile({ kind: 'tileStore', tile: 0, buffer: out, index: ZERO, stride: 16 });
  const kernel = b.build('tiles');
  return { ...kernel, body: kernel.body.map(change) };
}

/** Any bits; numbers near one; numbers whose products are near the smallest normal one. */
function floatBits(kind: number, random: () => number): number {
  if (kind === 0) return Math.floor(random() * 2 ** 32) | 0;
  const exponent = kind === 1 ? Math.floor(random() * 8) - 4 : Math.floor(random() * 9) - 67;
  const magnitude = (random() * 2 - 1) * 2 ** exponent;
  return new Int32Array(Float32Array.of(magnitude).buffer)[0];
}

function operands(seed: number, kind: number): TypedArray[] {
  let state = seed >>> 0;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const halves = () => Uint16Array.from({ length: 512 }, () => floatBits(kind, random) >>> 16);
  const words = Int32Array.from({ length: 256 }, () => floatBits(kind, random));
  const scaled = new Float32Array(words.buffer).map((x) => (kind === 2 ? x * 2 ** -62 : x));
  return [halves(), halves(), scaled];
}

const native = (way: Way) => machines.filter(({ target }) => target.bf16Products === way);

describe('instructions for bf16 do what the interpreter says', () => {
  it.skipIf(WITHOUT_NATIVE)('of this machine', () => {
    const has = (key: 'avx512Bf16' | 'amxBf16') => {
      const support = nativeSupport();
      return !('reason' in support) && support.isa === 'avx512' && support.features[key];
    };
    expect(native('pairs').length > 0).toBe(has('avx512Bf16') && isaSetting() !== 'avx2');
    if (native('tiles').length > 0) expect(has('amxBf16')).toBe(true);
  });

  it.each(WAYS)('%s, with any bits', async (way) => {
    const kernel = way === 'pairs' ? pairKernel() : tileKernel();
    verifyKernel(kernel, targetOf(way));
    for (let seed = 0; seed < 60; seed++) {
      const buffers = operands(seed, seed % 3);
      const copy = buffers.map((x) => x.slice());
      interpretKernel(kernel, { buffers: copy, vars: [] }, { fusedFma: true });
      for (const { guarded } of native(way)) {
        const { buffers: got } = await runOnNative(guarded, kernel, buffers, []);
        expect(firstDifference(got[2], copy[2]), `seed ${seed}`).toBe(-1);
      }
    }
  });

  it('a tile sums even and odd elements apart', () => {
    const one = encodeFloat('bf16', 1);
    const large = encodeFloat('bf16', 2 ** 25);
    const x = new Uint16Array(512);
    const y = new Uint16Array(512);
    // 2^25 + 1 in f32 is 2^25: with odd elements apart the ones are counted before.
    x.fill(one, 0, 4);
    [y[0], y[1], y[32], y[33]] = [large, one, encodeFloat('bf16', -(2 ** 25)), one];
    const out = new Float32Array(256);
    interpretKernel(tileKernel(), { buffers: [x, y, out], vars: [] }, { fusedFma: true });
    expect(out[0]).toBe(2);
  });
});

describe('the verifier refuses tiles', () => {
  it.each<[string, RegExp, (s: Statement) => Statement, Way]>([
    ['that the target has not', /no tiles/, (s) => s, 'pairs'],
    [
      'that hold nothing',
      /holds nothing/,
      (s) => (s.kind === 'tileDot' ? { ...s, b: 5 } : s),
      'tiles',
    ],
    [
      'whose last row lies beyond the end',
      /beyond the end/,
      (s) => (s.kind === 'tileLoad' ? { ...s, stride: s.stride + 1 } : s),
      'tiles',
    ],
    [
      'of a number that there is not',
      /tile 8/,
      (s) => (s.kind === 'tileLoad' && s.tile === 1 ? { ...s, tile: 8 } : s),
      'tiles',
    ],
  ])('%s', (_, message, change, way) => {
    expect(() => verifyKernel(tileKernel(change), targetOf(way))).toThrow(message);
  });
});

interface Product {
  readonly batch: number;
  readonly m: number;
  readonly k: number;
  readonly n: number;
  /** Operands that lie the other way round. */
  readonly turned: readonly [boolean, boolean];
  /** Operands that are rounded on the way, from f32. */
  readonly cast: readonly [boolean, boolean];
  /** Which of rows, depth and columns are symbolic. */
  readonly symbolic: readonly [boolean, boolean, boolean];
  readonly epilogue: boolean;
}

const pair = fc.tuple(fc.boolean(), fc.boolean());
const product: fc.Arbitrary<Product> = fc.record({
  batch: fc.constantFrom(1, 1, 2),
  m: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 10, max: 75 })),
  k: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 41, max: 150 })),
  n: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 21, max: 110 })),
  turned: pair,
  cast: pair,
  symbolic: fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()),
  epilogue: fc.boolean(),
});

/** How much larger than its value a var may be. */
const ROOM = 13;

/** A product as graph, its inputs, and the values of its vars; static where `symbolic` is not wanted. */
function build(p: Product, symbolic: readonly boolean[]) {
  const vars = new Map<string, number>();
  const sizes = [p.m, p.k, p.n].map((size, i) => {
    if (!symbolic[i]) return size;
    vars.set('mkn'[i], size);
    return variable('mkn'[i], 0, size + ROOM);
  });
  const room = [p.m, p.k, p.n].map((size, i) => (symbolic[i] ? size + ROOM : size));
  const inputs: g.BufferNode[] = [];
  const values: TypedArray[] = [];
  const operand = (i: 0 | 1, line: 0 | 2): Node => {
    const lineFirst = (i === 0) !== p.turned[i];
    const order = lineFirst ? [line, 1] : [1, line];
    const input = g.bufferNode(
      p.cast[i] ? 'f32' : 'bf16',
      [p.batch, ...order.map((s) => sizes[s])],
      `x${i}`,
    );
    const [rows, columns] = order.map((s) => room[s]);
    const all = numbers(i + 1, p.batch * 400 * 400);
    const value = (group: number, at: readonly number[]) =>
      all[(group * 400 + at[order.indexOf(line)]) * 400 + at[order.indexOf(1)]];
    const floats = Float32Array.from({ length: p.batch * rows * columns }, (_, e) =>
      value(Math.floor(e / (rows * columns)), [Math.floor(e / columns) % rows, e % columns]),
    );
    inputs.push(input);
    values.push(p.cast[i] ? floats : Uint16Array.from(floats, (x) => encodeFloat('bf16', x)));
    const wanted = lineFirst === (i === 0) ? input : g.permute(input, [0, 2, 1]);
    return p.cast[i] ? g.cast(wanted, 'bf16') : wanted;
  };
  const dot = g.dot(operand(0, 0), operand(1, 2), 1, 1);
  const out = p.epilogue
    ? g.binary('mul', g.cast(dot, 'f32'), g.unary('exp', g.unary('neg', g.cast(dot, 'f32'))))
    : dot;
  return { out, inputs, values, vars, room };
}

/** The elements that count of a result, in which symbolic axes have room for more. */
function valid(p: Product, result: TypedArray, [rows, , columns]: readonly number[]): number[] {
  const list: number[] = [];
  for (let group = 0; group < p.batch; group++) {
    for (let i = 0; i < p.m; i++) {
      for (let j = 0; j < p.n; j++) list.push(Number(result[(group * rows + i) * columns + j]));
    }
  }
  return list;
}

describe('products of bf16', () => {
  it.each(WAYS)('by %s: any shape, order and neighbour gives the same bits', async (way) => {
    await fc.assert(
      fc.asyncProperty(product, async (p) => {
        const fixed = build(p, [false, false, false]);
        const run = async (device: Parameters<typeof runGraph>[0], c: ReturnType<typeof build>) => {
          const [result] = await runGraph(device, [c.out], c.inputs, c.values, {}, c.vars);
          return valid(p, result, c.room);
        };
        const wanted = await run(interpreters[way], fixed);
        const symbolic = build(p, p.symbolic);
        expect(await run(interpreters[way], symbolic)).toEqual(wanted);
        for (const { guarded, threads } of native(way)) {
          expect(await run(guarded, fixed)).toEqual(wanted);
          expect(await run(guarded, symbolic)).toEqual(wanted);
          expect(await run(threads, fixed)).toEqual(wanted);
        }
      }),
      { numRuns: 25 },
    );
  });

  it.each(WAYS)('by %s: near the exact sum, whatever the depth', async (way) => {
    for (const k of [1, 31, 33, 2048, 2100]) {
      const shape = { batch: 1, m: 3, k, n: 5, epilogue: false };
      const plain = { turned: [false, false], cast: [false, false] } as const;
      const c = build({ ...shape, ...plain, symbolic: [false, false, false] }, []);
      const small = k > 400 ? longProduct(k) : c;
      const [result] = await runGraph(interpreters[way], [small.out], small.inputs, small.values);
      const [x, y] = small.values.map((v) =>
        Array.from(v, (bits) => decodeFloat('bf16', bits as number)),
      );
      for (let i = 0; i < 15; i++) {
        const [row, column] = [Math.floor(i / 5), i % 5];
        let [sum, size] = [0, 0];
        for (let j = 0; j < k; j++) {
          const term = x[row * k + j] * y[j * 5 + column];
          sum += term;
          size += Math.abs(term);
        }
        // Rounded to 8 bits once; sums of f32 err by far less.
        const error = Math.abs(decodeFloat('bf16', result[i] as number) - sum);
        expect(error).toBeLessThanOrEqual(Math.abs(sum) * 2 ** -8 + size * k * 2 ** -24);
      }
    }
  });

  it('use tiles and pairs where the target has them, and f32 elsewhere', () => {
    const { out, inputs } = build(
      {
        batch: 1,
        m: 4,
        k: 40,
        n: 20,
        turned: [false, false],
        cast: [true, false],
        symbolic: [false, false, false],
        epilogue: true,
      },
      [],
    );
    const kinds = (kernelTarget: KernelTarget) => {
      const found = new Set<string>();
      const visit = (body: readonly Statement[]) => {
        for (const s of body) {
          found.add(s.kind);
          if (s.kind === 'loop') visit(s.body);
        }
      };
      for (const { body } of compileProgram([out], inputs, { kernelTarget }).kernels) visit(body);
      return found;
    };
    expect(kinds(targetOf('tiles')).has('tileDot')).toBe(true);
    expect(kinds(targetOf('pairs')).has('pairDot')).toBe(true);
    const without = kinds({ ...targetOf('pairs'), bf16: undefined });
    expect(without.has('fma')).toBe(true);
    expect(without.has('pairDot') || without.has('tileDot')).toBe(false);
  });
});

/** Three rows by five columns over a depth beyond one block. */
function longProduct(k: number) {
  const x = g.bufferNode('bf16', [3, k], 'x');
  const y = g.bufferNode('bf16', [k, 5], 'y');
  const values = [numbers(1, 3 * k), numbers(2, 5 * k)].map((list) =>
    Uint16Array.from(list, (v) => encodeFloat('bf16', v)),
  );
  return { out: g.dot(x, y, 0, 1), inputs: [x, y], values };
}
