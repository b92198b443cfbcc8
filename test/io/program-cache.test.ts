import { execFile } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { compile, setProgramStore } from '../../src/compile/index.ts';
import { programStore } from '../../src/compile/store.ts';
import { device } from '../../src/device/index.ts';
import { ProgramCache } from '../../src/io/program-cache.ts';
import { entryName, openEntry, sealEntry } from '../../src/io/program-entry.ts';
import { compilerFingerprint, useProgramCache } from '../../src/io/use-program-cache.ts';
import * as g from '../../src/ir/graph/build.ts';
import { Cell, jit, type Tensor, tensor } from '../../src/tensor/index.ts';
import { numbers, runGraph } from '../support/run-graph.ts';

const root = mkdtempSync(join(tmpdir(), 'tersor-cache-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const compiler = 'tersor 0 test';
const value = Uint8Array.from({ length: 1000 }, (_, i) => i * 7);
let folder = '';
let count = 0;
beforeEach(() => {
  folder = join(root, String(count++), 'nested');
});
afterEach(() => setProgramStore(undefined));

const open = (limitBytes?: number) =>
  new ProgramCache(folder, limitBytes === undefined ? { compiler } : { compiler, limitBytes });
const files = () => readdirSync(folder).map((name) => join(folder, name));
const wasm = device('wasm');

describe('the cache of programs', () => {
  test('gives back what was written, also to another process', () => {
    open().write('key', value);
    expect(open().read('key')).toEqual(value);
    expect(open().read('other key')).toBeUndefined();
    expect(files()).toHaveLength(1);
  });

  test('finds nothing of another compiler', () => {
    open().write('key', value);
    expect(new ProgramCache(folder, { compiler: 'tersor 1 test' }).read('key')).toBeUndefined();
  });

  test('takes damaged and cut files for missing, and mends them', () => {
    open().write('key', value);
    const [path] = files();
    const whole = readFileSync(path);
    const damaged = [0, 3, 8, 20, 41, 45, 60, whole.length - 1].map((at) => {
      const copy = Uint8Array.from(whole);
      copy[at] ^= 1;
      return copy;
    });
    const cut = [0, 1, 12, 43, 44, whole.length - 1].map((length) => whole.subarray(0, length));
    for (const content of [...damaged, ...cut, Buffer.concat([whole, whole])]) {
      writeFileSync(path, content);
      expect(open().read('key')).toBeUndefined();
      open().write('key', value);
      expect(open().read('key')).toEqual(value);
    }
  });

  test('does not trust the hash of a key alone', () => {
    expect(openEntry(sealEntry('one key', value), 'one key')).toEqual(value);
    expect(openEntry(sealEntry('one key', value), 'another')).toBeUndefined();
    expect(entryName('one key')).not.toBe(entryName('another'));
  });

  test('removes what was used least recently when there is too much', () => {
    const cache = open(8000);
    for (let i = 0; i < 6; i++) cache.write(`key ${i}`, value);
    for (const path of files()) utimesSync(path, 1000, 1000);
    expect(cache.read('key 2')).toEqual(value);
    expect(cache.read('key 4')).toEqual(value);
    for (let i = 6; i < 8; i++) cache.write(`key ${i}`, value);
    const left = Array.from({ length: 8 }, (_, i) => i).filter((i) => cache.read(`key ${i}`));
    expect(left.length).toBeLessThan(8);
    expect(left).toEqual(expect.arrayContaining([2, 4, 6, 7]));
  });

  test('counts what other processes wrote, and clears what they left half-written', () => {
    mkdirSync(folder, { recursive: true });
    const [old, fresh] = [join(folder, 'a.program.12.tmp'), join(folder, 'b.program.34.tmp')];
    for (const path of [old, fresh]) writeFileSync(path, 'half');
    utimesSync(old, 1000, 1000);
    for (let i = 0; i < 5; i++) open().write(`key ${i}`, value);
    open(5500).write('one more', value);
    expect(files().filter((path) => path.endsWith('.program')).length).toBeLessThan(5);
    expect(files()).not.toContain(old);
    expect(files()).toContain(fresh);
  });

  test('serves several processes that write, read and remove at once', () => {
    const script = `
      const { ProgramCache } = await import(process.argv[1]);
      const cache = new ProgramCache(process.argv[2], { compiler: 'c', limitBytes: 9000 });
      let hits = 0;
      for (let i = 0; i < 300; i++) {
        // Twice in a row: a process that is alone for a while would find nothing of eleven in turn.
        const number = Math.floor(i / 2) % 11;
        const key = 'key ' + number;
        const found = cache.read(key);
        if (found && !found.every((byte) => byte === number)) throw new Error('not what was kept');
        if (found) hits++;
        else cache.write(key, new Uint8Array(1000).fill(number));
      }
      console.log(hits);`;
    const file = new URL('../../src/io/program-cache.ts', import.meta.url).href;
    const args = ['--input-type=module', '--eval', script, file, folder];
    const ended = [1, 2, 3].map(() => promisify(execFile)(process.execPath, args));
    return Promise.all(ended).then((outcomes) => {
      for (const { stdout, stderr } of outcomes) {
        expect(stderr).toBe('');
        expect(Number(stdout)).toBeGreaterThan(0);
      }
      expect(files().filter((path) => path.endsWith('.tmp'))).toEqual([]);
    });
  });

  test('keeps nothing, and says nothing, where it cannot write', () => {
    mkdirSync(join(folder, '..'), { recursive: true });
    writeFileSync(folder, 'a file where the folder should be');
    const cache = open();
    expect(() => cache.write('key', value)).not.toThrow();
    expect(cache.read('key')).toBeUndefined();
  });

  test('reads a folder that it may only read', () => {
    open().write('key', value);
    chmodSync(folder, 0o500);
    expect(open().read('key')).toEqual(value);
    expect(() => open().write('key 2', value)).not.toThrow();
    chmodSync(folder, 0o700);
  });
});

describe('a compilation with a store', () => {
  const x = g.bufferNode('f32', [5, 37], 'x');
  const index = g.bufferNode('i32', [3, 37], 'index');
  const shifted = g.binary('sub', x, g.expand(g.reduce('max', x, [1]), x.shape));
  const outputs = [
    g.unary('exp', shifted),
    g.gather(x, index, 0),
    g.dot(x, g.permute(x, [1, 0]), 0, 1),
  ];
  const inputs = [x, index];
  const data = [numbers(3, 5 * 37), Int32Array.from({ length: 111 }, (_, i) => i % 5)];

  test('runs the same program as without: a hit is a miss, bit for bit', async () => {
    const expected = await runGraph(wasm, outputs, inputs, data);
    const cache = open();
    const write = vi.spyOn(cache, 'write');
    setProgramStore(cache);
    for (let i = 0; i < 3; i++) {
      expect(await runGraph(wasm, outputs, inputs, data)).toEqual(expected);
    }
    expect(write).toHaveBeenCalledTimes(1);
    const kept = compile(wasm.target, outputs, inputs);
    setProgramStore(undefined);
    expect(kept).toEqual(compile(wasm.target, outputs, inputs));
  });

  test('trains as before, with cells that are overwritten in place', async () => {
    const train = async () => {
      const cell = new Cell(tensor([0.5, -1.25, 3], { device: 'wasm' }), 'w');
      const step = jit((x: Tensor) => {
        const next = cell.value.mul(0.9).add(x.sin());
        cell.set(next);
        return next.sum();
      });
      const losses: number[] = [];
      for (let i = 0; i < 4; i++) {
        const loss = await step(tensor([i, 2 * i, -i], { device: 'wasm' }));
        losses.push(await loss.item());
      }
      step.dispose();
      return [...losses, ...(await cell.held.data())];
    };
    const expected = await train();
    const cache = open();
    const write = vi.spyOn(cache, 'write');
    setProgramStore(cache);
    expect(await train()).toEqual(expected);
    const written = write.mock.calls.length;
    expect(written).toBeGreaterThan(0);
    expect(await train()).toEqual(expected);
    expect(write).toHaveBeenCalledTimes(written);
  });

  test('finds an index out of range as before, with its message', async () => {
    const wrong = [data[0], Int32Array.from({ length: 111 }, () => 5)];
    setProgramStore(open());
    for (let i = 0; i < 2; i++) {
      await expect(runGraph(wasm, outputs, inputs, wrong)).rejects.toThrow(RangeError);
    }
  });

  test('tells apart what compiles to different code', () => {
    const keys = new Set<string>();
    setProgramStore({ read: () => undefined, write: (key) => keys.add(key) });
    const one = g.unary('neg', x);
    const n = { name: 'n', min: 1, max: 8 };
    const sized = (max: number) => g.makeNode('var', [], { variable: { ...n, max } });
    const padded = (by: number) =>
      g.pad(
        x,
        [
          [1, 0],
          [0, 0],
        ],
        by,
      );
    compile(wasm.target, [one], [x]);
    compile(wasm.target, [one], [x, index]);
    compile(wasm.target, [one], [x], { fuse: false });
    compile(wasm.target, [one], [x], { threads: 7 });
    compile(wasm.target, [one], [x], { donations: new Map([[0, 0]]) });
    compile({ ...wasm.target, relaxedSimd: false } as typeof wasm.target, [one], [x]);
    compile(wasm.target, [g.cast(sized(8), 'f32')], []);
    compile(wasm.target, [g.cast(sized(9), 'f32')], []);
    compile(wasm.target, [padded(0)], [x]);
    compile(wasm.target, [padded(-0)], [x]);
    expect(keys.size).toBe(10);
    // Other nodes of the same graph are the same program.
    const twin = g.bufferNode('f32', [5, 37], 'twin');
    compile(wasm.target, [g.unary('neg', twin)], [twin]);
    expect(keys.size).toBe(10);
  });
});

describe('the setting', () => {
  afterEach(() => vi.unstubAllEnvs());
  const x = g.bufferNode('f32', [4], 'x');
  const compileOne = () => compile(wasm.target, [g.unary('abs', x)], [x]);

  test('names a folder', () => {
    vi.stubEnv('TERSOR_CACHE', folder);
    useProgramCache();
    compileOne();
    expect(files()).toHaveLength(1);
    compileOne();
    expect(files()).toHaveLength(1);
  });

  test('off keeps nothing', () => {
    vi.stubEnv('TERSOR_CACHE', 'off');
    useProgramCache();
    expect(programStore()).toBeUndefined();
  });

  test("without a name is the user's cache", () => {
    vi.stubEnv('TERSOR_CACHE', '');
    vi.stubEnv('XDG_CACHE_HOME', folder);
    useProgramCache();
    compileOne();
    expect(readdirSync(join(folder, 'tersor'))).toHaveLength(1);
  });
});

describe('the fingerprint of the compiler', () => {
  const later = Date.now() + 60_000;
  const make = (content: string) => {
    for (const room of ['base', 'ir', 'asm', 'device', 'compile']) {
      mkdirSync(join(folder, 'src', room, 'deep'), { recursive: true });
      writeFileSync(join(folder, 'src', room, 'deep', 'a.ts'), `${room} ${content}`);
    }
    writeFileSync(join(folder, 'package.json'), '{ "version": "1.2.3" }');
  };
  const taken = (began = later) => compilerFingerprint(join(folder, 'src'), began);

  test('changes with a file and with the version', () => {
    make('one');
    const first = taken();
    expect(first).toMatch(/^tersor 1\.2\.3 [0-9a-f]{64}$/);
    expect(taken()).toBe(first);
    make('two');
    expect(taken()).not.toBe(first);
    make('one');
    expect(taken()).toBe(first);
    writeFileSync(join(folder, 'package.json'), '{ "version": "1.2.4" }');
    expect(taken()).not.toBe(first);
  });

  test('is not given for files that were changed after the process began', () => {
    make('one');
    expect(taken(Date.now() - 60_000)).toBeUndefined();
  });

  test('is not given where the files are not there', () => {
    expect(taken()).toBeUndefined();
  });

  test('of this compiler is there', () => {
    expect(compilerFingerprint(undefined, later)).toMatch(/^tersor \d/);
  });
});
