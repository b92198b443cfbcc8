import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  checkSettings,
  dial,
  overlay,
  type RunSettings,
  readRunFile,
  resolveRun,
} from '../../src/train/index.ts';

const LEAST: RunSettings = { data: { path: 'book.txt' }, out: 'runs/book' };
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tersor-config-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('checkSettings', () => {
  test.each<[object, string]>([
    [{ optimiser: {} }, 'unknown key optimiser (did you mean optimizer?); expected one of model, '],
    [{ train: { bach: 1 } }, 'unknown key train.bach (did you mean train.batch?); expected one of'],
    [{ train: { warmup: 1 } }, 'unknown key train.warmup (did you mean schedule.warmup?)'],
    [{ model: { qqqqqqqq: 1 } }, 'unknown key model.qqqqqqqq; expected one of from, arch, depth'],
    [{ train: { batch: 'eight' } }, 'train.batch is "eight"; expected an integer >= 1'],
    [{ train: { seed: -1 } }, 'train.seed is -1; expected an integer from 0 to 4294967295'],
    [{ train: { clipNorm: 0 } }, 'train.clipNorm is 0; expected a number > 0, or null'],
    [{ train: { precision: 'fp16' } }, 'train.precision is "fp16"; expected one of f32, bf16, f16'],
    [{ model: { arch: 'lama' } }, 'model.arch is "lama"; expected one of llama, gpt2'],
    [{ data: { path: [] } }, 'data.path is []; expected a path or a list of paths'],
    [{ data: { validation: 2 } }, 'data.validation is 2; expected a share from 0 to 0.9, or paths'],
    [{ lora: 8 }, 'lora is 8; expected an object'],
    [{ optimizer: { lr: '1e-3' } }, 'optimizer.lr is "1e-3"; expected a number > 0'],
    [[], 'the run is []; expected an object (data to learn from are .jsonl, a record a line)'],
    [[{ text: 'a'.repeat(5000) }], `the run is [{"text":"${'a'.repeat(50)}... (5013 characters)`],
  ])('refuses %j', (json, message) => {
    expect(() => checkSettings(json, 'file "x"')).toThrow(`file "x": ${message}`);
  });

  test('tells of everything that is wrong at once', () => {
    const json = { train: { batch: 0, steps: 1.5 }, outt: 'x' };
    const lines = () => checkSettings(json, 'x');
    expect(lines).toThrow(/train\.steps is 1\.5(.|\n)*train\.batch is 0(.|\n)*unknown key outt/);
  });
});

describe('readRunFile', () => {
  test('reads JSON and YAML alike', async () => {
    const json = join(folder, 'run.json');
    const yaml = join(folder, 'run.yaml');
    writeFileSync(
      json,
      '{"train": {"steps": 5}, "optimizer": {"name": "lion", "betas": [0.9, 0.98]}}',
    );
    writeFileSync(
      yaml,
      'train: {steps: 5}\noptimizer:\n  name: lion # small\n  betas: [0.9, 0.98]\n',
    );
    const expected = { train: { steps: 5 }, optimizer: { name: 'lion', betas: [0.9, 0.98] } };
    expect(await readRunFile(json)).toEqual(expected);
    expect(await readRunFile(yaml)).toEqual(expected);
  });

  test.each([
    ['a.json', '{', 'a.json" is not JSON: '],
    ['c.json', '{}\n{}\n', 'It was read as a run; data to learn from are .jsonl, a record a line'],
    ['a.yaml', 'train: [1', 'a.yaml" is not YAML: '],
    ['b.yaml', 'train: {stepz: 1}', 'b.yaml": unknown key train.stepz (did you mean train.steps?)'],
  ])('refuses %s with %s', async (name, content, message) => {
    const path = join(folder, name);
    writeFileSync(path, content);
    await expect(readRunFile(path)).rejects.toThrow(message);
  });

  test('names a file that is missing', async () => {
    await expect(readRunFile(join(folder, 'no.yaml'))).rejects.toThrow(
      'no.yaml" could not be read',
    );
  });
});

test('precision is f32 where nothing is said, and stands in what is resolved', () => {
  expect(resolveRun(LEAST).train.precision).toBe('f32');
  expect(resolveRun({ ...LEAST, train: { precision: 'bf16' } }).train.precision).toBe('bf16');
});

test('overlay keeps what is not said above', () => {
  const below: RunSettings = { train: { steps: 5, batch: 2 }, data: { path: ['a', 'b'] } };
  const above: RunSettings = { train: { batch: 3, clipNorm: null }, data: { path: 'c' } };
  expect(overlay(below, above)).toEqual({
    train: { steps: 5, batch: 3, clipNorm: null },
    data: { path: 'c' },
  });
});

test('overlay leaves nothing of an optimiser or a schedule that another replaces', () => {
  const below: RunSettings = {
    optimizer: { name: 'adamw', lr: 0.005, betas: [0.9, 0.95] },
    schedule: { name: 'cosine', warmup: 0.03, min: 1e-4 },
  };
  const above: RunSettings = { optimizer: { name: 'sgd' }, schedule: { name: 'constant' } };
  expect(overlay(below, above)).toEqual(above);
  expect(overlay(below, { optimizer: { name: 'adamw', lr: 1 } }).optimizer).toEqual({
    ...below.optimizer,
    lr: 1,
  });
  expect(overlay({ optimizer: { lr: 1 } }, above).optimizer).toEqual({ name: 'sgd', lr: 1 });
});

describe('resolveRun', () => {
  test('leaves nothing open, and resolves what it has resolved to the same', () => {
    const runs: RunSettings[] = [
      LEAST,
      { ...LEAST, model: { depth: 4 }, tokenizer: { kind: 'bpe' } },
      { ...LEAST, model: { from: 'a' }, lora: { r: 4 }, train: { epochs: 2, memory: 100 } },
      { ...LEAST, train: { clipNorm: null }, optimizer: { name: 'sgd', momentum: 0.9 } },
      { ...LEAST, optimizer: { name: 'muon' }, schedule: { name: 'cosine-restarts' } },
      { ...LEAST, schedule: { name: 'wsd', stable: 0.5, decay: 0.2 }, checkpoints: { every: 7 } },
    ];
    for (const settings of runs) {
      const config = resolveRun(settings);
      const again = checkSettings(JSON.parse(JSON.stringify(config)), 'again');
      expect(resolveRun(again)).toEqual(config);
    }
  });

  test('turns one dial into sizes, rate, batch and steps', () => {
    const { model, train, optimizer } = resolveRun({ ...LEAST, model: { depth: 4 } });
    expect(model).toMatchObject({ arch: 'llama', layers: 4, width: 256, heads: 4, context: 256 });
    // 20 tokens for each of 12 x 4 x 256^2 parameters, 8 x 256 a step.
    expect(train).toMatchObject({ steps: 30720, batch: 8, sequence: 256 });
    expect(optimizer).toMatchObject({ name: 'adamw', lr: 0.0025 });
    const own = resolveRun({ ...LEAST, model: { depth: 4, heads: 8 }, train: { steps: 9 } });
    expect(own).toMatchObject({ model: { width: 256, heads: 8 }, train: { steps: 9 } });
    for (const depth of [1, 2, 6, 12, 24]) {
      const { width, heads, lr } = dial(depth);
      expect(width % (2 * heads)).toBe(0);
      expect(lr).toBeLessThanOrEqual(dial(1).lr);
    }
  });

  test.each<[RunSettings, string]>([
    [{ out: 'x' }, 'data.path is missing; expected the file or folder to learn from'],
    [{ data: { path: 'x' } }, "out is missing; expected the run's folder"],
    [
      { ...LEAST, train: { steps: 1, epochs: 1 } },
      'train.steps and train.epochs is "given together"',
    ],
    [
      { ...LEAST, train: { sequence: 200 } },
      'train.sequence is 200; expected at most model.context',
    ],
    [{ ...LEAST, model: { from: 'x', layers: 2 } }, 'model.layers is 2; expected nothing beside'],
    [
      { ...LEAST, tokenizer: { vocabSize: 9 } },
      'tokenizer.vocabSize is 9; expected tokenizer.kind',
    ],
    [{ ...LEAST, tokenizer: { kind: 'from' } }, 'tokenizer.from is missing; expected a directory'],
    [
      { ...LEAST, model: { from: 'x' }, tokenizer: { kind: 'bpe' } },
      'tokenizer is "bpe"; expected nothing beside model.from',
    ],
  ])('refuses %j', (settings, message) => {
    expect(() => resolveRun(settings)).toThrow(message);
  });
});
