import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KernelBuilder } from '../../src/ir/kernel/builder.ts';
import {
  add,
  atomIndex,
  constant,
  type Index,
  laneAtom,
  mul,
  range,
  sub,
  varIndex,
  ZERO,
} from '../../src/ir/kernel/index-expr.ts';
import { interpretKernel } from '../../src/ir/kernel/interpret.ts';
import { operandsOf } from '../../src/ir/kernel/operands.ts';
import {
  type Kernel,
  type Loop,
  type Statement,
  type Value,
  WASM_KERNELS,
} from '../../src/ir/kernel/types.ts';
import { verifyKernel } from '../../src/ir/kernel/verify.ts';
import { variable } from '../../src/ir/shape.ts';
import { anyRecipe, buildRecipe, type Form, recipeArguments } from '../support/random-kernel.ts';

const LANE = laneAtom(WASM_KERNELS.lanes);

/** Changes a part of a kernel in place, as only a defect could. */
function change<T extends object>(part: T, fields: Partial<Record<keyof T, unknown>>): void {
  Object.assign(part, fields);
}

/** All statements but those that never run: of them anything can be proven. */
function allStatements(block: readonly Statement[]): Statement[] {
  return block.flatMap((s) => {
    if (s.kind !== 'loop') return [s];
    return range(s.atom.extent).max <= 0 ? [] : [s, ...allStatements(s.body)];
  });
}

function ofKind<K extends Statement['kind']>(kernel: Kernel, kind: K) {
  const found = allStatements(kernel.body).filter((s) => s.kind === kind);
  return found as Extract<Statement, { kind: K }>[];
}

/** Rows of a vector kernel with a masked load, a reduction, a tail and a gather. */
function sample(): Kernel {
  const b = new KernelBuilder(WASM_KERNELS);
  const n = varIndex(variable('n', 1, 10));
  const x = b.buffer('x', 'f32', 12, 'in');
  const at = b.buffer('at', 'i32', 4, 'in');
  const out = b.buffer('out', 'f32', 12, 'out');
  const row = b.buffer('row', 'f32', 4, 'local');
  b.loop(3, 'thread', [], (i) => {
    const start = b.splat(b.const('f32', 0));
    const [sum] = b.loop(2, 'reduce', [start], (j, [acc]) => {
      const place = add(add(mul(i, 4), LANE), sub(mul(j, 4), 4));
      return [b.binary('add', acc, b.load(x, place, [place]))];
    });
    b.store(row, LANE, sum);
    const scaled = b.binary('mul', b.load(row, LANE), b.splat(b.const('f32', 2)));
    b.store(out, add(mul(i, 4), LANE), scaled);
  });
  b.loop(n, 'serial', [], (i) => {
    const place = b.checked(b.load(at, ZERO), 12, 'x');
    const value = b.load(x, place);
    const big = b.compare('lt', b.const('f32', 1), value);
    b.store(out, i, b.select(big, value, b.unary('sqrt', value)));
  });
  return b.build('sample');
}

const words = (b: KernelBuilder, value: number) => b.splat(b.const('i32', value));

describe('the verifier', () => {
  test('accepts the sample', () => {
    verifyKernel(sample());
  });

  const wrong: [string, (kernel: Kernel) => void, RegExp][] = [
    [
      'a store to an input',
      (k) => change(k.buffers[2], { role: 'in' }),
      /a store to out, which is only read in 'store/,
    ],
    [
      'a store beyond the end',
      (k) => change(ofKind(k, 'store')[1], { index: constant(9) }),
      /beyond the end of out\[12\] .* may be -1 \(index in 9 \.\. 9, 4 lanes of step 1\)/,
    ],
    [
      'a store below 0',
      (k) => change(ofKind(k, 'store')[1], { index: constant(-1) }),
      /below 0 of out\[12\] .* may be -1/,
    ],
    [
      'a masked load whose mask says too little',
      (k) => {
        const load = ofKind(k, 'load').find((l) => l.mask.length > 0) as Value;
        if (load.kind === 'load') change(load, { mask: [add(load.mask[0], 12)] });
      },
      /below 0 of x\[12\]/,
    ],
    [
      'a step that leaves the buffer',
      (k) => {
        const load = ofKind(k, 'load').find((l) => l.buffer.role === 'local') as Value;
        change(load as Extract<Value, { kind: 'load' }>, { step: -1 });
      },
      /below 0 of row\[4\]/,
    ],
    ['a smaller buffer', (k) => change(k.buffers[0], { size: 11 }), /beyond the end of x\[11\]/],
    [
      'an undeclared buffer',
      (k) => change(k, { buffers: k.buffers.slice(1) }),
      /buffer x is not declared/,
    ],
    ['an undeclared local', (k) => change(k, { locals: [] }), /buffer row is not declared/],
    ['an undeclared var', (k) => change(k, { vars: [] }), /var n in 1 \.\. 10 is not declared/],
    [
      'a var with other bounds',
      (k) => change(k, { vars: [variable('n', 1, 9)] }),
      /var n in 1 \.\. 10 is not declared/,
    ],
    ['a local among the arguments', (k) => change(k.buffers[0], { role: 'local' }), /is local/],
    ['a check without text', (k) => change(k, { checks: [] }), /there is no check 0/],
    [
      'data that is neither checked nor limited',
      (k) => {
        const [checked] = ofKind(k, 'checked');
        change(checked, { check: undefined });
      },
      /an index below 12 is neither checked nor proven/,
    ],
    [
      'a value before its definition',
      (k) => change(k, { body: [...k.body].reverse() }),
      /is not defined yet/,
    ],
    [
      'a value from inside a loop, outside',
      (k) => {
        const loops = ofKind(k, 'loop');
        const inner = loops[0].body.find((s) => s.kind === 'binary') as Value;
        change(ofKind(k, 'store')[2], { value: inner });
      },
      /is out of scope/,
    ],
    [
      'a loop atom outside its loop',
      (k) => {
        const [outer] = ofKind(k, 'loop');
        change(ofKind(k, 'store')[2], { index: atomIndex(outer.atom) });
      },
      /uses loop i0 outside it/,
    ],
    [
      'a lane in an index',
      (k) => change(ofKind(k, 'store')[2], { index: LANE }),
      /still depends on the lane/,
    ],
    [
      'data that was not checked',
      (k) => {
        const [checked] = ofKind(k, 'checked');
        change(checked, { size: 13 });
      },
      /is no checked value here/,
    ],
    [
      'an index that is not an integer',
      (k) => change(ofKind(k, 'store')[2], { index: mul(constant(1), 0.5) }),
      /is not of integers/,
    ],
    [
      'operands of two types',
      (k) => change(ofKind(k, 'binary')[0], { dtype: 'i32' }),
      /i32 against f32/,
    ],
    ['operands of two widths', (k) => change(ofKind(k, 'splat')[0], { lanes: 1 }), /lanes/],
    ['three lanes', (k) => change(ofKind(k, 'splat')[0], { lanes: 3 }), /3 lanes/],
    [
      'a comparison that is no bool',
      (k) => change(ofKind(k, 'compare')[0], { dtype: 'f32' }),
      /f32 instead of bool/,
    ],
    [
      'a condition that is no bool',
      (k) => {
        const [select] = ofKind(k, 'select');
        change(select, { condition: select.a });
      },
      /f32 instead of bool/,
    ],
    ['a shift of floats', (k) => change(ofKind(k, 'binary')[1], { fn: 'shl' }), /shl of f32/],
    ['and of floats', (k) => change(ofKind(k, 'binary')[1], { fn: 'and' }), /and of f32/],
    ['not of floats', (k) => change(ofKind(k, 'unary')[0], { fn: 'not' }), /not of f32/],
    [
      'a load of another type than its buffer',
      (k) => change(k.buffers[0], { dtype: 'u8' }),
      /f32 from a buffer of u8/,
    ],
    [
      'a store of another type than its buffer',
      (k) => change(k.buffers[2], { dtype: 'i8' }),
      /f32 into a buffer of i8/,
    ],
    [
      'a carried value that changes its width',
      (k) => {
        const loop = ofKind(k, 'loop').find((l) => l.carried.length > 0) as Loop;
        change(loop.carried[0], { init: ofKind(k, 'const')[0] });
      },
      /a carried value changes: 4 against 1 lanes/,
    ],
    [
      'a thread loop that carries',
      (k) =>
        change(ofKind(k, 'loop').find((l) => l.carried.length > 0) as Loop, {
          loopKind: 'thread',
        }),
      /a thread loop carries/,
    ],
    ['a wrong depth', (k) => change(ofKind(k, 'const')[0], { depth: 1 }), /depth 1 at depth 0/],
    [
      'a value defined twice',
      (k) => change(k, { body: [k.body[0], ...k.body] }),
      /is defined twice/,
    ],
  ];
  test.each(wrong)('refuses %s', (_, damage, message) => {
    const kernel = sample();
    damage(kernel);
    expect(() => verifyKernel(kernel)).toThrow(message);
  });

  test('names kernel and statement', () => {
    const kernel = sample();
    change(kernel.buffers[0], { size: 11 });
    expect(() => verifyKernel(kernel)).toThrow(/^kernel sample: .* in '%8:f32 = load b0\[/);
  });

  const types: [string, (b: KernelBuilder) => unknown, RegExp][] = [
    ['sqrt of i32', (b) => b.unary('sqrt', b.const('i32', 1)), /sqrt of i32/],
    ['neg of bool', (b) => b.unary('neg', b.const('bool', 1)), /neg of bool/],
    ['add of bool', (b) => b.binary('add', b.const('bool', 1), b.const('bool', 0)), /add of bool/],
    ['shl of bool', (b) => b.binary('shl', b.const('bool', 1), b.const('bool', 0)), /shl of bool/],
    ['lt of bool', (b) => b.compare('lt', b.const('bool', 1), b.const('bool', 0)), /lt of bool/],
    [
      'fma of i32',
      (b) => b.fma(b.const('i32', 1), b.const('i32', 2), b.const('i32', 3)),
      /fma of i32/,
    ],
    [
      'fma of two types',
      (b) => b.fma(b.const('f32', 1), b.const('f64', 2), b.const('f64', 3)),
      /f64 against f32/,
    ],
    [
      'select of two types',
      (b) => b.select(b.const('bool', 1), b.const('i32', 2), b.const('u32', 3)),
      /i32 against u32/,
    ],
    ['bitcast of f64', (b) => b.bitcast(b.const('f64', 1), 'i32'), /bitcast of f64 to i32/],
    ['bitcast to bool', (b) => b.bitcast(b.const('i32', 1), 'bool'), /bitcast of i32 to bool/],
    ['an i32 that is none', (b) => b.const('i32', 2 ** 31), /2147483648 as i32/],
    ['a fraction as u32', (b) => b.const('u32', 0.5), /0.5 as u32/],
    ['a bool of 2', (b) => b.const('bool', 2), /2 as bool/],
    [
      'place 8 of two vectors',
      (b) => b.shuffle(b.splat(b.const('f32', 1)), b.splat(b.const('f32', 2)), [0, 1, 2, 8]),
      /place 8/,
    ],
    [
      'a shuffle of single values',
      (b) => b.shuffle(b.const('f32', 1), b.splat(b.const('f32', 2)), [0, 1, 2, 3]),
      /1 instead of 4 lanes/,
    ],
    [
      'a byteDot of factors that nobody bounds',
      (b) => b.byteDot([words(b, 1)], [words(b, 2)]),
      /bytes of Infinity in all: sums may wrap/,
    ],
    [
      'a byteDot of factors of 8 bits',
      (b) => b.byteDot([words(b, 1)], [b.binary('and', words(b, 2), words(b, 0x0f80))]),
      /bytes of Infinity/,
    ],
    [
      'a byteDot of so many factors that sums of 16 bits wrap',
      (b) => {
        const small = b.binary('and', words(b, 2), words(b, 0x0f0f0f0f));
        const nine = Array.from({ length: 9 }, () => small);
        b.byteDot(nine, nine);
      },
      /bytes of 135 in all: sums may wrap/,
    ],
    ['a byteDot of unequal lists', (b) => b.byteDot([words(b, 1)], []), /1 against 0 factors/],
    [
      'a byteDot of single values',
      (b) => b.byteDot([words(b, 1)], [b.binary('and', b.const('i32', 1), b.const('i32', 15))]),
      /4 against 1 lanes/,
    ],
    [
      'words beyond the end',
      (b) => b.words(b.buffer('x', 'u8', 31, 'in'), constant(16)),
      /an access beyond the end of x\[31\]/,
    ],
    [
      'words of a buffer of f32',
      (b) => b.words(b.buffer('x', 'f32', 32, 'in'), ZERO),
      /words from a buffer of f32/,
    ],
    ['lane 4', (b) => b.lane(b.splat(b.const('f32', 1)), 4), /lane 4 of 4/],
    [
      'an index that wraps as i32',
      (b) => b.index(mul(varIndex(variable('n', 0, 2 ** 20)), 4096)),
      /is no i32/,
    ],
  ];
  test.each(types)('refuses %s', (_, make, message) => {
    const b = new KernelBuilder(WASM_KERNELS);
    make(b);
    expect(() => verifyKernel(b.build('types'))).toThrow(message);
  });

  test('takes a mask for what it implies: a padded image', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const x = b.buffer('x', 'f32', 35, 'in');
    const out = b.buffer('out', 'f32', 1, 'out');
    b.loop(9, 'serial', [], (i) => {
      b.loop(7, 'serial', [], (j) => {
        const [row, column] = [sub(i, 1), sub(j, 1)];
        const mask: Index[] = [row, sub(constant(6), row), column, sub(constant(4), column)];
        b.store(out, ZERO, b.load(x, add(mul(row, 5), column), mask));
      });
    });
    verifyKernel(b.build('padded'));
  });
});

/** Makes one random change that no builder would; gives false where it cannot. */
type Damage = (kernel: Kernel, pick: number) => boolean;

const damages: { readonly [name: string]: Damage } = {
  'an index moved beyond the end': (kernel, pick) => move(kernel, pick, 1),
  'an index moved below 0': (kernel, pick) => move(kernel, pick, -1),
  'a store to an input': (kernel) => {
    for (const b of kernel.buffers) if (b.role === 'out') change(b, { role: 'in' });
    return ofKind(kernel, 'store').some((s) => s.buffer.role === 'in');
  },
  'another type': (kernel, pick) => {
    const values = allStatements(kernel.body).filter(
      (s) => s.kind === 'load' || s.kind === 'binary' || s.kind === 'select' || s.kind === 'fma',
    ) as Value[];
    if (values.length === 0) return false;
    const value = values[pick % values.length];
    change(value, { dtype: value.dtype === 'f32' ? 'u32' : 'f32' });
    return true;
  },
  'a missing statement': (kernel, pick) => {
    const all = allStatements(kernel.body);
    const used = new Set<Statement>();
    for (const s of all) {
      if (s.kind === 'store') used.add(s.value);
      else if ('lanes' in s) for (const operand of operandsOf(s)) used.add(operand);
    }
    const values = all.filter((s) => used.has(s));
    if (values.length === 0) return false;
    const victim = values[pick % values.length];
    const without = (block: readonly Statement[]): readonly Statement[] =>
      block
        .filter((s) => s !== victim)
        .map((s) => (s.kind === 'loop' ? { ...s, body: without(s.body) } : s));
    change(kernel, { body: without(kernel.body) });
    return true;
  },
};

function move(kernel: Kernel, pick: number, sign: number): boolean {
  const accesses = [...ofKind(kernel, 'load'), ...ofKind(kernel, 'store')];
  if (accesses.length === 0) return false;
  const access = accesses[pick % accesses.length];
  // Without its mask, which may never hold: what never happens may stand anywhere.
  change(access, { index: add(access.index, sign * access.buffer.size), mask: [] });
  return true;
}

describe('random kernels', () => {
  test.each(Object.entries(damages))('are refused with %s', (_, damage) => {
    const form = fc.constantFrom<Form[]>('scalar', 'vector', 'masked');
    fc.assert(
      fc.property(anyRecipe(), form, fc.nat(1000), (recipe, which, pick) => {
        const kernel = buildRecipe(recipe, which);
        if (!damage(kernel, pick)) return;
        expect(() => verifyKernel(kernel)).toThrow(/kernel random_/);
      }),
      { numRuns: 300 },
    );
  });

  test('that pass leave no buffer, whatever their indices', () => {
    const form = fc.constantFrom<Form[]>('scalar', 'vector', 'masked');
    const moves = fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 1, maxLength: 4 });
    let passed = 0;
    fc.assert(
      fc.property(anyRecipe(), form, moves, (recipe, which, distances) => {
        const kernel = buildRecipe(recipe, which);
        const accesses = [...ofKind(kernel, 'load'), ...ofKind(kernel, 'store')];
        distances.forEach((distance, i) => {
          const access = accesses[(i * 7) % accesses.length];
          if (access) change(access, { index: add(access.index, distance) });
        });
        try {
          verifyKernel(kernel);
        } catch {
          return;
        }
        passed++;
        interpretKernel(kernel, recipeArguments(recipe, kernel));
      }),
      { numRuns: 1000 },
    );
    expect(passed).toBeGreaterThan(20);
  });
});
