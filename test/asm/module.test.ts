import { describe, expect, it } from 'vitest';
import type { Signature } from '../../src/asm/index.ts';
import { FunctionBuilder, ModuleBuilder, wasmFeatures } from '../../src/asm/index.ts';
import { dotProduct } from './kernels.ts';

const NOTHING: Signature = { params: [], results: [] };
const LIMITS = { minPages: 1, maxPages: 2 };

describe('ModuleBuilder', () => {
  it('makes an empty module', () => {
    expect([...new ModuleBuilder().bytes()]).toEqual([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  });

  it('runs a dot product on an imported memory', () => {
    const module = new ModuleBuilder();
    module.importMemory('env', 'memory', LIMITS);
    expect(module.addFunction('dot', dotProduct(), { export: true })).toBe(0);
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2 });
    const compiled = new WebAssembly.Module(module.bytes());
    const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
    const a = new Float32Array(memory.buffer, 64, 1000);
    const b = new Float32Array(memory.buffer, 8192, 1000);
    let expected = 0;
    for (let i = 0; i < 1000; i++) {
      a[i] = (i % 7) - 3;
      b[i] = i % 5;
      expected += ((i % 7) - 3) * (i % 5);
    }
    const dot = exports['dot'] as (a: number, b: number, count: number) => number;
    expect(dot(64, 8192, 1000)).toBe(expected);
    expect(dot(64, 8192, 0)).toBe(0);
  });

  it('imports and calls functions, and shares equal types', () => {
    const module = new ModuleBuilder();
    const unary: Signature = { params: ['f32'], results: ['f32'] };
    expect(module.importFunction('math', 'exp', unary)).toBe(0);
    expect(module.importFunction('math', 'tanh', unary)).toBe(1);
    const twice = new FunctionBuilder(unary);
    expect(module.addFunction('twice', twice, { export: true })).toBe(2);
    // The callee gets its index first and its instructions later, as a recursion would need.
    const inner = new FunctionBuilder(unary);
    const index = module.addFunction('inner', inner);
    twice.emit('local.get', 0).emit('call', index).emit('call', 1);
    inner.emit('local.get', 0).emit('call', 0);
    const bytes = module.bytes();
    expect([...bytes.subarray(8, 16)]).toEqual([1, 6, 1, 0x60, 1, 0x7d, 1, 0x7d]);
    const math = { exp: (x: number) => x + 1, tanh: (x: number) => x * 10 };
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { math });
    expect((exports['twice'] as (x: number) => number)(4)).toBe(50);
    expect(Object.keys(exports)).toEqual(['twice']);
  });

  it('has globals of every type', () => {
    const module = new ModuleBuilder();
    module.addGlobal('i32', 7, { mutable: true, export: 'counter' });
    module.addGlobal('i64', -(2n ** 63n), { export: 'low' });
    module.addGlobal('f32', 0.1, { export: 'single' });
    module.addGlobal('f64', -0, { export: 'zero' });
    expect(module.addGlobal('v128', new Uint8Array(16).fill(3))).toBe(4);
    const code = new FunctionBuilder({ params: [], results: ['i32'] });
    code.emit('global.get', 0).emit('i32.const', 1).emit('i32.add').emit('global.set', 0);
    code.emit('global.get', 4).emit('i16x8.extract_lane_s', 2);
    module.addFunction('next', code, { export: true });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.bytes()));
    const value = (name: string): unknown => (exports[name] as WebAssembly.Global).value;
    expect((exports['next'] as () => number)()).toBe(0x0303);
    expect(value('counter')).toBe(8);
    expect(value('low')).toBe(-(2n ** 63n));
    expect(value('single')).toBe(Math.fround(0.1));
    expect(value('zero')).toBe(-0);
  });

  it('names functions in stack traces', () => {
    const module = new ModuleBuilder();
    const code = new FunctionBuilder(NOTHING).emit('unreachable');
    module.addFunction('matmul_f32_tile', code);
    const outer = new FunctionBuilder(NOTHING).emit('call', 0);
    module.addFunction('outer', outer, { export: true });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.bytes()));
    let stack = '';
    try {
      (exports['outer'] as () => void)();
    } catch (error) {
      stack = (error as Error).stack ?? '';
    }
    expect(stack).toContain('matmul_f32_tile');
  });

  it('describes a shared memory', () => {
    const module = new ModuleBuilder();
    module.importMemory('env', 'memory', { minPages: 2, maxPages: 65536, shared: true });
    const compiled = new WebAssembly.Module(module.bytes());
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 65536, shared: true });
    expect(() => new WebAssembly.Instance(compiled, { env: { memory } })).not.toThrow();
    const other = new WebAssembly.Memory({ initial: 2, maximum: 3 });
    expect(() => new WebAssembly.Instance(compiled, { env: { memory: other } })).toThrow();
  });

  it('refuses imports that come too late', () => {
    const module = new ModuleBuilder();
    module.addFunction('first', new FunctionBuilder(NOTHING));
    expect(() => module.importFunction('env', 'log', NOTHING)).toThrow(
      'import env.log: 1 functions exist, expected 0 before it',
    );
  });

  it('refuses a second memory and wrong limits', () => {
    const importing = (type: { minPages: number; maxPages?: number; shared?: boolean }) => () =>
      new ModuleBuilder().importMemory('env', 'memory', type);
    expect(importing({ minPages: 1, shared: true })).toThrow('maxPages is undefined');
    expect(importing({ minPages: 2, maxPages: 1 })).toThrow(
      'memory env.memory: maxPages is 1, expected an integer from 2 to 65536',
    );
    expect(importing({ minPages: -1 })).toThrow('minPages is -1');
    expect(importing({ minPages: 65537 })).toThrow('minPages is 65537');
    const module = new ModuleBuilder();
    module.importMemory('env', 'memory', LIMITS);
    expect(() => module.importMemory('env', 'other', LIMITS)).toThrow('expected only one');
  });

  it('refuses wrong globals and names that are taken', () => {
    const module = new ModuleBuilder();
    expect(() => module.addGlobal('i32', 0.5)).toThrow('global i32.const: value is 0.5');
    expect(() => module.addGlobal('i8' as 'i32', 0)).toThrow('global type is i8');
    module.addFunction('run', new FunctionBuilder(NOTHING), { export: true });
    const again = (): number =>
      module.addFunction('run', new FunctionBuilder(NOTHING), { export: true });
    expect(again).toThrow('export is run');
    expect(() => module.addGlobal('i32', 0, { export: 'run' })).toThrow('export is run');
    expect(module.functions).toHaveLength(1);
    expect(module.globals).toHaveLength(0);
  });
});

describe('wasmFeatures', () => {
  it('answers for each extension', () => {
    const { simd, relaxedSimd, threads, memory64 } = wasmFeatures();
    for (const answer of [relaxedSimd, memory64]) expect(typeof answer).toBe('boolean');
    // Every engine the tests run on has these two.
    expect([simd, threads]).toEqual([true, true]);
  });

  it('says no to threads where a page is not isolated', () => {
    const scope = globalThis as { crossOriginIsolated?: boolean };
    scope.crossOriginIsolated = false;
    try {
      expect(wasmFeatures().threads).toBe(false);
    } finally {
      delete scope.crossOriginIsolated;
    }
  });
});
