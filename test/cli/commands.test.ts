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

  test('trains, tells a story, and answers questions beside the baselines', async () => {
    const out = join(folder, 'world');
    const { code, stdout, stderr } = await tersor('start', '--quick', '--out', out);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^A small world of \d+ characters/);
    expect(stdout).toContain('In its own words:');
    expect(stdout).toMatch(/model +n-gram +majority/);
    for (const kind of ['all', 'fact', 'arithmetic', 'opposite', 'story']) {
      expect(stdout).toMatch(new RegExp(`${kind} \\(\\d+\\) +\\d`));
    }
    expect(stdout).toContain(`The model is saved in ${out}`);
    expect((await tersor('generate', out, 'Q: ', '-n', '5')).code).toBe(0);
  });

  test('gives JSON lines, and ends at Ctrl-C', async () => {
    const { child, ended, printed } = startTersor(['start', '--json']);
    await printed('"step":2,');
    child.kill('SIGINT');
    const { code, stdout, stderr } = await ended;
    expect(code).toBe(130);
    expect(stderr).toMatch(/^stopped after \d+ steps\n$/);
    for (const line of stdout.trim().split('\n')) expect(JSON.parse(line).event).toBe('progress');
  });
});
