// Bundles the sources into the few files of dist/: one for each entry point, and chunks of what they
// share. A process that loads hundreds of small modules spends most of its start on finding them.

import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix, relative, sep } from 'node:path';
import { rolldown } from 'rolldown';

/** Files that are loaded by their names at run time: the command, by its launcher. */
const LOADED_BY_NAME = ['cli/main.ts'];
/**
 * Packages that become part of the bundle, because most processes load them. Their licences go along,
 * and they are no dependencies of the package.
 */
const BUNDLED = JSON.parse(readFileSync(new URL('bundled.json', import.meta.url), 'utf8'));
/** What compiled programs depend on; the same rooms as in src/io/use-program-cache.ts. */
const COMPILER_ROOMS = ['base', 'ir', 'asm', 'device', 'compile'];
/** How the names of Node's modules begin within the bundle. */
const BUILTIN = '\0node:';
/** What takes texts apart. */
const TOKENIZERS = 'io/tokenizer/index.ts';
/** Stands for `import.meta.url` until it is known in which file a module comes to lie. */
const PLACE = '__tersor_place__';

/**
 * Writes the bundle of `src` into `dist`. Packages stay outside. Names are kept as they are: stack
 * traces can be read, and a thread's program, which is sent as text, keeps its own words.
 *
 * @param {{ root: string, dist: string }} options the repository, and the folder to write
 */
export async function bundle({ root, dist }) {
  const src = join(root, 'src');
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const entries = [...new Set([...exportedSources(manifest), ...LOADED_BY_NAME])];
  const build = await rolldown({
    input: Object.fromEntries(entries.map((path) => [path.slice(0, -3), join(src, path)])),
    // What pages load must not name Node's modules, as what is made for Node alone does.
    platform: 'neutral',
    resolve: { conditionNames: ['import', 'default'] },
    external: isPackage,
    transform: {
      // Types alone go: all that Node 24 knows stays as it is written.
      target: 'esnext',
      define: { TERSOR_COMPILER: JSON.stringify(compilerId(src, manifest.version)) },
    },
    treeshake: { propertyReadSideEffects: false },
    preserveEntrySignatures: 'strict',
    plugins: [builtinsAsTheyAre(), ownPlaces(src)],
    onLog: (level, log) => {
      // What a build complains of is mended, not read over.
      if (level === 'warn') throw new Error(`the sources cannot be bundled: ${log.message}`);
    },
  });
  try {
    await build.write({
      dir: dist,
      format: 'es',
      minify: false,
      // A text with a letter beyond takes an engine twice the memory.
      charset: 'ascii',
      comments: { legal: true, annotation: true, jsdoc: false },
      entryFileNames: '[name].js',
      chunkFileNames: 'chunks/[name]-[hash].js',
      codeSplitting: { groups: sharedChunks(src, manifest) },
    });
  } finally {
    await build.close();
  }
  mkdirSync(join(dist, 'licenses'));
  for (const name of BUNDLED) {
    const to = join(dist, 'licenses', `${name.replace('/', '-')}.txt`);
    cpSync(join(root, 'node_modules', name, 'LICENSE'), to);
  }
}

function isPackage(id) {
  return !/^([./\0]|[a-z]:[\\/])/i.test(id) && !id.startsWith('node:') && !BUNDLED.includes(id);
}

/**
 * Few chunks, since a file costs more than what it holds: what even `tersor --version` needs (`base`),
 * what pages load (`core`), tokenizers, which come with the first model that has one, and what the
 * library has besides in Node, apart from Node's own modules. The rest divides itself. What is for Node
 * comes last, so that pages never meet it.
 */
function sharedChunks(src, manifest) {
  const pages = exportedSources(manifest, 'browser').filter((path) => path !== TOKENIZERS);
  const isBuiltin = (id) => id.startsWith(BUILTIN);
  // It does something when it is loaded: who loads its parts must not load it.
  const isPart = (id) => id !== join(src, 'index.ts');
  const groups = [
    { name: 'base', from: ['base/env.ts', 'base/errors.ts'] },
    { name: 'core', from: pages },
    { name: 'tokenizer', from: [TOKENIZERS] },
    { name: 'builtins', from: ['index.ts'], only: isBuiltin },
    { name: 'node', from: ['index.ts'], only: isPart },
  ];
  return groups.map(({ name, from, only = () => true }, i) => {
    const entries = from.map((path) => join(src, path));
    let found;
    return {
      name(id, context) {
        found ??= reachable(entries, context);
        return found.has(id) && only(id) ? name : null;
      },
      debugName: name,
      priority: groups.length - i,
    };
  });
}

/** Modules with all that they import by statements. */
function reachable(modules, context) {
  const found = new Set(modules);
  for (const id of found) {
    for (const next of context.getModuleInfo(id)?.importedIds ?? []) found.add(next);
  }
  return found;
}

/**
 * Modules of Node by `getBuiltinModule`: an import statement reads all properties of such a module, and
 * behind some of them (the standard streams of node:process, the streams of node:fs) are modules that
 * take longer to load than our own. Of these constants the bundle keeps those that are used.
 */
function builtinsAsTheyAre() {
  return {
    name: 'builtins-as-they-are',
    resolveId: (source) => (source.startsWith('node:') ? `\0${source}` : null),
    load(id) {
      if (!id.startsWith(BUILTIN)) return null;
      const name = id.slice(1);
      if (name === 'node:process') return 'export default globalThis.process;';
      const module = process.getBuiltinModule(name);
      const named = Object.keys(module).filter((key) => key !== 'default');
      return [
        `const module = process.getBuiltinModule(${JSON.stringify(name)});`,
        'export default module;',
        ...named.map((key) => `export const ${key} = module.${key};`),
      ].join('\n');
    },
  };
}

/** The sources of the files that package.json exports; for a condition, only what that gives. */
function exportedSources({ exports }, condition) {
  const files = (target) =>
    typeof target === 'string' ? [target] : Object.values(target).flatMap(files);
  const targets = Object.values(exports);
  return files(condition ? targets.flatMap((target) => target[condition] ?? []) : targets)
    .filter((path) => path.startsWith('./dist/') && path.endsWith('.js'))
    .map((path) => path.slice('./dist/'.length).replace(/\.js$/, '.ts'));
}

/** Hash of the compiler's sources, so that programs of another compiler are never run. */
function compilerId(src, version) {
  const hash = createHash('sha256');
  for (const room of COMPILER_ROOMS) {
    const names = readdirSync(join(src, room), { recursive: true, encoding: 'utf8' });
    for (const name of names.filter((name) => /\.[jt]s$/.test(name)).sort()) {
      hash
        .update(`${room}/${name.split(sep).join('/')}\n`)
        .update(readFileSync(join(src, room, name)));
    }
  }
  return `tersor ${version} ${hash.digest('hex')}`;
}

/**
 * Modules that look for files beside themselves find them from wherever they come to lie: to them
 * `import.meta.url` is the place that the module has in src/, seen from dist/.
 */
function ownPlaces(src) {
  return {
    name: 'own-places',
    transform(code, id) {
      if (!code.includes('import.meta.url') || !id.startsWith(src)) return null;
      const place = relative(src, id).split(sep).join('/').replace(/\.ts$/, '.js');
      return code.replaceAll('import.meta.url', `${PLACE}(${JSON.stringify(place)})`);
    },
    renderChunk(code, { fileName }) {
      if (!code.includes(PLACE)) return null;
      const up = posix.relative(posix.dirname(fileName), '') || '.';
      return code.replaceAll(
        new RegExp(`${PLACE}\\("([^"]*)"\\)`, 'g'),
        // The remark is for Vite, which looks for files that are named like this.
        (_, place) =>
          `new URL(/* @vite-ignore */ ${JSON.stringify(`${up}/${place}`)}, import.meta.url).href`,
      );
    },
  };
}
