import { describe, expect, it } from 'vitest';
import type { Instruction, ValType } from '../../src/asm/index.ts';
import { isInstruction } from '../../src/asm/index.ts';
import { isFixed, NAMES, rowOf, tinyModule } from './helper.ts';

const other = (type: ValType): ValType => (type === 'f32' ? 'f64' : 'f32');
const FIXED = NAMES.filter(isFixed);

describe('instruction table', () => {
  it('has no opcode twice', () => {
    const codes = NAMES.map((name) => rowOf(name).code.join(' '));
    expect(new Set(codes).size).toBe(NAMES.length);
  });

  it('has all vector instructions', () => {
    const numbers = NAMES.map(rowOf)
      .filter(({ code }) => code[0] === 0xfd)
      .map(({ code }) => ((code[1] ?? 0) & 0x7f) | ((code[2] ?? 0) << 7));
    expect(numbers.filter((number) => number < 0x100)).toHaveLength(236);
    expect(numbers.filter((number) => number >= 0x100)).toHaveLength(20);
  });

  it('has all atomic instructions', () => {
    expect(NAMES.filter((name) => rowOf(name).code[0] === 0xfe)).toHaveLength(67);
  });

  it('knows its names', () => {
    expect(isInstruction('f32x4.add')).toBe(true);
    expect(isInstruction('f32x4.toString')).toBe(false);
    expect(isInstruction('toString')).toBe(false);
  });

  it.each(NAMES)('%s is accepted by the engine', (name: Instruction) => {
    const bytes = tinyModule(name).bytes();
    // Compiling says why a module is refused; validating only says that it is.
    expect(() => new WebAssembly.Module(bytes)).not.toThrow();
    expect(WebAssembly.validate(bytes)).toBe(true);
  });

  it.each(FIXED)('%s has exactly the signature of the table', (name: Instruction) => {
    const { params = [], results = [] } = rowOf(name);
    for (const [index, type] of params.entries()) {
      const wrong = params.with(index, other(type));
      expect(WebAssembly.validate(tinyModule(name, wrong).bytes())).toBe(false);
    }
    const [result] = results;
    const wrong = result === undefined ? ['i32' as const] : [other(result)];
    expect(WebAssembly.validate(tinyModule(name, params, wrong).bytes())).toBe(false);
    const extra = ['i32' as const, ...params];
    expect(WebAssembly.validate(tinyModule(name, extra).bytes())).toBe(false);
  });
});
