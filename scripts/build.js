// Builds dist/ from src/: compiles the TypeScript, copies the plain JavaScript, marks the launcher
// executable. The work happens in a folder beside dist/ which then takes its place, so that a build
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

function compile() {
  const manifest = createRequire(import.meta.url).resolve('typescript/package.json');
  const tsc = join(dirname(manifest), 'bin', 'tsc');
  const args = [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', staging];
  const run = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (run.error) throw run.error;
  return run.status ?? 1;
}

function copyPlainJavaScript() {
  for (const entry of readdirSync(src, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.js')) continue;
    const from = join(entry.parentPath, entry.name);
    const to = join(staging, from.slice(src.length));
    mkdirSync(dirname(to), { recursive: true });
    cpSync(from, to);
  }
}

try {
  rmSync(staging, { recursive: true, force: true });
  const status = compile();
  if (status !== 0) {
    console.error('build: the TypeScript does not compile; dist/ is left as it was');
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
