import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  JsonLinesLogger,
  type Logger,
  Loggers,
  metricsIn,
  TensorBoardLogger,
  type TrainingProgress,
} from '../../src/train/index.ts';
import { crc32c } from '../../src/train/logs/crc32c.ts';
import { lossCurve } from '../../src/train/logs/loss-curve.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tersor-logs-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function at(step: number, more: Partial<TrainingProgress> = {}): TrainingProgress {
  const rates = { lr: 0.01, gradNorm: 1, tokensPerSecond: 1000, memoryBytes: 2 ** 20 };
  const time = { seconds: step / 10, etaSeconds: 1 };
  return { step, steps: 9, tokens: step * 64, loss: 3 / step, ...rates, ...time, ...more };
}

test('crc32c agrees with the vectors of RFC 3720, appendix B.4', () => {
  const vectors: [Uint8Array, number][] = [
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(0xff), 0x62a8ab43],
    [Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    [Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
    [new TextEncoder().encode('123456789'), 0xe3069283],
  ];
  for (const [bytes, crc] of vectors) expect(crc32c(bytes)).toBe(crc);
});

/** TensorBoard's own reader, where there is one. */
const PYTHON = process.env['TERSOR_PYTHON'] ?? '/tmp/v/bin/python';
const READ = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1]); events.Reload()
print(json.dumps({t: [[e.step, e.value] for e in events.Scalars(t)] for t in events.Tags()["scalars"]}))
`;

test.skipIf(!existsSync(PYTHON))('TensorBoard reads its events (TERSOR_PYTHON)', async () => {
  const path = join(folder, 'events');
  const logger = new TensorBoardLogger(path);
  for (let step = 1; step <= 300; step++) {
    await logger.log(at(step, step % 100 === 0 ? { validationLoss: 0.5 } : {}));
  }
  await logger.close();
  const found = JSON.parse(execFileSync(PYTHON, ['-c', READ, path], { encoding: 'utf8' }));
  expect(Object.keys(found).sort()).toEqual(
    ['grad_norm', 'loss', 'lr', 'memory_mib', 'tokens_per_second', 'validation_loss'].sort(),
  );
  expect(found.loss).toHaveLength(300);
  expect(found.loss[299]).toEqual([300, Math.fround(0.01)]);
  expect(found.validation_loss.map(([step]: [number]) => step)).toEqual([100, 200, 300]);
});

test('an event file begins with its version, and each record with its length', async () => {
  const path = join(folder, 'first');
  const logger = new TensorBoardLogger(path);
  await logger.log(at(1));
  await logger.close();
  const [name] = readdirSync(path);
  expect(name).toMatch(/^events\.out\.tfevents\.\d+\./);
  const bytes = readFileSync(join(path, name as string));
  expect(bytes.readUInt32LE(0)).toBe(9 + 2 + 'brain.Event:2'.length);
  expect(bytes.subarray(12).includes('brain.Event:2')).toBe(true);
});

describe('metrics.jsonl', () => {
  test('goes on where a resumed run does, without the steps that are done again', async () => {
    const path = join(folder, 'metrics.jsonl');
    const logger = await JsonLinesLogger.continueFrom(path, 0);
    for (let step = 1; step <= 5; step++) await logger.log(at(step));
    await logger.close();
    // What a kill leaves of the last line.
    writeFileSync(path, `${readFileSync(path, 'utf8')}{"step":6,"lo`);
    const again = await JsonLinesLogger.continueFrom(path, 3);
    await again.log(at(4, { loss: 7 }));
    await again.close();
    const metrics = await metricsIn(path);
    expect(metrics.map(({ step, loss }) => [step, loss])).toEqual([
      [1, 3],
      [2, 1.5],
      [3, 1],
      [4, 7],
    ]);
  });
});

test('a logger that fails is told of once and ends nothing', async () => {
  const steps: number[] = [];
  const good: Logger = {
    name: 'the good one',
    log: ({ step }) => {
      steps.push(step);
    },
    close: () => {},
  };
  const bad: Logger = {
    name: 'the bad one',
    log: async () => {
      throw new Error('the disk is full');
    },
    close: () => {},
  };
  const warnings: string[] = [];
  const loggers = new Loggers([bad, good], (message) => warnings.push(message));
  for (let step = 1; step <= 3; step++) loggers.log(at(step));
  await loggers.close();
  expect(steps).toEqual([1, 2, 3]);
  expect(warnings).toEqual(['the bad one stopped: the disk is full. Training goes on without it']);
});

test('the loss curve shows training and validation', async () => {
  const metrics = Array.from({ length: 1200 }, (_, i) =>
    at(i + 1, i % 300 === 299 ? { validationLoss: 1 } : {}),
  );
  const svg = await lossCurve(metrics, 'A run');
  expect(svg).toMatch(/^<svg /);
  for (const text of ['A run', 'validation', 'step', 'mean of 3 steps'])
    expect(svg).toContain(text);
});
