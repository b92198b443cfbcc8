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
import { startTersor, tersor } from '../support/command.ts';
import { TEXT } from '../support/tiny.ts';

const SMALL = ['--dim', '16', '--layers', '1', '--heads', '2', '--context', '16', '--batch', '4'];
let folder = '';
let book = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tersor-cli-'));
  book = join(folder, 'book.txt');
  writeFileSync(book, TEXT);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('tersor train', () => {
  test('trains, saves, and tersor generate continues, the same for the same seed', async () => {
    const out = join(folder, 'model');
    const trained = await tersor('train', book, '--steps', '40', '--out', out, ...SMALL);
    expect(trained).toMatchObject({ code: 0, stderr: '' });
    expect(trained.stdout).toMatch(
      /^book\.txt: 1920 tokens, 15 different; a model of \d+ parameters\nIt takes \d+\.\d KiB \(/,
    );
    expect(trained.stdout).toContain('100 %  step 40/40  loss ');
    expect(trained.stdout).toMatch(/\n40 steps in 0:\d\d, validation loss \d\.\d{3}; saved in /);
    expect(trained.stdout).not.toContain('\r');
    const write = (...more: string[]) => tersor('generate', out, 'the ', '-n', '12', ...more);
    const [first, again, other] = await Promise.all([write(), write(), write('--seed', '9')]);
    expect(first.code).toBe(0);
    expect(first.stderr).toMatch(/^12 tokens, [\d.]+ tokens\/s; the first after /);
    expect(first.stdout).toMatch(/^the /);
    expect([...first.stdout]).toHaveLength('the '.length + 12 + '\n'.length);
    expect(again.stdout).toBe(first.stdout);
    expect(other.stdout).not.toBe(first.stdout);
  });

  test('writes JSON lines with --json, with the same losses at every run', async () => {
    let runs = 0;
    const run = async () => {
      const out = join(folder, `json-${runs++}`);
      const args = ['--steps', '6', '--json', '--out', out, ...SMALL];
      const { stdout } = await tersor('train', book, ...args);
      return stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
    };
    const [first, again] = await Promise.all([run(), run()]);
    const losses = (events: Record<string, unknown>[]) => events.map((e) => e['loss']);
    expect(first.map((e) => e.event)).toEqual(['start', ...Array(6).fill('progress'), 'result']);
    expect(first[1]).toMatchObject({ step: 1, steps: 6 });
    expect(first.at(-1)).toMatchObject({ steps: 6, aborted: false });
    expect(losses(again)).toEqual(losses(first));
  });

  test('in mixed precision learns nearly the same, and tells the scale of f16', async () => {
    const run = async (precision: string) => {
      const out = join(folder, `precision-${precision}`);
      const args = ['--steps', '6', '--json', '--out', out, '--precision', precision, ...SMALL];
      const { code, stdout } = await tersor('train', book, ...args);
      expect(code).toBe(0);
      const { train } = JSON.parse(readFileSync(join(out, 'run.json'), 'utf8'));
      expect(train.precision).toBe(precision);
      const events = stdout.trim().split('\n');
      return {
        last: JSON.parse(events.at(-2) as string),
        end: JSON.parse(events.at(-1) as string),
      };
    };
    const [f32, bf16, f16] = await Promise.all(['f32', 'bf16', 'f16'].map(run));
    for (const { last } of [bf16, f16]) {
      expect(last.loss).not.toBe(f32.last.loss);
      expect(Math.abs(last.loss / f32.last.loss - 1)).toBeLessThan(0.01);
    }
    expect(f16.last).toMatchObject({ lossScale: 65536, skippedSteps: 0 });
    expect(f16.end).toMatchObject({ skippedSteps: 0 });
    expect(bf16.last).not.toHaveProperty('lossScale');
    expect(bf16.end).not.toHaveProperty('skippedSteps');
    const wrong = await tersor('train', book, '--precision', 'half', ...SMALL);
    expect(wrong.code).not.toBe(0);
    expect(wrong.stderr).toContain(
      'the flags: train.precision is "half"; expected one of f32, bf16, f16',
    );
  });

  test('ends cleanly at Ctrl-C, with what it has learnt saved', async () => {
    const out = join(folder, 'stopped');
    const args = ['train', book, '--steps', '100000', '--json', '--out', out, ...SMALL];
    const { child, ended, printed } = startTersor(args);
    await printed('"step":3,');
    child.kill('SIGINT');
    const { code, stderr } = await ended;
    expect(code).toBe(130);
    expect(stderr).toMatch(
      /^stopped after \d+ steps; the model so far is saved in .*stopped: go on by tersor train --resume .*stopped\n$/,
    );
    expect((await tersor('generate', out, 'the ', '-n', '3')).code).toBe(0);
    const step = Number(/after (\d+) steps/.exec(stderr)?.[1]);
    const more = ['--resume', out, '--steps', String(step + 5), '--json'];
    const resumed = await tersor('train', ...more);
    expect(resumed).toMatchObject({ code: 0, stderr: '' });
    const events = resumed.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events[0]).toMatchObject({ event: 'start', from: { step } });
    expect(events.at(-1)).toMatchObject({ event: 'result', steps: step + 5 });
  });

  test('takes a run as a file, with flags over it, and writes down what came of it', async () => {
    const run = join(folder, 'run.yaml');
    const out = join(folder, 'from-file');
    const sizes = 'model: {layers: 1, width: 16, heads: 2, context: 16}';
    writeFileSync(run, `data: {path: ${book}}\n${sizes}\ntrain: {steps: 900, batch: 2}\n`);
    const flags = ['--steps', '3', '--optimizer', 'lion', '--set', 'train.clipNorm=null'];
    const { code, stderr } = await tersor('train', run, '--out', out, ...flags);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(readFileSync(join(out, 'run.json'), 'utf8'))).toMatchObject({
      model: { width: 16 },
      train: { steps: 3, batch: 2, clipNorm: null },
      optimizer: { name: 'lion' },
      data: { path: [book] },
    });
    writeFileSync(run, 'train: {stepps: 3}\n');
    const wrong = await tersor('train', run);
    expect(wrong).toMatchObject({ code: 1, stdout: '' });
    expect(wrong.stderr).toContain(
      'run.yaml": unknown key train.stepps (did you mean train.steps?)',
    );
  });
});

describe('tersor train refuses', () => {
  const cases: [string, string | Uint8Array | undefined, string][] = [
    ['a missing file', undefined, 'it does not exist'],
    ['an empty file', '', 'is empty; expected text'],
    ['invalid UTF-8', Uint8Array.of(97, 255, 98), 'not valid UTF-8: the byte 0xFF at offset 1'],
  ];
  test.each(cases)('%s', async (name, content, message) => {
    const path = join(folder, `${name}.txt`);
    if (content !== undefined) writeFileSync(path, content);
    const { code, stdout, stderr } = await tersor('train', path, '--out', join(folder, 'never'));
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^error: (file|path) [^\n]+\n$/);
    expect(stderr).toContain(message);
  });

  test.each([
    [['--steps', '0'], "option '--steps <n>' argument '0' is invalid. Expected an integer >= 1."],
    [['--minutes', 'x'], "argument 'x' is invalid. Expected a number > 0."],
    [['--seed', '-1'], 'Expected an integer from 0 to 4294967295'],
    [['--steps', '5', '--minutes', '1'], 'cannot be used with'],
    [['--dim', '30', '--heads', '4'], 'hidden_size is 30; expected an even multiple of 4 heads'],
    [['--frobnicate'], "unknown option '--frobnicate'"],
  ])('%j', async (options, message) => {
    const out = join(folder, 'never');
    const { code, stdout, stderr } = await tersor('train', book, '--out', out, ...options);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/^ +at /m);
  });

  test('a folder that holds another model, or a file, before it trains', async () => {
    const foreign = join(folder, 'foreign');
    mkdirSync(foreign);
    writeFileSync(join(foreign, 'config.json'), '{}');
    const first = await tersor('train', book, '--out', foreign, ...SMALL);
    expect(first).toMatchObject({ code: 1, stdout: '' });
    expect(first.stderr).toContain('holds another model (config.json without run.json)');
    expect(readdirSync(foreign)).toEqual(['config.json']);
    const second = await tersor('train', book, '--out', book, ...SMALL);
    expect(second).toMatchObject({ code: 1, stdout: '' });
    expect(second.stderr).toContain(
      'could not be made as a folder: a file of that name is in the way',
    );
    expect(existsSync(book)).toBe(true);
  });
});
