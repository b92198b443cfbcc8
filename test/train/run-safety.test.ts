import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compressModel } from '../../src/compress/index.ts';
import { device } from '../../src/device/index.ts';
import { loadModel } from '../../src/models/index.ts';
import { saveModel } from '../../src/models/node.ts';
import { hasCheckpoint, type RunSettings, resolveRun, runTraining } from '../../src/train/index.ts';
import { newTokenizer } from '../../src/train/run/new-tokenizer.ts';
import { TEXT } from '../support/tiny.ts';

let folder = '';
let book = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tersor-safety-'));
  book = join(folder, 'book.txt');
  writeFileSync(book, TEXT);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Options {
  readonly resume?: boolean;
  readonly overwrite?: boolean;
}

async function run(name: string, more: RunSettings = {}, options: Options = {}) {
  const config = resolveRun({
    data: { path: book },
    model: { layers: 1, width: 32, heads: 2, context: 16 },
    train: { steps: 2, batch: 2 },
    out: join(folder, name),
    ...more,
  });
  let parameters = 0;
  const onStart = (about: { parameters: number }) => {
    parameters = about.parameters;
  };
  const outcome = await runTraining({ config, onStart, ...options });
  outcome.prepared.model.dispose();
  return { ...outcome, parameters };
}

/** All files of a run by path, with their content. */
function contentOf(name: string): Map<string, string> {
  const out = join(folder, name);
  const files = readdirSync(out, { recursive: true, withFileTypes: true });
  return new Map(
    files
      .filter((file) => file.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .map((path) => [path, readFileSync(path, 'latin1')]),
  );
}

describe('a run that is refused changes nothing', () => {
  test('another model cannot resume it, the same one can afterwards', async () => {
    await run('kept');
    const before = contentOf('kept');
    const other: RunSettings = { model: { layers: 1, width: 64, heads: 2, context: 16 } };
    await expect(run('kept', other, { resume: true })).rejects.toThrow(/step-2.*safetensors/);
    expect(contentOf('kept')).toEqual(before);
    const more: RunSettings = { train: { steps: 3, batch: 2 } };
    expect(await run('kept', more, { resume: true })).toMatchObject({ step: 3 });
  });

  test.each<[string, RunSettings]>([
    ['an unknown optimiser', { optimizer: { name: 'adamx' } }],
    ['an unknown schedule', { schedule: { name: 'cosin' } }],
    ['too little memory', { train: { steps: 2, batch: 2, memory: 0.01 } }],
  ])('%s does not remove what is to be overwritten', async (_what, wrong) => {
    await run('replaced', {}, { overwrite: true });
    const before = contentOf('replaced');
    await expect(run('replaced', wrong, { overwrite: true })).rejects.toThrow();
    expect(contentOf('replaced')).toEqual(before);
  });
});

test('overwriting removes the earlier model, too, and no file of others', async () => {
  await run('over');
  const out = join(folder, 'over');
  writeFileSync(join(out, 'special_tokens_map.json'), '{}');
  writeFileSync(join(out, 'notes.txt'), 'mine');
  const config = resolveRun({
    data: { path: book },
    model: { layers: 1, width: 32, heads: 2, context: 16 },
    train: { steps: 2, batch: 2 },
    out,
  });
  const onStart = () => {
    expect(readdirSync(out).sort()).toEqual(['notes.txt', 'run.json']);
  };
  const { prepared, step } = await runTraining({ config, overwrite: true, onStart });
  prepared.model.dispose();
  expect(step).toBe(2);
  expect(existsSync(join(out, 'model.safetensors'))).toBe(true);
  expect(existsSync(join(out, 'notes.txt'))).toBe(true);
});

test('a run that ended before its first checkpoint is in nobody’s way', async () => {
  const out = join(folder, 'killed');
  mkdirSync(join(out, 'checkpoints', '.step-5.unfinished'), { recursive: true });
  writeFileSync(join(out, 'run.json'), '{}');
  expect(await hasCheckpoint(out)).toBe(false);
  expect(await run('killed')).toMatchObject({ step: 2 });
  expect(await hasCheckpoint(out)).toBe(true);
});

describe('what tersor train --help names trains as it is', () => {
  test.each(['muon', 'lion', 'adafactor', 'sgd'])('%s', async (name) => {
    const { loss } = await run(`by-${name}`, { optimizer: { name } });
    expect(loss).toBeLessThan(4);
  });

  test.each([
    'wsd',
    'one-cycle',
    'constant',
    'inverse-sqrt',
    'cosine-restarts',
    'step',
    'multi-step',
  ])('%s, by steps and by time', async (name) => {
    expect(await run(`on-${name}`, { schedule: { name } })).toMatchObject({ step: 2 });
    const train = { seconds: 0.05, batch: 2 };
    const { step } = await run(`in-${name}`, { schedule: { name }, train });
    expect(step).toBeGreaterThan(0);
  });

  test('muon with a gpt2 and with an adapter', async () => {
    const model = { arch: 'gpt2', layers: 1, width: 32, heads: 2, context: 16 } as const;
    const optimizer = { name: 'muon' };
    expect(await run('muon-gpt2', { model, optimizer })).toMatchObject({ step: 2 });
    const further: RunSettings = { model: { from: join(folder, 'by-muon') }, lora: { r: 2 } };
    expect(await run('muon-lora', { ...further, optimizer })).toMatchObject({ step: 2 });
  });
});

test('a schedule that follows the validation loss needs one', async () => {
  const schedule = { name: 'plateau' };
  expect(await run('plateau', { schedule })).toMatchObject({ step: 2 });
  const without: RunSettings = { schedule, data: { path: book, validation: 0 } };
  await expect(run('plateau-2', without)).rejects.toThrow(
    'schedule.name is "plateau"; expected data.validation beside it',
  );
});

test('packed weights are trained by an adapter or not at all, and count', async () => {
  const { parameters } = await run('whole');
  const { model, ...others } = await loadModel(join(folder, 'whole'));
  await compressModel(model, { scheme: 'int8' });
  await saveModel(join(folder, 'packed'), { model, ...others });
  model.dispose();
  const further: RunSettings = { model: { from: join(folder, 'packed') } };
  await expect(run('further', further)).rejects.toThrow(
    /packed" has \d+ packed weights, which cannot be trained; expected an adapter/,
  );
  const adapted = await run('adapted', { ...further, lora: { r: 2 } });
  // Adapters of two matrices of 32 x 32.
  expect(adapted.parameters).toBe(parameters + 2 * 2 * 2 * 32);
});

// Interpreters know no limit.
test.skipIf(device().capacity === Number.POSITIVE_INFINITY)(
  'a step beyond all memory is refused with what helps',
  async () => {
    const big: RunSettings = {
      model: { layers: 8, width: 256, heads: 2, context: 1024 },
      train: { steps: 1, batch: 2 ** 14 },
    };
    await expect(run('big', big)).rejects.toThrow(
      /does not fit: \d+\.\d+ GiB .*; there are \d+\.\d\d GiB\. What helps: --batch 8192/,
    );
  },
);

test('learns the characters of more records than a call takes arguments', async () => {
  const path = join(folder, 'lines.jsonl');
  writeFileSync(path, '{"text":"ab"}\n'.repeat(200_000));
  const config = resolveRun({ data: { path }, out: join(folder, 'lines') });
  expect((await newTokenizer(config)).size).toBeGreaterThan(2);
});
