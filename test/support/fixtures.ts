import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { ROOT } from './source-tree.ts';
import { parseSafetensors, type Stored } from './stored.ts';

/**
 * The golden results of the reference libraries. They are too large for the repository and lie
 * beside it, in ../shared/fixtures, or in fixtures/ of the folder that TERSOR_SHARED names.
 */
export const SHARED = process.env.TERSOR_SHARED ?? join(ROOT, '..', 'shared');
export const FIXTURES = join(SHARED, 'fixtures');

/** A suite that needs the fixtures: skipped, and saying so, where they are missing. */
export function describeWithFixtures(name: string, body: (folder: string) => void): void {
  if (existsSync(FIXTURES)) {
    describe(name, () => body(FIXTURES));
    return;
  }
  const help = `no fixtures at ${FIXTURES}; set TERSOR_SHARED to the folder that holds fixtures/`;
  describe.skip(`${name} (${help})`, () => {
    test('needs the fixtures', () => {});
  });
}

/** Reads an index file of the fixtures. */
export function readJson<T>(...path: string[]): T {
  return JSON.parse(readFileSync(join(...path), 'utf8')) as T;
}

/** The tensors of a safetensors file of the fixtures, by name. */
export function readSafetensors(...path: string[]): ReadonlyMap<string, Stored> {
  return parseSafetensors(readFileSync(join(...path)));
}
