import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTersor, tersor } from '../support/command.ts';

describe('tersor', () => {
  test('explains itself, with examples', async () => {
    const { code, stdout, stderr } = await tersor('--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const word of ['start', 'train', 'generate', 'serve', 'doctor', 'Examples:']) {
      expect(stdout).toContain(word);
    }
    expect((await tersor('train', '--help')).stdout).toContain('Examples:');
    expect((await tersor('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test('refuses a command that it does not have', async () => {
    const { code, stdout, stderr } = await tersor('trian');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain("unknown command 'trian'");
    expect(stderr).toContain('Did you mean train?');
  });

  test('shows where an error comes from if it is asked to', async () => {
    const args = ['generate', join(tmpdir(), 'tersor-no-such-model')];
    const plain = await tersor(...args);
    expect(plain.code).toBe(1);
    expect(plain.stderr).toMatch(/^error: model [^\n]+ is no folder; expected [^\n]+\n$/);
    const { stderr } = await startTersor(args, { TERSOR_DEBUG: '1' }).ended;
    expect(stderr).toMatch(/^ +at /m);
  });
});

describe('tersor doctor', () => {
  test('tells versions, devices and limits', async () => {
    const { code, stdout } = await tersor('doctor', '--json');
    expect(code).toBe(0);
    const found = JSON.parse(stdout);
    expect(found.versions.node).toBe(process.versions.node);
    expect(found.devices.wasm).toMatchObject({ available: true, features: { simd: true } });
    expect(found.limits.peakF32.median).toBeGreaterThan(0.1);
    expect(found.limits.read.unit).toBe('GB/s');
    expect(found.processor.cores).toBeGreaterThanOrEqual(1);
  });
});

describe('tersor start', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tersor-start-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('goes the whole road: a run, the packed model, the table', async () => {
    const out = join(folder, 'world');
    const { code, stdout, stderr } = await tersor('start', '--quick', '--no-serve', '--out', out);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^A small world: \d+ conversations/);
    expect(stdout).toMatch(/f32 +int4 +n-gram +majority/);
    expect(stdout).toMatch(/size +[\d.]+ [kM]B +[\d.]+ kB/);
    for (const kind of ['right answers', 'fact', 'arithmetic', 'opposite', 'story']) {
      expect(stdout).toMatch(new RegExp(`${kind} \\(\\d+\\) +\\d`));
    }
    expect(stdout).toContain(`tersor serve ${join(out, 'int4')}`);
    const chat = await tersor('generate', join(out, 'int4'), 'what is 1 plus 2?', '-n', '5');
    expect(chat.code).toBe(0);
    const again = await tersor('start', '--quick', '--no-serve', '--out', out);
    expect(again.stderr).toContain('go on with it by --resume');
    const resumed = await tersor('start', '--quick', '--no-serve', '--resume', '--out', out);
    expect(resumed.code).toBe(0);
    expect(resumed.stdout).toContain('right answers');
  });

  test('gives JSON lines, ends at Ctrl-C, and goes on from there', async () => {
    const out = join(folder, 'json');
    const args = ['start', '--quick', '--json', '--no-serve', '--out', out];
    const { child, ended, printed } = startTersor([...args, '--minutes', '0.5']);
    await printed('"step":2,');
    child.kill('SIGINT');
    const { code, stdout, stderr } = await ended;
    expect(code).toBe(130);
    expect(stderr).toMatch(/^stopped after \d+ steps; go on by tersor start --resume/);
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).event);
    expect(new Set(events)).toEqual(new Set(['start', 'progress']));
  });

  test('serves the packed model at the end, and says so where nothing can be resumed', async () => {
    const { child, ended, printed } = startTersor([
      'start',
      '--quick',
      '--json',
      '--port',
      '0',
      '--out',
      join(folder, 'served'),
    ]);
    const { origin } = JSON.parse(await printed('"event":"listening"'));
    const models = await (await fetch(`${origin}/v1/models`)).json();
    expect(models.data.map(({ id }: { id: string }) => id)).toEqual(['small-world']);
    child.kill('SIGTERM');
    await ended;
    const nothing = await tersor('start', '--resume', '--out', join(folder, 'none'));
    expect(nothing).toMatchObject({ code: 1 });
    expect(nothing.stderr).toContain('leave out --resume to begin one');
  });
});
