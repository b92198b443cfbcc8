import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findImports } from '../support/imports.ts';
import { pack, runNode, runNpm } from '../support/npm.ts';
import { filesBelow, ROOT } from '../support/source-tree.ts';

/** A file, or one for each condition. */
type ExportTarget = string | { readonly [condition: string]: ExportTarget };

interface Manifest {
  name: string;
  version: string;
  bin: Record<string, string>;
  exports: Record<string, ExportTarget>;
}

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;

describe('the package', () => {
  let temp = '';
  let home = '';

  beforeAll(() => {
    if (distIsStale()) {
      const build = runNode(['scripts/build.js'], ROOT);
      if (build.status !== 0) throw new Error(build.stdout + build.stderr);
    }
    temp = mkdtempSync(join(tmpdir(), 'tersor-package-'));
    home = mkdtempSync(join(tmpdir(), 'tersor-install-'));
    writeFileSync(join(home, 'package.json'), '{ "private": true, "type": "module" }\n');
    // From npm's cache as far as it goes: `npm ci` leaves tarballs there, and not all it asks now.
    const flags = ['--prefer-offline', '--ignore-scripts', '--omit=optional'];
    runNpm(['install', ...flags, pack(ROOT, temp)], home);
  });

  afterAll(() => {
    for (const folder of [temp, home]) rmSync(folder, { recursive: true, force: true });
  });

  const tersor = (...args: string[]) =>
    runNode([join('node_modules', '.bin', 'tersor'), ...args], home);

  test('carries what it needs and nothing else', () => {
    const carried = filesBelow(join(home, 'node_modules', 'tersor'));
    expect(carried).toContain('LICENSE');
    expect(carried).toContain('dist/cli/launch.js');
    expect(carried).toContain('dist/web/chat/index.html');
    const allowed = /^(dist\/.*|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/;
    expect(carried.filter((path) => !allowed.test(path))).toEqual([]);
    expect(carried.filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))).toEqual([]);
  });

  test('has a tersor command that knows its version', () => {
    expect(tersor('--version')).toEqual({ status: 0, stdout: `${manifest.version}\n`, stderr: '' });
  });

  test('has a tersor command that explains itself', () => {
    const { status, stdout } = tersor('--help');
    expect(stdout).toMatch(/^Usage: tersor /);
    expect(stdout).toContain('--version');
    expect(status).toBe(0);
  });

  test('computes on wasm without what is optional, and says why', () => {
    const { status, stdout } = tersor('doctor', '--json');
    expect(status).toBe(0);
    const { devices, default: usual } = JSON.parse(stdout);
    expect(usual).toBe('wasm');
    expect(devices.native.available).toBe(false);
    if (process.platform === 'linux' && process.arch === 'x64') {
      expect(devices.native.reason).toMatch(/koffi.* is not there: npm i koffi/);
    }
    const sum = `import { tensor } from 'tersor';
      console.log(await tensor([1, 2, 3]).sum().item());`;
    expect(runNode(['--input-type=module', '--eval', sum], home).stdout).toBe('6\n');
  });

  test('can be imported, the whole and each of its parts', () => {
    const installed = join(home, 'node_modules', 'tersor');
    const names = Object.entries(manifest.exports)
      .filter(([, target]) => typeof target === 'object')
      .filter(([, target]) => existsSync(join(installed, (target as { default: string }).default)))
      .map(([subpath]) => `tersor${subpath.slice(1)}`);
    const script = names
      .map((name) => `import * as m${names.indexOf(name)} from '${name}';`)
      .concat("import manifest from 'tersor/package.json' with { type: 'json' };")
      .concat(
        `console.log(manifest.version, [${names.map((_, i) => `typeof m${i}`).join(', ')}].join());`,
      );
    writeFileSync(join(home, 'imports.js'), script.join('\n'));
    const { status, stdout, stderr } = runNode(['imports.js'], home);
    expect(stderr).toBe('');
    expect(stdout.trim()).toBe(`${manifest.version} ${names.map(() => 'object').join()}`.trim());
    expect(status).toBe(0);
  });

  test('comes in a few files', () => {
    const carried = filesBelow(join(home, 'node_modules', 'tersor'));
    const scripts = carried.filter((path) => path.endsWith('.js') && !path.startsWith('dist/web/'));
    expect(scripts.length).toBeLessThan(80);
    // What became part of them has its licence beside it.
    expect(carried).toContain('dist/licenses/commander.txt');
    expect(carried).toContain('dist/licenses/@huggingface-jinja.txt');
    expect(carried).toContain('dist/licenses/@huggingface-tokenizers.txt');
  });

  test('gives browsers nothing that is for Node', () => {
    const dist = join(home, 'node_modules', 'tersor');
    const entries = Object.values(manifest.exports)
      .flatMap((target) => (typeof target === 'object' ? (target['browser'] ?? []) : []))
      .flatMap(filesOf)
      .filter((path) => path.endsWith('.js'));
    expect(entries.length).toBeGreaterThan(8);
    const reached = new Set(entries.map((path) => join(dist, path)));
    for (const path of reached) {
      const text = readFileSync(path, 'utf8');
      // Modules of Node that are asked for when the file is loaded, not when a function is called.
      expect(text.match(/^(import .*node:|const \S+ = process\.).*/gm) ?? [], path).toEqual([]);
      // Safari does not know it yet, and a page may come without a bundler.
      expect(text.match(/^\s*(await )?using \w+ =.*/gm) ?? [], path).toEqual([]);
      for (const { specifier } of findImports(text)) {
        if (specifier.startsWith('.')) reached.add(join(dirname(path), specifier));
      }
    }
    expect(reached.size).toBeGreaterThan(entries.length);
  });

  test('keeps compiled programs for the next process', () => {
    const cache = join(home, 'cache');
    const script = `
      import { setThreads, tensor } from 'tersor';
      setThreads(1);
      console.log((await tensor([1, 2, 3]).mul(2).data()).join());`;
    writeFileSync(join(home, 'program.js'), script);
    const environment = { TERSOR_CACHE: cache, TERSOR_DEVICE: 'wasm', TERSOR_DEBUG: '1' };
    const run = () => runNode(['program.js'], home, environment);
    for (const told of ['compiled ', 'loaded ']) {
      const { stdout, stderr } = run();
      expect(stdout).toBe('2,4,6\n');
      expect(stderr).toMatch(new RegExp(`^${told}`, 'm'));
      expect(stderr).not.toMatch(
        new RegExp(`^${told === 'loaded ' ? 'compiled ' : 'loaded '}`, 'm'),
      );
    }
  });

  test('exports every part that exists, with its types', () => {
    const missing: string[] = [];
    for (const [subpath, target] of Object.entries(manifest.exports)) {
      const paths = filesOf(target);
      expect(paths.length).toBeGreaterThan(0);
      for (const path of paths) {
        if (!existsSync(join(ROOT, path))) missing.push(`${subpath}: ${path}`);
      }
    }
    expect(missing).toEqual([]);
  });
});

/** The files behind an export, whatever the conditions. */
function filesOf(target: ExportTarget): string[] {
  return typeof target === 'string' ? [target] : Object.values(target).flatMap(filesOf);
}

describe('the launcher', () => {
  const launcher = join('src', 'cli', 'launch.js');
  const preload = pathToFileURL(join(ROOT, 'test', 'support', 'old-node.js')).href;

  test('refuses an old Node and says what to do', () => {
    const { status, stdout, stderr } = runNode(['--import', preload, launcher, '--version'], ROOT);
    expect(stderr).toContain('needs Node 24 or newer; this is Node 20.1.0');
    expect(stderr).toContain('npm ci');
    expect(stderr).toContain('npm start');
    expect(stdout).toBe('');
    expect(status).toBe(1);
  });

  test('runs the sources as they stand', () => {
    const { status, stdout } = runNode([launcher, '--version'], ROOT);
    expect(stdout).toBe(`${manifest.version}\n`);
    expect(status).toBe(0);
  });

  test('keeps to a syntax that an old Node parses', () => {
    const source = readFileSync(join(ROOT, launcher), 'utf8').replace(/^\s*\/\/.*$/gm, '');
    expect(source).not.toMatch(/\?\.|\?\?|\bawait\b|node:|&&=|\|\|=|\bstatic\b/);
  });
});

/** Whether dist/ is missing or older than a source or than what says how to build it. */
function distIsStale(): boolean {
  const built = join(ROOT, 'dist', 'cli', 'launch.js');
  if (!existsSync(built)) return true;
  const since = Math.min(
    ...filesBelow(join(ROOT, 'dist')).map((path) => statSync(join(ROOT, 'dist', path)).mtimeMs),
  );
  return [
    ...filesBelow(join(ROOT, 'src')).map((path) => join(ROOT, 'src', path)),
    ...filesBelow(join(ROOT, 'scripts')).map((path) => join(ROOT, 'scripts', path)),
    ...['tsconfig.json', 'tsconfig.build.json', 'vite.config.ts'].map((path) => join(ROOT, path)),
  ].some((path) => statSync(path).mtimeMs > since);
}
