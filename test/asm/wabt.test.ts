import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { ModuleBuilder } from '../../src/asm/index.ts';
import { FunctionBuilder, moduleText } from '../../src/asm/index.ts';
import { emitAny, moduleAround, NAMES, rowOf, sampleImmediates, tinyModule } from './helper.ts';
import { dotProduct } from './kernels.ts';

const FLAGS = ['--enable-threads', '--enable-relaxed-simd', '--enable-memory64'];
const missing = spawnSync('wat2wasm', ['--version']).error !== undefined;
const title = missing ? 'wabt (skipped: wat2wasm is not installed)' : 'wabt';

describe.skipIf(missing)(title, () => {
  const folder = missing ? '' : mkdtempSync(join(tmpdir(), 'asm-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** What wabt makes of our text; `--no-check` leaves validation to the engine. */
  function assemble(text: string, ...flags: string[]): number[] {
    const [source, target] = [join(folder, 'a.wat'), join(folder, 'a.wasm')];
    writeFileSync(source, text);
    const { status, stderr } = spawnSync('wat2wasm', [...FLAGS, ...flags, source, '-o', target]);
    if (status !== 0) throw new Error(String(stderr));
    return [...readFileSync(target)];
  }

  /** Releases up to 1.0.32 know the relaxed dot products by their names in the proposal. */
  function spelled(text: string): string {
    try {
      assemble('(module (func i16x8.relaxed_dot_i8x16_i7x16_s))', '--no-check');
      return text;
    } catch {
      return text.replaceAll('.relaxed_dot_', '.dot_');
    }
  }

  /** Ours has a name section at the end, which wabt leaves out. */
  function expectSame(module: ModuleBuilder, ...flags: string[]): void {
    const wanted = assemble(spelled(moduleText(module)), ...flags);
    const bytes = module.bytes();
    expect([...bytes.subarray(0, wanted.length)]).toEqual(wanted);
    expect(bytes[wanted.length]).toBe(0);
  }

  it('assembles the text of all instructions to the same bytes', () => {
    const module = moduleAround({ params: [], results: [] }, (code) => {
      for (const type of ['i32', 'i32', 'v128', 'f32'] as const) code.local(type);
      code.emit('block');
      for (const name of NAMES) {
        if (name === 'else') continue;
        if (rowOf(name).immediate === 'block') code.emit(name as 'block', 'v128');
        else if (name !== 'end') emitAny(code, name, ...sampleImmediates(rowOf(name)));
        // An empty else would be dropped by wabt.
        if (name === 'if') code.emit('else').emit('nop');
        if (rowOf(name).immediate === 'block') code.emit('end');
      }
      code.emit('end');
    });
    expectSame(module, '--no-check');
  });

  it.each(['call', 'else', 'br_table', 'i8x16.shuffle', 'memory.copy'] as const)(
    'accepts %s in its context',
    (name) => expectSame(tinyModule(name)),
  );

  it('accepts the parts of a module', () => {
    const module = moduleAround({ params: ['f64'], results: ['f32', 'i64'] }, (code) => {
      code.emit('f32.const', 1e-40).emit('i64.const', -(2n ** 63n));
    });
    for (const value of [NaN, Infinity, -Infinity, -0, 0.1, 5e-324]) {
      module.addGlobal('f32', value);
      module.addGlobal('f64', value, { mutable: true, export: `g "${value}" \\ ä \t\u0085` });
    }
    module.addFunction('dot', dotProduct(), { export: true });
    module.addFunction('odd name (1);;', new FunctionBuilder({ params: [], results: [] }));
    expectSame(module);
  });
});
