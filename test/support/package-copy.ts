import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runNode } from './npm.ts';
import { ROOT } from './source-tree.ts';

/** A folder in which programs find the package by its name. */
export interface PackageCopy {
  readonly home: string;
  remove(): void;
}

/** Builds the package from the sources as they stand, beside dist/, which other tests use. */
export function copyPackage(): PackageCopy {
  const home = mkdtempSync(join(tmpdir(), 'tersor-copy-'));
  const remove = () => rmSync(home, { recursive: true, force: true });
  const installed = join(home, 'node_modules', 'tersor');
  mkdirSync(installed, { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(installed, 'package.json'));
  const build = runNode(['scripts/build.js', join(installed, 'dist')], ROOT);
  if (build.status !== 0) {
    remove();
    throw new Error(`the package cannot be built:\n${build.stdout}${build.stderr}`);
  }
  return { home, remove };
}
