import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { runAttention } from '../../src/bench/attention.ts';
import { BENCHES } from '../../src/bench/benches.ts';
import { THREAD, WALL } from '../../src/bench/clock.ts';
import { compilerTimes, importTimes } from '../../src/bench/compile.ts';
import { runDecode } from '../../src/bench/decode.ts';
import { withResults } from '../../src/bench/docs.ts';
import { runElementwise } from '../../src/bench/elementwise.ts';
import { runFirstToken } from '../../src/bench/first-token.ts';
import { runGemm } from '../../src/bench/gemm.ts';
import { runGemmBf16 } from '../../src/bench/gemm-bf16.ts';
import { runGemv } from '../../src/bench/gemv.ts';
import { runMachine } from '../../src/bench/machine.ts';
import {
  flopsPerToken,
  makeTrainingStep,
  REFERENCE,
  WIDE_REFERENCE,
} from '../../src/bench/reference-model.ts';
import { runServe } from '../../src/bench/serve.ts';
import { useThreads } from '../../src/bench/threads.ts';
import { llamaConfig } from '../../src/models/index.ts';
import { runNode } from '../support/npm.ts';
import { ROOT } from '../support/source-tree.ts';

const MAIN = join('src', 'bench', 'main.ts');
const FAST = {
  device: 'wasm' as const,
  threads: 1,
  timing: { warmSeconds: 0.001, sampleSeconds: 0.001, rounds: 2, clock: WALL },
};
const KEYS = 'bench case device threads value min unit limit ofLimit peers'.split(' ');

describe('the command', () => {
  test('lists its benches', () => {
    const { status, stdout } = runNode([MAIN, '--help'], ROOT);
    expect(status).toBe(0);
    for (const { summary } of BENCHES) expect(stdout).toContain(summary);
    expect(BENCHES.map(({ name }) => name)).toEqual([
      'machine',
      'gemm',
      'gemv',
      'elementwise',
      'attention',
      'decode',
      'first-token',
      'compile',
      'train-step',
      'serve',
    ]);
  });

  test.each([
    [
      ['nonsense'],
      'Allowed choices are machine, gemm, gemv, elementwise, attention, decode, first-token, compile, ' +
        'train-step, serve, all, peers',
    ],
    [['gemm', '--device', 'toaster'], 'Allowed choices are cpu, native, wasm'],
    [['gemm', '--rounds', '0'], 'Expected an integer from 1'],
    [['gemm', '--threads', 'many'], 'Expected an integer from 1'],
    [['gemm', '--threads', '2', '--clock', 'thread'], 'the time of one thread'],
    [['gemm', '--write-docs'], 'would drop the other results'],
    [[], "missing required argument 'name'"],
  ])('refuses %j', (args, message) => {
    const { status, stderr, stdout } = runNode([MAIN, ...args], ROOT);
    expect(stderr).toContain(message);
    expect(stdout).toBe('');
    expect(status).toBe(1);
  });

  test('has a document to write its results into', () => {
    const path = join(ROOT, 'docs', 'benchmarks.md');
    expect(existsSync(path)).toBe(true);
    expect(() => withResults(readFileSync(path, 'utf8'), [])).not.toThrow();
  });
});

describe('the threads', () => {
  test('are one where the processor time of a thread counts', () => {
    expect(() => useThreads('wasm', THREAD, 2)).toThrow('use the clock on the wall');
  });

  test('are one for interpreters', () => {
    expect(useThreads('interpret', WALL, 4)).toEqual({ device: 'interpret', threads: 1 });
  });
});

describe('the benches', () => {
  test('measure a small product', async () => {
    for await (const result of runGemm(FAST, [{ m: 8, n: 12, k: 5, transposed: 'b' }])) {
      expect(Object.keys(result)).toEqual(KEYS);
      expect(result).toMatchObject({ bench: 'gemm', case: 'f32 8x12x5 nt', unit: 'GFLOP/s' });
      expect(result.value).toBeGreaterThan(0);
      expect(result.min).toBeLessThanOrEqual(result.value);
    }
  });

  test('measure small arrays', async () => {
    const results = await Array.fromAsync(runElementwise(FAST, 4096));
    expect(results.map((m) => m.case)).toEqual([
      'f32 add, 16 KiB',
      'f32 exp, 16 KiB',
      'f32 softmax of rows of 1024, 16 KiB',
      'f32 rmsnorm of rows of 1024, 16 KiB',
      'f32 sum, 16 KiB',
      'f32 AdamW update, 16 KiB',
    ]);
    const judged = results.filter(({ bars }) => bars).map((m) => m.case.slice(4, 8));
    expect(judged).toEqual(['add,', 'soft', 'rmsn', 'Adam']);
    for (const { value, limit, more } of results) {
      expect(value).toBeGreaterThan(0);
      expect(limit).toBeGreaterThan(0);
      expect(more?.['of reading alone']).toBeGreaterThan(0);
    }
  });

  test('measure products with one row', async () => {
    const sizes = { scheme: 'int4-g32', rows: 8, columns: 64, bytes: 2000 } as const;
    const bars = [{ of: 'limit', atLeast: 0.95 }];
    const [result] = await Array.fromAsync(runGemv(FAST, [{ ...sizes, bars }]));
    // As many matrices as have the bytes, whatever their scales are held in.
    const matrix = (8 * 64 * (result.more?.['bits a weight'] ?? 0)) / 8;
    const count = Math.ceil(2000 / matrix);
    expect(result.case).toBe(`int4-g32 [8, 64] times one row, ${count} matrices`);
    expect(result.bars?.[0].ratio).toBeGreaterThanOrEqual(0);
  });

  test('measure a product of bf16', async () => {
    vi.stubEnv('TERSOR_PYTHON', 'no-such-python');
    const said = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const [result] = await Array.fromAsync(runGemmBf16(FAST, 16));
    expect(result).toMatchObject({ case: 'bf16 16x16x16', unit: 'GFLOP/s' });
    expect(result.value).toBeGreaterThan(0);
    said.mockRestore();
    vi.unstubAllEnvs();
  });

  test('measure the machine on one thread and on all', async () => {
    const results = await Array.fromAsync(runMachine({ ...FAST, threads: 2 }, 2 ** 16));
    const names = ['f32 multiply-adds', 'reading memory', 'copying memory'];
    for (const threads of [1, 2]) {
      expect(results.filter((m) => m.threads === threads).map((m) => m.case)).toEqual(names);
    }
    for (const { value } of results) expect(value).toBeGreaterThan(0);
  });

  test('measure from the start of a process to a first token', async () => {
    vi.stubEnv('XDG_CACHE_HOME', mkdtempSync(join(tmpdir(), 'tersor-bench-')));
    const config = llamaConfig({
      vocab_size: 300,
      hidden_size: 64,
      intermediate_size: 96,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      max_position_embeddings: 32,
      tie_word_embeddings: false,
    });
    const timing = { ...FAST.timing, rounds: 1 };
    const options = { ...FAST, timing };
    const results = await Array.fromAsync(runFirstToken(options, { config, scheme: 'int4-g32' }));
    expect(results).toHaveLength(1);
    expect(results[0]).toMatchObject({ case: 'int4-g32 llama, 1 layers, d 64', unit: 'ms' });
    // A process of Node takes longer than this to write anything at all.
    expect(results[0].value).toBeGreaterThan(20);
    rmSync(process.env['XDG_CACHE_HOME'] ?? '', { recursive: true });
    vi.unstubAllEnvs();
  }, 60_000);

  test('measure attention: time, extra memory, and how they grow', async () => {
    const results = await Array.fromAsync(runAttention(FAST, [8, 16]));
    expect(results.map((m) => m.case)).toEqual([
      'f32 4x8x64, forward',
      'f32 4x16x64, forward',
      'f32 4x8x64 causal, forward',
      'f32 4x16x64 causal, forward',
      'f32 4x8x64, forward and backward',
      'f32 4x16x64, forward and backward',
      'f32 4x8x64 causal, forward and backward',
      'f32 4x16x64 causal, forward and backward',
    ]);
    for (const [i, result] of results.entries()) {
      expect(result.value).toBeGreaterThan(0);
      const grown = result.more?.['time/n^2 against n 8'] ?? 0;
      if (i % 2 === 0) expect(grown).toBe(1);
      else expect(grown).toBeCloseTo(result.value / results[i - 1].value / 4, 1);
      expect(result.more?.['extra MiB']).toBeGreaterThan(0);
    }
  });

  test('measure decoding: a prompt and single tokens', async () => {
    const config = llamaConfig({
      vocab_size: 40,
      hidden_size: 64,
      intermediate_size: 96,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      max_position_embeddings: 16,
      tie_word_embeddings: false,
    });
    const decoding = { config, scheme: 'int4-g32', prompt: 6, tokens: 3 } as const;
    const results = await Array.fromAsync(runDecode(FAST, decoding));
    const weights = 2 * 40 * 64 + 4 * 64 * 64 + 3 * 64 * 96 + 3 * 64;
    expect(results.map((m) => m.case)).toEqual([
      `int4-g32 llama of ${weights} parameters, prompt of 6`,
      `int4-g32 llama of ${weights} parameters, 3 single tokens`,
    ]);
    for (const { value } of results) expect(value).toBeGreaterThan(0);
    const [, { more, limit }] = results;
    // Codes of half a byte, and a scale of f32 for each 32 of them.
    const bytes = (40 * 64 + 4 * 64 * 64 + 3 * 64 * 96) * (1 / 2 + 4 / 32);
    expect(more?.['MB of weights a token']).toBeCloseTo(bytes / 1e6, 3);
    expect(limit).toBeGreaterThan(0);
  });

  test('measure the server beside its engine', async () => {
    const small = { dim: 16, layers: 1, heads: 2, tokens: 8 };
    const results = await Array.fromAsync(runServe(FAST, small));
    expect(results.map((m) => m.case)).toEqual(['streamed answers of 8 tokens, d 16, 1 layers']);
    expect(results[0].more?.['of the engine']).toBeGreaterThan(0);
  });

  test('count the time of an import', async () => {
    const times = await importTimes();
    expect([...times.keys()]).toContain('import of src');
    for (const time of times.values()) expect(time).toBeGreaterThan(0);
  });

  test("read the compiler's times of the largest program", () => {
    const text = [
      'compiled 1 steps, 1 kernels, 3 KiB code (schedule and lower 121 ms, emit 31 ms)',
      'compiled 244 steps, 56 kernels, 99 KiB code (schedule and lower 632 ms, emit 20 ms)',
      'compiled 2 steps, 1 kernels, 0 KiB code (schedule and lower 13 ms, emit 0 ms)',
    ].join('\n');
    expect([...compilerTimes(text)]).toEqual([
      ['schedule and lower', 632],
      ['emit', 20],
    ]);
    expect(compilerTimes('').size).toBe(0);
  });
});

describe('the reference training step', () => {
  test('has the size that its figures are compared by', () => {
    expect(flopsPerToken(REFERENCE, 922_752)).toBe(5_733_120);
  });

  test('has a wider form', () => {
    const { config } = WIDE_REFERENCE;
    const [d, inner] = [config.hidden_size, config.intermediate_size];
    const layer = 4 * d * d + 3 * d * inner + 2 * d;
    const parameters = 2 * config.vocab_size * d + config.num_hidden_layers * layer + d;
    expect(parameters).toBe(5_008_640);
    expect(flopsPerToken(WIDE_REFERENCE, parameters)).toBe(6 * 5_008_640 + 6 * 6 * 256 * 256);
  });

  test('trains, in a small form', async () => {
    const small = {
      config: llamaConfig({
        vocab_size: 16,
        hidden_size: 8,
        intermediate_size: 12,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        tie_word_embeddings: false,
      }),
      batch: 2,
      time: 4,
    };
    const training = await makeTrainingStep(small, 'wasm');
    const losses: number[] = [];
    for (let i = 0; i < 20; i++) {
      const loss = await training.step();
      losses.push(await loss.item());
      loss.dispose();
    }
    training.dispose();
    expect(training.parameters).toBe(2 * 16 * 8 + 4 * 8 * 8 + 3 * 8 * 12 + 3 * 8);
    expect(losses[0]).toBeCloseTo(Math.log(16), 1);
    expect(losses[19]).toBeLessThan(losses[0]);
  });
});
