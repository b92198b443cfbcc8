// Builds dist/ from src/, or the folder that is named instead of dist/: checks the TypeScript and writes
// its types, bundles the sources, copies the launcher, bundles the pages of src/web. The work happens in
// a folder beside it which then takes its place, so that a build that fails leaves the last good one
// alone. Plain JavaScript: it runs before anything is built.

import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.js';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = resolve(process.argv[2] ?? join(root, 'dist'));
const staging = join(dirname(dist), `.dist-${process.pid}`);

/** Runs a program of a development dependency to its end; gives its exit code. */
function runTool(owner, name, args) {
  const manifest = createRequire(import.meta.url).resolve(`${owner}/package.json`);
  const program = join(dirname(manifest), 'bin', name);
  const run = spawnSync(process.execPath, [program, ...args], { cwd: root, stdio: 'inherit' });
  if (run.error) throw run.error;
  return run.status ?? 1;
}

/** Checks the sources and writes their types; the bundle is made from the sources themselves. */
function writeTypes() {
  const config = join(root, 'tsconfig.build.json');
  return runTool('typescript', 'tsc', ['-p', config, '--outDir', staging]);
}

function bundlePages() {
  return runTool('vite', 'vite.js', ['build', '--outDir', join(staging, 'web')]);
}

try {
  rmSync(staging, { recursive: true, force: true });
  const compiled = writeTypes();
  const status = compiled || bundlePages();
  if (status !== 0) {
    const what = compiled ? 'the TypeScript does not compile' : 'the pages cannot be bundled';
    console.error(`build: ${what}; ${dist} is left as it was`);
    process.exitCode = status;
  } else {
    await bundle({ root, dist: staging });
    const launcher = join(staging, 'cli', 'launch.js');
    cpSync(join(root, 'src', 'cli', 'launch.js'), launcher);
    chmodSync(launcher, 0o755);
    rmSync(dist, { recursive: true, force: true });
    renameSync(staging, dist);
  }
} finally {
  rmSync(staging, { recursive: true, force: true });
}
