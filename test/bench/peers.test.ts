import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { WALL } from '../../src/bench/clock.ts';
import { AbsentPeer, ifThere } from '../../src/bench/peers/absent.ts';
import { startChild } from '../../src/bench/peers/child.ts';
import { onnxMatmul } from '../../src/bench/peers/onnx-matmul.ts';
import { openOnnxRuntime } from '../../src/bench/peers/onnxruntime.ts';
import { peerFolder } from '../../src/bench/peers/packages.ts';
import { openPyTorch } from '../../src/bench/peers/pytorch.ts';
import { REFERENCE } from '../../src/bench/reference-model.ts';
import { ROOT } from '../support/source-tree.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'tersor-peers-'));
afterAll(() => rmSync(FOLDER, { recursive: true }));

function start(script: string, patienceSeconds = 20) {
  const path = join(FOLDER, `${script.length}.mjs`);
  writeFileSync(path, script);
  return startChild({ command: process.execPath, args: [path], patienceSeconds });
}

describe('a peer in a process of its own', () => {
  const serving = `
    import { serveOrders } from ${JSON.stringify(join(ROOT, 'src/bench/peers/child.ts'))};
    const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    await serveOrders({ version: '1' }, (order) => sleep(order === 'long' ? 40 : 5));`;

  test('tells of itself, and takes orders by name and count', async () => {
    const child = await start(serving);
    expect(child.about).toEqual({ version: '1' });
    const long = await child.contestant('peer', 'long ').run(3, WALL);
    expect(long).toBeGreaterThanOrEqual(0.115);
    const answer = await child.ask('2');
    expect(answer['wall']).toBeGreaterThanOrEqual(0.009);
    // It slept nearly all the time.
    expect(answer['thread']).toBeLessThan(Number(answer['wall']) + 0.005);
    child.close();
  });

  test('that fails says why', async () => {
    await expect(start(`console.error('no such model'); process.exit(1);`)).rejects.toThrow(
      'no such model',
    );
    await expect(
      startChild({ command: 'no-such-program', args: [], patienceSeconds: 5 }),
    ).rejects.toThrow('ENOENT');
  });

  test('that is not ready in time is given up', async () => {
    await expect(start('setTimeout(() => {}, 60_000);', 0.3)).rejects.toThrow(
      'not ready after 0.3',
    );
  });
});

describe('a peer that is absent', () => {
  test('is told once, and is no failure', async () => {
    const said = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const open = () => {
      throw new AbsentPeer('somelib', 'it is not installed', 'install it');
    };
    expect(await ifThere(open)).toBeUndefined();
    expect(await ifThere(open)).toBeUndefined();
    expect(said.mock.calls).toEqual([['somelib is left out: it is not installed; install it']]);
    said.mockRestore();
  });

  test('is not what any other error means', async () => {
    await expect(ifThere(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  });

  test('is PyTorch where its Python is none', async () => {
    vi.stubEnv('TERSOR_PYTHON', 'no-such-python');
    const options = { threads: 1, precision: 'f32', compile: false, patienceSeconds: 5 } as const;
    await expect(openPyTorch(REFERENCE, options)).rejects.toThrow(
      /pytorch is left out: no-such-python: .*ENOENT; set TERSOR_PYTHON/,
    );
    vi.unstubAllEnvs();
  });
});

describe('the ONNX model of a product', () => {
  test('is a message of the sizes given', () => {
    const bytes = Buffer.from(onnxMatmul({ m: 2, n: 300, k: 4 }));
    // Version of the format, then the graph with its length; at the end the set of operators.
    expect([...bytes.subarray(0, 3)]).toEqual([8, 8, 7 * 8 + 2]);
    expect(bytes[3]).toBe(bytes.length - 4 - 4);
    expect([...bytes.subarray(-4)]).toEqual([8 * 8 + 2, 2, 16, 17]);
    expect(bytes.includes('MatMul')).toBe(true);
    // 300 as a varint, the second size of b and of c.
    expect(bytes.toString('latin1').split('\xac\x02')).toHaveLength(3);
  });

  test.skipIf(!peerFolder('onnxruntime-node'))('is one that ONNX Runtime computes', async () => {
    const [m, n, k] = [3, 5, 4];
    const child = await openOnnxRuntime({ m, n, k, threads: 1 });
    const numbers = (i: number) => ((i * 2654435761) % 1024) / 1024 - 0.5;
    const expected = Array.from({ length: 4 }, (_, j) =>
      Array.from({ length: k }, (__, i) => numbers(i) * numbers(i * n + j)).reduce((a, b) => a + b),
    );
    // Sums of four products of dyadic numbers with ten digits: f32 holds them exactly.
    expect(child.about['sample']).toEqual(expected);
    child.close();
  });
});
