import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { saveModel } from '../../src/models/index.ts';
import { logitsOf } from '../support/greedy.ts';
import { MODEL_SAMPLES } from '../support/model-samples.ts';
import { ROOT } from '../support/source-tree.ts';
import { difference } from '../support/stored.ts';

interface Said {
  readonly type: string;
  readonly problems: object;
  readonly logits: readonly (readonly number[])[];
}

const IDS = [3, 17, 39, 0, 8, 8, 21];

/** A Python that has transformers, which takes half a minute to start: it has to be named. */
const python = process.env.TERSOR_PYTHON;

(python ? describe : describe.skip)('transformers (a Python named by TERSOR_PYTHON)', () => {
  const home = mkdtempSync(join(tmpdir(), 'tersor-transformers-'));
  let said: readonly Said[] = [];

  beforeAll(async () => {
    const folders = MODEL_SAMPLES.map((_, i) => join(home, String(i)));
    for (const [i, [, make]] of MODEL_SAMPLES.entries()) {
      await saveModel(folders[i], { model: make(), maxShardBytes: 100_000 });
    }
    const script = join(ROOT, 'test', 'support', 'transformers-logits.py');
    const args = [script, JSON.stringify(IDS), ...folders];
    const run = spawnSync(python as string, args, { encoding: 'utf8' });
    if (run.status !== 0) throw new Error(run.stderr);
    const lines = run.stdout.split('\n').filter((line) => line.startsWith('said '));
    said = lines.map((line) => JSON.parse(line.slice(5)) as Said);
  }, 120_000);

  afterAll(() => rmSync(home, { recursive: true, force: true }));

  for (const [i, [name, make, type]] of MODEL_SAMPLES.entries()) {
    test(`loads a saved ${name} and gives its logits`, async () => {
      expect(said[i].type).toBe(type);
      expect(said[i].problems).toEqual({});
      // Both compute in f32; logits are about 10.
      const tolerance = { atol: 2e-4, rtol: 1e-4 };
      const got = await logitsOf(make(), IDS);
      expect(difference(got, said[i].logits.flat(), tolerance)).toBeUndefined();
    });
  }
});
