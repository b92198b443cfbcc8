import { describe, expect, it } from 'vitest';
import type { Signature } from '../../src/asm/index.ts';
import { FunctionBuilder, ModuleBuilder } from '../../src/asm/index.ts';
import { emitAny } from './helper.ts';

const NOTHING: Signature = { params: [], results: [] };
const empty = (): FunctionBuilder => new FunctionBuilder(NOTHING);

function run(code: FunctionBuilder, ...values: number[]): unknown {
  const module = new ModuleBuilder();
  module.addFunction('run', code, { export: true });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.bytes()));
  return (instance.exports['run'] as (...values: number[]) => unknown)(...values);
}

describe('FunctionBuilder', () => {
  it('numbers locals after parameters and stores runs of them', () => {
    const code = new FunctionBuilder({ params: ['i32', 'f32'], results: [] });
    expect(code.local('f32')).toBe(2);
    for (let index = 3; index < 203; index++) expect(code.local('v128')).toBe(index);
    expect(code.local('f32')).toBe(203);
    expect([...code.body()]).toEqual([3, 1, 0x7d, 0xc8, 0x01, 0x7b, 1, 0x7d, 0x0b]);
  });

  it('encodes immediates', () => {
    const code = empty();
    code.emit('i32.const', -1).emit('i64.const', -1n).emit('v128.load', { offset: 300 });
    code.emit('i32.load8_u', { align: 1 }).emit('v128.load32_lane', { align: 2 }, 3);
    expect([...code.body()]).toEqual([
      0, 0x41, 0x7f, 0x42, 0x7f, 0xfd, 0, 4, 0xac, 2, 0x2d, 0, 0, 0xfd, 86, 1, 0, 3, 0x0b,
    ]);
  });

  it('takes unsigned and signed readings of an integer as the same', () => {
    const bytes = (value: number): number[] => [...empty().emit('i32.const', value).body()];
    expect(bytes(0xffffffff)).toEqual(bytes(-1));
    const long = (value: bigint | number): number[] => [...empty().emit('i64.const', value).body()];
    expect(long(2n ** 64n - 1n)).toEqual(long(-1));
  });

  it('keeps what was given, not what became of it', () => {
    const code = empty();
    const bytes = new Uint8Array(16);
    code.emit('v128.const', bytes).emit('drop');
    bytes.fill(1);
    expect(code.instructions[0]?.values[0]).toBe(0);
  });

  it.each([
    [7, 1],
    [-7, -1],
    [0, 0],
  ])('runs nested choices: sign of %i', (value, sign) => {
    const code = new FunctionBuilder({ params: ['i32'], results: ['i32'] });
    code.emit('local.get', 0).if(
      () =>
        code
          .emit('local.get', 0)
          .emit('i32.const', 0)
          .emit('i32.lt_s')
          .if(
            () => code.emit('i32.const', -1),
            () => code.emit('i32.const', 1),
            'i32',
          ),
      () => code.emit('i32.const', 0),
      'i32',
    );
    expect(run(code, value)).toBe(sign);
  });

  it.each([
    [0, 10],
    [1, 20],
    [2, 30],
    [99, 30],
  ])('runs a table of branches: %i', (value, want) => {
    const code = new FunctionBuilder({ params: ['i32'], results: ['i32'] });
    code.block(() => {
      code.block(() => {
        code.block(() => code.emit('local.get', 0).emit('br_table', [0, 1], 2));
        code.emit('i32.const', 10).emit('return');
      });
      code.emit('i32.const', 20).emit('return');
    });
    code.emit('i32.const', 30);
    expect(run(code, value)).toBe(want);
  });

  it('knows how deep it is', () => {
    const code = empty();
    const depths = [code.depth];
    code.block(() => code.loop(() => depths.push(code.depth)));
    depths.push(code.depth);
    expect(depths).toEqual([0, 2, 0]);
  });

  it('encodes a megabyte fast', () => {
    const code = new FunctionBuilder({ params: ['i32'], results: [] });
    for (let index = 0; index < 60_000; index++) {
      code.emit('local.get', 0).emit('local.get', 0);
      code.emit('v128.load', { offset: index * 16 }).emit('f32x4.sqrt');
      code.emit('v128.store', { offset: index * 16, align: 4 });
    }
    expect(code.body().length).toBeGreaterThan(1_000_000);
    // The best of several, since other tests run at the same time.
    const times = Array.from({ length: 5 }, () => {
      const start = performance.now();
      code.body();
      return performance.now() - start;
    });
    expect(Math.min(...times)).toBeLessThan(100);
  });
});

describe('wrong immediates', () => {
  const I64 = 'a bigint or safe integer from -9223372036854775808 to 18446744073709551615';
  const UINT32 = 'an integer from 0 to 4294967295';
  const cases: [string, unknown[], string][] = [
    ['v128.load', [{ offset: -1 }], `offset is -1, expected ${UINT32}`],
    ['v128.load', [{ offset: 2 ** 32 }], `offset is 4294967296, expected ${UINT32}`],
    ['f32.load', [{ offset: 0.5 }], `offset is 0.5, expected ${UINT32}`],
    ['v128.load', [{ align: 32 }], 'align is 32, expected a power of two from 1 to 16 bytes'],
    ['i32.load', [{ align: 3 }], 'align is 3, expected a power of two from 1 to 4 bytes'],
    ['i32.load', [{ align: 0 }], 'align is 0, expected a power of two from 1 to 4 bytes'],
    ['i32.load', [4], 'memory argument is 4, expected an object {offset, align}'],
    ['i32.atomic.load', [{ align: 1 }], 'align is 1, expected 4, its natural alignment'],
    ['f32x4.extract_lane', [4], 'lane is 4, expected an integer from 0 to 3'],
    ['i8x16.replace_lane', [-1], 'lane is -1, expected an integer from 0 to 15'],
    ['v128.load64_lane', [{}, 2], 'lane is 2, expected an integer from 0 to 1'],
    ['i8x16.shuffle', [[1, 2]], 'number of lanes is 2, expected 16'],
    ['i8x16.shuffle', [Array(16).fill(32)], 'lane 0 is 32, expected an integer from 0 to 31'],
    ['v128.const', [Array(16).fill(-1)], 'byte 0 is -1, expected an integer from 0 to 255'],
    ['v128.const', [], 'number of bytes is none, expected 16'],
    [
      'i32.const',
      [2 ** 32],
      'value is 4294967296, expected an integer from -2147483648 to ' + '4294967295',
    ],
    ['i32.const', [1.5], 'value is 1.5, expected an integer from -2147483648 to 4294967295'],
    ['i32.const', [], 'value is undefined, expected an integer from -2147483648 to 4294967295'],
    ['i64.const', [2n ** 64n], `value is 18446744073709551616, expected ${I64}`],
    ['i64.const', [2 ** 53], `value is 9007199254740992, expected ${I64}`],
    ['f32.const', ['1'], 'value is 1, expected a number'],
    ['local.get', [1], 'local index is 1, expected an integer from 0 to 0'],
    ['call', [-1], `function index is -1, expected ${UINT32}`],
    ['br', [1], 'depth is 1, expected an integer from 0 to 0'],
    ['br_table', [[0, 1], 0], 'depth is 1, expected an integer from 0 to 0'],
    ['br_table', [0, 0], 'depths is 0, expected an array of integers'],
    ['else', [], 'innermost block is undefined, expected if'],
    ['end', [], 'number of open blocks is 0, expected at least 1'],
  ];
  const named = cases.map(([name, immediates, message]) => ({ name, immediates, message }));

  it.each(named)('$name: $message', ({ name, immediates, message }) => {
    const code = new FunctionBuilder({ params: ['f64'], results: [] });
    expect(() => emitAny(code, name, ...immediates)).toThrow(`${name}: ${message}`);
    expect(code.instructions).toHaveLength(0);
  });

  it('refuses what is no instruction and no type', () => {
    expect(() => emitAny(empty(), 'f32x4.fma')).toThrow(
      'instruction is f32x4.fma, expected a name of the instruction table',
    );
    expect(() => emitAny(empty(), 'block', 'f16')).toThrow(
      'block: result type is f16, expected one of i32, i64, f32, f64, v128',
    );
    expect(() => empty().local('f16' as 'f32')).toThrow('local type is f16');
    expect(() => new FunctionBuilder({ params: ['toString' as 'f32'], results: [] })).toThrow(
      'parameter 0 is toString',
    );
  });

  it('refuses blocks that do not match', () => {
    expect(() => empty().emit('block').body()).toThrow('1 open blocks');
    const code = empty();
    expect(() => code.block(() => code.emit('loop'))).toThrow('depth 2, expected 1');
    const other = empty();
    expect(() => other.block(() => other.emit('end'))).toThrow('depth 0, expected 1');
    const choice = empty().emit('i32.const', 0);
    expect(() =>
      choice.if(
        () => choice.emit('block'),
        () => {},
      ),
    ).toThrow('depth 2, expected 1');
  });
});
