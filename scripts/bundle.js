// Bundles the sources into the few files of dist/: one for each entry point, and chunks of what they
// share. A process that loads hundreds of small modules spends most of its start on finding them.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, relative, sep } from 'node:path';
import { rolldown } from 'rolldown';

/** Files that are loaded by their names at run time: the command, and the program of a thread. */
const LOADED_BY_NAME = ['cli/main.ts', 'device/measure/probe-worker.ts'];
/** What compiled programs depend on; the same rooms as in src/io/use-program-cache.ts. */
const COMPILER_ROOMS = ['base', 'ir', 'asm', 'device', 'compile'];
/** Stands for `import.meta.url` until it is known in which file a module comes to lie. */
const PLACE = '__tersor_place__';

/**
 * Writes the bundle of `src` into `dist`. Packages stay outside. Names are kept as they are: stack
 * traces can be read, and a thread's program, which is sent as text, keeps its own words.
 *
 * @param {{ src: string, dist: string, manifest: object }} options folders, and package.json
 */
export async function bundle({ src, dist, manifest }) {
  const entries = [...new Set([...exportedSources(manifest), ...LOADED_BY_NAME])];
  const build = await rolldown({
    input: Object.fromEntries(entries.map((path) => [path.slice(0, -3), join(src, path)])),
    platform: 'node',
    external: isPackage,
    transform: {
      target: 'es2024',
      define: { TERSOR_COMPILER: JSON.stringify(compilerId(src, manifest.version)) },
    },
    preserveEntrySignatures: 'strict',
    plugins: [ownPlaces(src)],
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
      comments: { legal: true, annotation: true, jsdoc: false },
      entryFileNames: '[name].js',
      chunkFileNames: 'chunks/[name]-[hash].js',
    });
  } finally {
    await build.close();
  }
}

function isPackage(id) {
  return !/^([./]|[a-z]:[\\/])/i.test(id);
}

/** The sources of the files that package.json exports. */
function exportedSources({ exports }) {
  const files = (target) =>
    typeof target === 'string' ? [target] : Object.values(target).flatMap(files);
  return files(exports)
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
        (_, place) => `new URL(${JSON.stringify(`${up}/${place}`)}, import.meta.url).href`,
      );
    },
  };
}
