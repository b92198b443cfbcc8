// Builds dist/ from src/: compiles the TypeScript, copies the plain JavaScript, bundles the pages of
// src/web, marks the launcher executable. The work happens in a folder beside dist/ which then takes its place, so that a build
// that fails leaves the last good dist/ alone. Plain JavaScript: it runs before anything is built.

import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const src = join(root, 'src');
const dist = join(root, 'dist');
// As deep as dist/, so that the relative paths within the source maps hold after the rename.
const staging = join(root, `.dist-${process.pid}`);

/** Runs a program of a development dependency to its end; gives its exit code. */
function runTool(owner, name, args) {
  const manifest = createRequire(import.meta.url).resolve(`${owner}/package.json`);
  const program = join(dirname(manifest), 'bin', name);
  const run = spawnSync(process.execPath, [program, ...args], { cwd: root, stdio: 'inherit' });
  if (run.error) throw run.error;
  return run.status ?? 1;
}

function compile() {
  const config = join(root, 'tsconfig.build.json');
  return runTool('typescript', 'tsc', ['-p', config, '--outDir', staging]);
}

function bundlePages() {
  return runTool('vite', 'vite.js', ['build', '--outDir', join(staging, 'web')]);
}

function copyPlainJavaScript() {
  for (const entry of readdirSync(src, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.js')) continue;
    const from = join(entry.parentPath, entry.name);
    if (from.startsWith(join(src, 'web'))) continue;
    const to = join(staging, from.slice(src.length));
    mkdirSync(dirname(to), { recursive: true });
    cpSync(from, to);
  }
}

try {
  rmSync(staging, { recursive: true, force: true });
  const compiled = compile();
  const status = compiled || bundlePages();
  if (status !== 0) {
    const what = compiled ? 'the TypeScript does not compile' : 'the pages cannot be bundled';
    console.error(`build: ${what}; dist/ is left as it was`);
    process.exitCode = status;
  } else {
    copyPlainJavaScript();
    chmodSync(join(staging, 'cli', 'launch.js'), 0o755);
    rmSync(dist, { recursive: true, force: true });
    renameSync(staging, dist);
  }
} finally {
  rmSync(staging, { recursive: true, force: true });
}
