import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findImports } from '../support/imports.ts';
import { objection, ROOM_ORDER, rowOf } from '../support/rooms.ts';
import { filesBelow, findCycles, ROOT, readImportGraph } from '../support/source-tree.ts';

const SRC = join(ROOT, 'src');
const LONGEST = 500;

/** Packages that run in browsers, too; pages without a bundler need them in an import map. */
const FOR_BROWSERS = ['@huggingface/jinja', '@huggingface/tokenizers'];

const graph = readImportGraph(SRC);
const specifiers = (source: string): string[] => findImports(source).map((i) => i.specifier);

describe('the sources', () => {
  test('import only downwards', () => {
    const wrong = graph.edges.flatMap(({ from, to, line }) => {
      const why = objection(from, to);
      return why === undefined ? [] : [`src/${from}:${line} imports ${to}: ${why}`];
    });
    expect(wrong).toEqual([]);
  });

  test('import in no circle', () => {
    expect(findCycles(graph.edges).map((cycle) => cycle.join(' -> '))).toEqual([]);
  });

  test('import files that exist, by their full names', () => {
    const missing = graph.edges
      .filter(({ to }) => to.startsWith('../') === false && !existsSync(join(SRC, to)))
      .map(({ from, to, line }) => `src/${from}:${line} imports ${to}`);
    const outside = graph.edges
      .filter(({ to }) => to.startsWith('../'))
      .map(({ from, to, line }) => `src/${from}:${line} leaves src: ${to}`);
    expect([...missing, ...outside]).toEqual([]);
  });

  test('import no package but Node itself and the declared dependencies', () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
      devDependencies: Record<string, string>;
    };
    // Both what the package carries within it, and what pages import, is bundled when it is built.
    const carried = readFileSync(join(ROOT, 'scripts', 'bundled.json'), 'utf8');
    const declared = [
      ...Object.keys(manifest.dependencies),
      ...(JSON.parse(carried) as readonly string[]),
    ];
    const bundled = [...declared, ...Object.keys(manifest.devDependencies)];
    const wrong = graph.packages
      .filter(({ specifier }) => !specifier.startsWith('node:'))
      .filter(({ from, specifier }) => {
        const allowed = from.startsWith('web/') ? bundled : declared;
        return !allowed.includes(packageOf(specifier));
      })
      .map(({ from, specifier, line }) => `src/${from}:${line} imports ${specifier}`);
    expect(wrong).toEqual([]);
  });

  test(`have no more than ${LONGEST} lines each`, () => {
    const long = filesBelow(SRC)
      .filter((path) => /\.(ts|js|css|html|md)$/.test(path))
      .map((path) => ({ path, lines: lineCount(readFileSync(join(SRC, path), 'utf8')) }))
      .filter(({ lines }) => lines > LONGEST)
      .map(({ path, lines }) => `src/${path}: ${lines} lines`);
    expect(long).toEqual([]);
  });
});

describe('the rooms', () => {
  const rooms = readdirSync(SRC, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);

  test('stand in the order', () => {
    expect(rooms.filter((room) => rowOf(room) < 0)).toEqual([]);
  });

  test('have a README each', () => {
    expect(rooms.filter((room) => !existsSync(join(SRC, room, 'README.md')))).toEqual([]);
  });
});

// The tests above pass on an empty list; these see to it that the list is not empty for nothing.
describe('the check itself', () => {
  test('finds every form of import', () => {
    const source = `
      import './effect.ts';
      import fallback, { type A, b as c } from './a.ts';
      import type { D } from "./d.ts";
      import * as all from './all.ts'; export * from './more.ts';
      export type { E } from './e.ts';
      export { f } from './f.ts';
      const late = await import('./late.ts');
      type G = import('./g.ts').G;
      const nested = \`\${(await import('./nested.ts')).x} import './not.ts' \${{ a: '}' }.a}\`;
      import {
        several,
        lines,
      } from './lines.ts';
    `;
    expect(specifiers(source)).toEqual(
      'effect a d all more e f late g nested lines'.split(' ').map((name) => `./${name}.ts`),
    );
  });

  test('passes over comments, strings, templates and regular expressions', () => {
    const source = `
      // import './a.ts';
      /* import './b.ts'; */
      const text = "import './c.ts'", quote = /['"\`]/, half = a / 2 / import.meta.n;
      const code = \`import './d.ts'; export * from './e.ts';\`;
      export const from = 'x'; export function f(from = './f.ts') { return from; }
      export default './g.ts';
      host.import('./h.ts');
    `;
    expect(specifiers(source)).toEqual([]);
  });

  test('tells the line', () => {
    expect(findImports("\n/*\n*/ const t = `\n`;\nimport './a.ts';")).toEqual([
      { specifier: './a.ts', line: 5 },
    ]);
  });

  test('knows up from down', () => {
    expect(objection('tensor/a.ts', 'compile/b.ts')).toBeUndefined();
    expect(objection('tensor/a.ts', 'tensor/b.ts')).toBeUndefined();
    expect(objection('index.ts', 'web/b.ts')).toBeUndefined();
    expect(objection('compile/plan.ts', 'device/b.ts')).toBeUndefined();
    expect(objection('compile/emit/wasm.ts', 'asm/b.ts')).toBeUndefined();
    expect(objection('compile/emit/wasm.ts', 'device/b.ts')).toMatch(/must not/);
    expect(objection('device/a.ts', 'compile/b.ts')).toMatch(/above/);
    expect(objection('nn/a.ts', 'optim/b.ts')).toMatch(/neighbours/);
    expect(objection('cli/a.ts', 'index.ts')).toMatch(/top/);
    expect(objection('cli/a.ts', 'attic/b.ts')).toMatch(/no room/);
    expect(ROOM_ORDER.flat().length).toBe(new Set(ROOM_ORDER.flat()).size);
  });

  test('sees a circle', () => {
    const edge = (from: string, to: string) => ({ from, to, line: 1 });
    const ring = [edge('a', 'b'), edge('b', 'c'), edge('c', 'd'), edge('d', 'b')];
    expect(findCycles(ring)).toEqual([['b', 'c', 'd', 'b']]);
    expect(findCycles(ring.slice(0, 3))).toEqual([]);
    expect(findCycles([edge('a', 'a')])).toEqual([['a', 'a']]);
  });
});

/** `hono` of `hono/cors`, `@hono/node-server` of `@hono/node-server/serve-static`. */
function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

function lineCount(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
}

describe('the entry for browsers', () => {
  test('reaches nothing that needs Node', () => {
    const { edges, packages } = graph;
    const reached = new Set(['browser.ts']);
    for (const file of reached) {
      for (const { from, to } of edges) if (from === file) reached.add(to);
    }
    expect(reached.size).toBeGreaterThan(100);
    const needed = packages.filter(({ from }) => reached.has(from));
    expect(needed.filter(({ specifier }) => !FOR_BROWSERS.includes(specifier))).toEqual([]);
  });
});
