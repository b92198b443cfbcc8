import { describe, expect, it } from 'vitest';
import type { Instruction, ValType } from '../../src/asm/index.ts';
import type { Running, Scalar } from './helper.ts';
import { emitAny, moduleAround, NAMES, rowOf, start } from './helper.ts';
import { INTEGER_OPERATIONS, signed, unsigned } from './integers.ts';
import { readInteger, writeInteger } from './lanes.ts';

const PATTERN = 0xf1e2d3c4b5a69788n;
const scalarNames = NAMES.filter((name) => rowOf(name).width > 0 && !name.startsWith('v128'));
const LOADS = scalarNames.filter((name) => name.includes('.load'));
const STORES = scalarNames.filter((name) => name.includes('.store'));
const CHANGES = scalarNames.filter((name) => name.includes('.rmw'));

/** The instruction at 8 plus its offset of 16, with its further operands as parameters. */
function access(name: Instruction): Running {
  const { params = [], results = [] } = rowOf(name);
  return start(
    moduleAround({ params: params.slice(1), results }, (code) => {
      code.emit('i32.const', 8);
      for (const index of params.slice(1).keys()) code.emit('local.get', index);
      emitAny(code, name, { offset: 16 });
    }),
  );
}

const asType = (type: ValType | undefined, value: bigint): Scalar =>
  type === 'i32' ? Number(signed(32, value)) : signed(64, value);

describe('scalar memory accesses', () => {
  it.each(LOADS)('%s', (name) => {
    const { run, memory } = access(name);
    const { width, results } = rowOf(name);
    writeInteger(memory, 24, 64, PATTERN);
    const low = readInteger(memory, 24, 8 * width, !name.endsWith('_u'));
    if (name === 'f32.load') expect(run()).toBe(memory.getFloat32(24, true));
    else if (name === 'f64.load') expect(run()).toBe(memory.getFloat64(24, true));
    else expect(run()).toBe(asType(results?.[0], low));
  });

  it.each(STORES)('%s', (name) => {
    const { run, memory } = access(name);
    const { width, params } = rowOf(name);
    const isFloat = name.startsWith('f');
    run(isFloat ? -1.5 : asType(params?.[1], PATTERN));
    if (name === 'f32.store') expect(memory.getFloat32(24, true)).toBe(-1.5);
    else if (isFloat) expect(memory.getFloat64(24, true)).toBe(-1.5);
    else expect(readInteger(memory, 24, 8 * width)).toBe(signed(8 * width, PATTERN));
    expect(readInteger(memory, 24 + width, 64)).toBe(0n);
  });

  it.each(CHANGES)('%s', (name) => {
    const { run, memory } = access(name);
    const { width, results } = rowOf(name);
    const bits = 8 * width;
    const operation = /rmw\d*\.([a-z]+)/.exec(name)?.[1] ?? '';
    const operand = 0x0123456789abcdefn;
    const [type] = results ?? [];
    writeInteger(memory, 24, 64, PATTERN);
    const before = readInteger(memory, 24, bits, bits === (type === 'i32' ? 32 : 64));
    const expected = operation.endsWith('xchg')
      ? operand
      : (INTEGER_OPERATIONS[operation]?.(bits, PATTERN, operand) ?? 0n);
    const compared = operation === 'cmpxchg' ? [asType(type, unsigned(bits, PATTERN))] : [];
    expect(run(...compared, asType(type, operand))).toBe(asType(type, before));
    expect(readInteger(memory, 24, bits)).toBe(signed(bits, expected));
  });

  it('compare and exchange leaves a different value alone', () => {
    const { run, memory } = access('i32.atomic.rmw.cmpxchg');
    memory.setInt32(24, 5, true);
    expect(run(6, 7)).toBe(5);
    expect(memory.getInt32(24, true)).toBe(5);
  });

  it('waiting for another value than the present one returns at once', () => {
    expect(access('memory.atomic.wait32').run(1, -1n)).toBe(1);
    expect(access('memory.atomic.wait64').run(1n, -1n)).toBe(1);
    expect(access('memory.atomic.wait32').run(0, 0n)).toBe(2);
    expect(access('memory.atomic.notify').run(1)).toBe(0);
  });
});

describe('whole memory', () => {
  it('copies, fills, and knows its size', () => {
    const { run, memory } = start(
      moduleAround({ params: [], results: ['i32'] }, (code) => {
        code.emit('i32.const', 8).emit('i32.const', 0xab).emit('i32.const', 4).emit('memory.fill');
        code.emit('i32.const', 14).emit('i32.const', 8).emit('i32.const', 3).emit('memory.copy');
        code.emit('atomic.fence');
        code.emit('memory.size').emit('i32.const', 1).emit('memory.grow').emit('i32.sub');
      }),
    );
    expect(run()).toBe(2);
    expect(readInteger(memory, 8, 64, false)).toBe(0xabab0000ababababn);
    expect(readInteger(memory, 16, 64, false)).toBe(0xabn);
  });
});
