import { describe, expect, test } from 'vitest';
import { emitWasm } from '../../src/compile/index.ts';
import { turnSquare } from '../../src/compile/kernels/square.ts';
import { KernelBuilder } from '../../src/ir/kernel/builder.ts';
import {
  add,
  constant,
  type Index,
  laneAtom,
  mod,
  sub,
  varIndex,
  ZERO,
} from '../../src/ir/kernel/index-expr.ts';
import { interpretKernel } from '../../src/ir/kernel/interpret.ts';
import { printKernel } from '../../src/ir/kernel/print.ts';
import type { Kernel, KernelTarget, Mask, Statement } from '../../src/ir/kernel/types.ts';
import { verifyKernel } from '../../src/ir/kernel/verify.ts';
import { variable } from '../../src/ir/shape.ts';

const EIGHT: KernelTarget = { lanes: 8, laneMasks: true, wideByteDot: true, hints: true };
const BARE: KernelTarget = { lanes: 8, laneMasks: false, wideByteDot: false, hints: true };
const SIXTEEN: KernelTarget = { lanes: 16, laneMasks: true, wideByteDot: true, hints: true };

/** Copies `size` of 20 elements from `start` on where a mask of the lane holds. */
function copy(target: KernelTarget, mask: (lane: Index) => Mask, start: Index = ZERO): Kernel {
  const b = new KernelBuilder(target);
  const x = b.buffer('x', 'f32', 20, 'in');
  const out = b.buffer('out', 'f32', 20, 'out');
  const place = add(start, b.laneIndex);
  b.store(out, place, b.load(x, place, mask(b.laneIndex), -1), mask(b.laneIndex));
  return b.build('copy');
}

function memory(kernel: Kernel): Extract<Statement, { kind: 'load' | 'store' }>[] {
  return kernel.body.filter((s) => s.kind === 'load' || s.kind === 'store');
}

describe('masks of lanes', () => {
  const below = (count: number) => (lane: Index) => [sub(constant(count - 1), lane)];

  test('make one access where the target has them, else one for each lane', () => {
    expect(memory(copy(EIGHT, below(5)))).toHaveLength(2);
    // The builder knows that lanes from 5 on take no part.
    expect(memory(copy(BARE, below(5)))).toHaveLength(10);
    expect(printKernel(copy(EIGHT, below(5)))).toContain('if -1*lane + 4 >= 0 else -1');
  });

  test('vanish where they always hold', () => {
    expect(memory(copy(EIGHT, below(8))).map((s) => s.mask)).toEqual([[], []]);
  });

  test.each([
    ['8 lanes', EIGHT],
    ['16 lanes', SIXTEEN],
    ['8 lanes, one by one', BARE],
  ] as const)('read and write the lanes in which they hold: %s', (_, target) => {
    const n = varIndex(variable('n', 0, 20));
    const last = 20 - target.lanes;
    const start = varIndex(variable('s', 0, 20));
    const kernel = copy(target, (lane) => [sub(sub(n, 1), add(start, lane))], start);
    verifyKernel(kernel, target);
    const x = Float32Array.from({ length: 20 }, (_x, i) => i + 1);
    const order = kernel.vars.map((v) => v.name);
    for (const [from, count] of [
      [0, 20],
      [0, 5],
      [last + 3, 20],
      [19, 20],
      [7, 3],
    ]) {
      const out = new Float32Array(20);
      const vars = order.map((name) => (name === 'n' ? count : from));
      interpretKernel(kernel, { buffers: [x, out], vars });
      const inside = (i: number) => i >= from && i < from + target.lanes && i < count;
      expect([...out]).toEqual([...x].map((value, i) => (inside(i) ? value : 0)));
    }
  });

  test('give `other` in lanes that read nothing, at one place too', () => {
    const b = new KernelBuilder(EIGHT);
    const x = b.buffer('x', 'i32', 1, 'in');
    const out = b.buffer('out', 'i32', 8, 'out');
    const mask = [sub(b.laneIndex, 3), sub(constant(5), b.laneIndex)];
    b.store(out, b.laneIndex, b.load(x, ZERO, mask, 9));
    const kernel = b.build('one_place');
    verifyKernel(kernel, EIGHT);
    expect(memory(kernel)).toHaveLength(2);
    const array = new Int32Array(8);
    interpretKernel(kernel, { buffers: [Int32Array.of(4), array], vars: [] });
    expect([...array]).toEqual([9, 9, 9, 4, 4, 4, 9, 9]);
  });

  test('that are uneven are asked lane by lane', () => {
    const kernel = copy(EIGHT, (lane) => [sub(mod(lane, 3), 1)]);
    verifyKernel(kernel, EIGHT);
    expect(memory(kernel).every((s) => s.mask.length === 0)).toBe(true);
    const [x, out] = [Float32Array.from({ length: 20 }, (_, i) => i + 1), new Float32Array(20)];
    interpretKernel(kernel, { buffers: [x, out], vars: [] });
    expect([...out.subarray(0, 9)]).toEqual([0, 2, 3, 0, 5, 6, 0, 8, 0]);
  });

  const refused: readonly [string, KernelTarget, (kernel: Kernel) => void, RegExp][] = [
    ['where the target has none', BARE, () => {}, /the mask depends on the lane/],
    [
      'of another width',
      EIGHT,
      (k) => Object.assign(memory(k)[0], { mask: [sub(constant(4), laneAtom(16))] }),
      /a mask of 16 lanes/,
    ],
    [
      'that are uneven',
      EIGHT,
      (k) => Object.assign(memory(k)[0], { mask: [sub(mod(laneAtom(8), 3), 1)] }),
      /not depend evenly on the lane/,
    ],
    [
      'that let a lane out of the buffer',
      EIGHT,
      (k) => Object.assign(memory(k)[1], { index: constant(17) }),
      /an access beyond the end of out\[20\]/,
    ],
  ];
  test.each(refused)('%s are refused', (_, target, damage, message) => {
    const kernel = copy(EIGHT, below(5));
    damage(kernel);
    expect(() => verifyKernel(kernel, target)).toThrow(message);
  });

  test('of single accesses are refused', () => {
    const b = new KernelBuilder(EIGHT);
    const value = b.load(b.buffer('x', 'f32', 1, 'in'), ZERO);
    b.store(b.buffer('out', 'f32', 1, 'out'), ZERO, value);
    const kernel = b.build('single');
    verifyKernel(kernel, EIGHT);
    Object.assign(memory(kernel)[0], { mask: [sub(constant(4), b.laneIndex)] });
    expect(() => verifyKernel(kernel, EIGHT)).toThrow(/the mask of a single access/);
  });

  test('never reach WebAssembly, nor do wide vectors', () => {
    const program = (kernel: Kernel) => ({
      kernels: [kernel],
      steps: [
        {
          kernel: 0,
          label: kernel.name,
          barrier: false,
          instructions: 1,
          places: [{ kind: 'input', index: 0 } as const, { kind: 'output', index: 0 } as const],
        },
      ],
      inputs: [],
      outputs: [],
      vars: kernel.vars,
      scratchBytes: 0,
      localBytes: 0,
      firstCommit: 1,
      instructions: 1,
    });
    const target = { kind: 'wasm', relaxedSimd: true, maximumPages: 1, threads: 1 } as const;
    const wide = copy(EIGHT, below(5));
    expect(() => emitWasm(program(wide), target)).toThrow(/no vectors of 8 lanes/);
    const masked = copy({ lanes: 4, laneMasks: true, wideByteDot: false, hints: true }, below(3));
    expect(() => emitWasm(program(masked), target)).toThrow(/no masks for lanes/);
  });
});

describe('kernels of a width', () => {
  test('refuse values and indices of another', () => {
    const b = new KernelBuilder(EIGHT);
    const out = b.buffer('out', 'f32', 16, 'out');
    b.store(out, b.laneIndex, b.const('f32', 1));
    const kernel = b.build('wide');
    expect(() => verifyKernel({ ...kernel, lanes: 16 }, EIGHT)).toThrow(/8 lanes/);
    expect(() => verifyKernel({ ...kernel, lanes: 5 }, EIGHT)).toThrow(/vectors of 5 lanes/);
  });

  test('multiply any bytes where sums are wide', () => {
    const build = (target: KernelTarget) => {
      const b = new KernelBuilder(target);
      const [x, y] = [b.buffer('x', 'i8', 32, 'in'), b.buffer('y', 'u8', 32, 'in')];
      const out = b.buffer('out', 'i32', 8, 'out');
      b.store(out, b.laneIndex, b.byteDot([b.words(x, ZERO)], [b.words(y, ZERO)]));
      return b.build('bytes');
    };
    expect(() => verifyKernel(build(BARE), BARE)).toThrow(/sums may wrap/);
    const kernel = build(EIGHT);
    verifyKernel(kernel, EIGHT);
    const [x, y] = [new Int8Array(32).fill(-128), new Uint8Array(32).fill(255)];
    const out = new Int32Array(8);
    interpretKernel(kernel, { buffers: [x, y, out], vars: [] });
    expect([...out]).toEqual(new Array(8).fill(4 * -128 * 255));
  });

  test.each([4, 8, 16] as const)('turn squares of %i rows', (lanes) => {
    const target = { lanes, laneMasks: false, wideByteDot: false, hints: true };
    const b = new KernelBuilder(target);
    const x = b.buffer('x', 'i32', lanes * lanes, 'in');
    const out = b.buffer('out', 'i32', lanes * lanes, 'out');
    const at = (row: number) => add(constant(row * lanes), b.laneIndex);
    const rows = b.eachLane((row) => b.load(x, at(row)));
    turnSquare(b, rows).forEach((column, i) => {
      b.store(out, at(i), column);
    });
    const kernel = b.build('square');
    verifyKernel(kernel, target);
    const shuffles = kernel.body.filter((s) => s.kind === 'shuffle');
    expect(shuffles).toHaveLength(lanes * Math.log2(lanes));
    const got = new Int32Array(lanes * lanes);
    const numbered = Int32Array.from({ length: lanes * lanes }, (_, i) => i);
    interpretKernel(kernel, { buffers: [numbered, got], vars: [] });
    const turned = Array.from(got, (_, i) => (i % lanes) * lanes + Math.floor(i / lanes));
    expect([...got]).toEqual(turned);
  });
});
