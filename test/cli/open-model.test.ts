import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openModel } from '../../src/cli/open-model.ts';
import { adaptersOf } from '../../src/nn/index.ts';
import { describeWithFixtures } from '../support/fixtures.ts';

describeWithFixtures('a model that a command opens', (fixtures) => {
  const llama = join(fixtures, 'models', 'llama');
  const adapter = join(fixtures, 'models', 'llama-lora-qv');

  test('has the adapter that is named', async () => {
    const { model } = await openModel(llama, { adapter });
    expect(adaptersOf(model).size).toBeGreaterThan(0);
    model.dispose();
  });

  test('is refused without a tokenizer where text is wanted', async () => {
    await expect(openModel(llama, { needsTokenizer: true })).rejects.toThrow('no tokenizer.json');
  });

  test('is told to be an adapter alone', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tersor-open-'));
    cpSync(adapter, join(folder, 'adapter'), { recursive: true });
    await expect(openModel(folder)).rejects.toThrow(`--adapter ${join(folder, 'adapter')}`);
    rmSync(folder, { recursive: true });
  });
});
