import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KernelBuilder } from '../../src/ir/kernel/builder.ts';
import {
  add,
  constant,
  laneAtom,
  mod,
  mul,
  sub,
  varIndex,
  ZERO,
} from '../../src/ir/kernel/index-expr.ts';
import { interpretKernel } from '../../src/ir/kernel/interpret.ts';
import { kernelKey, printKernel } from '../../src/ir/kernel/print.ts';
import { type Kernel, type ValueDType, WASM_KERNELS } from '../../src/ir/kernel/types.ts';
import { variable } from '../../src/ir/shape.ts';
import { anyRecipe, buildRecipe, type Form, recipeArguments } from '../support/random-kernel.ts';

const LANE = laneAtom(WASM_KERNELS.lanes);

interface Choices {
  readonly names?: readonly [string, string, string, string];
  /** Values and loops made and thrown away first, so that ids differ. */
  readonly waste?: number;
  readonly size?: number;
  readonly max?: number;
  readonly what?: string;
  readonly other?: number;
  readonly kind?: 'serial' | 'thread';
}

/** A kernel with all that an index can hold. */
function gather(choices: Choices = {}): Kernel {
  const { names = ['gather', 'x', 'at', 'n'], waste = 0, size = 40, max = 9 } = choices;
  const { what = 'rows', other = 0, kind = 'serial' } = choices;
  const b = new KernelBuilder(WASM_KERNELS);
  for (let i = 0; i < waste; i++) {
    try {
      // A build that fails half-way leaves its numbers used.
      b.loop(3, 'serial', [], () => {
        throw new Error('given up');
      });
    } catch {
      // The builder is still in that loop; a fresh look at depth 0 goes on outside it.
    }
  }
  return b.at(0, () => {
    const x = b.buffer(names[1], 'bf16', size, 'in');
    const at = b.buffer(names[2], 'i32', 16, 'in');
    const out = b.buffer('out', 'f32', 160, 'out');
    const n = varIndex(variable(names[3], 1, max));
    b.loop(n, kind, [], (i) => {
      const row = b.checked(b.load(at, i), 4, what);
      b.loop(3, 'serial', [], (j) => {
        const column = add(mul(j, 4), LANE);
        const place = add(mul(row, 10), column);
        const value = b.load(x, place, [sub(constant(9), column)], other);
        b.store(out, add(mul(i, 16), column), value);
      });
      b.store(out, add(mul(i, 16), mod(add(i, 5), 7)), b.index(add(i, 3)));
    });
    return b.build(names[0]);
  });
}

describe('the printer', () => {
  test('shows one statement a line, numbered in order', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const x = b.buffer('x', 'f32', 64, 'in');
    const y = b.buffer('y', 'bf16', 64, 'out');
    const n = varIndex(variable('n', 1, 8));
    b.loop(n, 'thread', [], (i) => {
      const start = b.splat(b.const('f32', -0));
      const [sum] = b.loop(2, 'reduce', [start], (j, [acc]) => [
        b.binary('add', acc, b.load(x, add(add(mul(i, 8), mul(j, 4)), LANE))),
      ]);
      b.store(y, add(mul(i, 8), LANE), sum);
      const next = add(i, 1);
      const value = b.load(x, next, [sub(sub(n, 1), next)], Number.NaN);
      b.store(y, add(mul(i, 8), 7), value);
    });
    expect(printKernel(b.build('sum'))).toBe(
      [
        'kernel sum b0=x b1=y $0=n',
        'b0 in f32[64]',
        'b1 out bf16[64]',
        '$0 1..8',
        '%0:f32 = const -0',
        '%1:f32x4 = splat %0',
        'thread i0 < $0',
        '  reduce i1 < 2 %2:f32x4 = %1',
        '    %3:f32x4 = load b0[4*i1 + 8*i0 : 1]',
        '    %4:f32x4 = add %2 %3',
        '  next %4 -> %5:f32x4',
        '  store b1[8*i0] %5',
        '  %6:f32 = load b0[i0 + 1] if $0 + -1*i0 - 2 >= 0 else NaN',
        '  store b1[8*i0 + 7] %6',
        '',
      ].join('\n'),
    );
  });

  test('shows each kind of value', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const out = b.buffer('out', 'i32', 8, 'out');
    const local = b.buffer('scratch', 'u8', 8, 'local');
    const one = b.const('f32', 1.5);
    const v = b.pack([one, b.unary('neg', one), one, one]);
    const w = b.select(b.compare('le', v, b.splat(one)), v, b.fma(v, v, v));
    const bits = b.bitcast(b.lane(w, 2), 'i32');
    b.store(local, ZERO, b.convert(bits, 'u32'));
    const place = b.checked(bits, 8, 'a "name"');
    b.store(out, place, b.index(add(mul(LANE, 2), varIndex(variable('n', 0, 3)))), [
      sub(constant(4), place),
    ]);
    expect(printKernel(b.build('kinds'))).toBe(
      [
        'kernel kinds b0=out l0=scratch $0=n',
        'b0 out i32[8]',
        'l0 local u8[8]',
        '$0 0..3',
        '#0 "a \\"name\\""',
        '%0:f32 = const 1.5',
        '%1:f32 = neg %0',
        '%2:f32x4 = pack %0 %1 %0 %0',
        '%3:f32x4 = splat %0',
        '%4:boolx4 = le %2 %3',
        '%5:f32x4 = fma %2 %2 %2',
        '%6:f32x4 = select %4 %2 %5',
        '%7:f32 = lane %6 2',
        '%8:i32 = bitcast %7',
        '%9:u32 = convert %8',
        'store l0[0] %9',
        '%10:i32 = checked %8 < 8 #0',
        '%11:i32x4 = index $0 : 2',
        'store b0[%10] %11 if -1*%10 + 4 >= 0',
        '',
      ].join('\n'),
    );
  });

  test('gives equal keys to kernels that differ in names and numbers only', () => {
    const key = kernelKey(gather());
    expect(kernelKey(gather({ names: ['other', 'a', 'b', 'm'] }))).toBe(key);
    // Loops 9 and 10 sort the other way round than 0 and 1.
    for (const waste of [1, 8, 9, 10, 99]) expect(kernelKey(gather({ waste }))).toBe(key);
    expect(printKernel(gather()).split('\n').slice(1).join('\n')).toBe(key);
  });

  const different: [string, Choices][] = [
    ['a size', { size: 41 }],
    ['a bound of a var', { max: 8 }],
    ['the text of a check', { what: 'columns' }],
    ['the value where a mask fails', { other: 1 }],
    ['the sign of that value', { other: -0 }],
    ['the kind of a loop', { kind: 'thread' }],
  ];
  test.each(different)('gives another key for another %s', (_, choices) => {
    expect(kernelKey(gather(choices))).not.toBe(kernelKey(gather()));
  });

  test('keeps constants apart to the last bit', () => {
    const keyOf = (dtype: ValueDType, value: number) => {
      const b = new KernelBuilder(WASM_KERNELS);
      b.store(b.buffer('out', dtype, 1, 'out'), ZERO, b.const(dtype, value));
      return kernelKey(b.build('constant'));
    };
    const values = [0, -0, 1, 1 + 2 ** -52, 0.1, 1e21, 5e-324, Infinity, -Infinity, Number.NaN];
    const keys = values.flatMap((v) => [keyOf('f32', v), keyOf('f64', v)]);
    expect(new Set(keys).size).toBe(keys.length);
  });

  test('kernels with equal keys do the same', () => {
    const form = fc.constantFrom<Form[]>('scalar', 'vector', 'masked');
    fc.assert(
      fc.property(anyRecipe(), form, (recipe, which) => {
        const [first, second] = [buildRecipe(recipe, which), buildRecipe(recipe, which)];
        expect(kernelKey(first)).toBe(kernelKey(second));
        expect(printKernel(first)).not.toMatch(/\?|undefined|\[object/);
        const args = recipeArguments(recipe, first);
        const again = recipeArguments(recipe, second);
        interpretKernel(first, args);
        interpretKernel(second, again);
        expect(again).toEqual(args);
      }),
      { numRuns: 300 },
    );
  });
});
