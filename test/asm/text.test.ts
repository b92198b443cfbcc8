import { describe, expect, it } from 'vitest';
import { FunctionBuilder, functionText, ModuleBuilder, moduleText } from '../../src/asm/index.ts';
import { dotProduct } from './kernels.ts';

const DOT = `(func $dot (param i32 i32 i32) (result f32)
  (local v128) (;3;)
  (local i32) (;4;)
  local.get 0
  local.get 2
  i32.const 2
  i32.shl
  i32.add
  local.set 4
  block
    local.get 2
    i32.eqz
    br_if 0
    loop
      local.get 3
      local.get 0
      v128.load align=4
      local.get 1
      v128.load align=4
      f32x4.mul
      f32x4.add
      local.set 3
      local.get 1
      i32.const 16
      i32.add
      local.set 1
      local.get 0
      i32.const 16
      i32.add
      local.tee 0
      local.get 4
      i32.lt_u
      br_if 0
    end
  end
  local.get 3
  f32x4.extract_lane 0
  local.get 3
  f32x4.extract_lane 1
  f32.add
  local.get 3
  f32x4.extract_lane 2
  f32.add
  local.get 3
  f32x4.extract_lane 3
  f32.add)
`;

const MODULE = `(module
  (import "env" "memory" (memory 1 2 shared))
  (import "env" "lo\\"g" (func $env.lo_g (param i32)))
  (global (;0;) (mut i64) (i64.const -5))
  (global (;1;) v128 (v128.const i32x4 0x04030201 0x00000000 0x00000000 0xff000000))
  (export "count" (global 0))
  (export "run it" (func $run_it))
  (func $run_it (;1;)
    (local f32 f32 f32) (;0..2;)
    i32.const -1
    if
      f32.const -0
      local.set 0
    else
      f32.const nan
      local.set 1
    end
    i32.const 1
    call $env.lo_g)
  (func $run_it.2 (;2;) (result i32)
    block (result i32)
      i32.const 0
      i32.const 8
      v128.load offset=32
      v128.store16_lane offset=1 align=1 7
      i32.const 3
      br_table 0 1 0
    end))
`;

describe('text', () => {
  it('shows a loop', () => {
    expect(functionText(dotProduct(), 'dot')).toBe(DOT);
  });

  it('shows a module', () => {
    const module = new ModuleBuilder();
    module.importMemory('env', 'memory', { minPages: 1, maxPages: 2, shared: true });
    const log = module.importFunction('env', 'lo"g', { params: ['i32'], results: [] });
    module.addGlobal('i64', -5, { mutable: true, export: 'count' });
    module.addGlobal('v128', Uint8Array.from([1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255]));
    const code = new FunctionBuilder({ params: [], results: [] });
    for (let index = 0; index < 3; index++) code.local('f32');
    code.emit('i32.const', 0xffffffff).if(
      () => code.emit('f32.const', -0).emit('local.set', 0),
      () => code.emit('f32.const', NaN).emit('local.set', 1),
    );
    code.emit('i32.const', 1).emit('call', log);
    module.addFunction('run it', code, { export: true });
    const other = new FunctionBuilder({ params: [], results: ['i32'] });
    other.block(() => {
      other.emit('i32.const', 0).emit('i32.const', 8).emit('v128.load', { offset: 32 });
      other.emit('v128.store16_lane', { offset: 1, align: 1 }, 7);
      other.emit('i32.const', 3).emit('br_table', [0, 1], 0);
    }, 'i32');
    module.addFunction('run/it'.replace('/', '\t'), other);
    expect(moduleText(module)).toBe(MODULE);
  });

  it('shows an empty function and module', () => {
    expect(functionText(new FunctionBuilder({ params: [], results: [] }))).toBe('(func)\n');
    expect(moduleText(new ModuleBuilder())).toBe('(module)\n');
  });

  it.each([
    ['f32.const', 0.1, '0.10000000149011612'],
    ['f64.const', 1e300, '1e+300'],
    ['f64.const', -Infinity, '-inf'],
    ['f32.const', 1e39, 'inf'],
    ['f64.const', -0, '-0'],
  ] as const)('writes %s %d', (name, value, text) => {
    const code = new FunctionBuilder({ params: [], results: [] }).emit(name, value);
    expect(functionText(code)).toContain(`${name} ${text})`);
  });
});
