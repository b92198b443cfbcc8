import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { serveModel } from '../../src/cli/serving.ts';
import { ModelRunner } from '../../src/generate/runner.ts';
import { characterTokenizer } from '../../src/io/index.ts';
import { Llama, llamaConfig, saveModel } from '../../src/models/index.ts';
import { loadModel } from '../../src/models/node.ts';
import { random } from '../../src/tensor/index.ts';
import { type Running, startTersor, tersor } from '../support/command.ts';
import { until } from '../support/until.ts';

describe('tersor serve', () => {
  let folder = '';

  beforeAll(async () => {
    folder = join(mkdtempSync(join(tmpdir(), 'tersor-serve-')), 'tiny');
    const tokenizer = characterTokenizer('Q: what is up?\nA: the sky.\n');
    random.seed(1);
    const model = new Llama(
      llamaConfig({
        vocab_size: tokenizer.size,
        hidden_size: 16,
        intermediate_size: 40,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        max_position_embeddings: 2048,
      }),
    );
    await saveModel(folder, { model, tokenizer });
    model.dispose();
  });

  afterAll(() => rmSync(join(folder, '..'), { recursive: true, force: true }));

  /** The address that a server prints when it listens. */
  async function originOf({ child, printed }: Running): Promise<string> {
    let text = '';
    child.stdout?.on('data', (part) => {
      text += part;
    });
    await printed('listening');
    return (JSON.parse(text) as { origin: string }).origin;
  }

  const ask = (origin: string, body: object, headers: Record<string, string> = {}) =>
    fetch(`${origin}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ prompt: 'what', ...body }),
    });

  test('answers with the key, and at SIGTERM finishes what runs', async () => {
    const args = ['serve', folder, '--port', '0', '--json', '--model-name', 'sky'];
    const running = startTersor(args, { TERSOR_API_KEY: 'secret' });
    const origin = await originOf(running);
    expect(origin).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect((await fetch(`${origin}/v1/models`)).status).toBe(401);
    expect((await fetch(`${origin}/health`)).status).toBe(200);
    const headers = { authorization: 'Bearer secret' };
    const answer = await ask(origin, { stream: true, max_tokens: 1000, logprobs: 0 }, headers);
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    running.child.kill('SIGTERM');
    let text = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      text += new TextDecoder().decode(part.value);
    }
    expect(text).toMatch(/"finish_reason":"length".*\n\ndata: \[DONE\]\n\n$/);
    const { code, stdout, stderr } = await running.ended;
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: 'finishing one answer; once more ends it at once\n',
    });
    const events = stdout.trim().split('\n');
    expect(events.map((line) => JSON.parse(line).event)).toEqual(['listening', 'stopped']);
  });

  test('compiles what several texts need once it listens', async () => {
    const pretrained = await loadModel(folder);
    const decode = vi.spyOn(ModelRunner.prototype, 'decode');
    const stop = new AbortController();
    const stdout = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    try {
      let before = 0;
      const onListening = () => {
        before = decode.mock.calls.length;
      };
      const options = { name: 'sky', port: 0, json: true, slots: 4, onListening };
      const served = serveModel(pretrained, options, stop.signal);
      const sizes = () => decode.mock.calls.slice(before).map(([rows]) => rows.length);
      await until(() => sizes().includes(4));
      stop.abort();
      await served;
      expect(sizes()).toEqual([2, 4]);
    } finally {
      decode.mockRestore();
      stdout.mockRestore();
      pretrained.model.dispose();
    }
  });

  test('ends at once at the second Ctrl-C', async () => {
    const running = startTersor(['serve', folder, '--port', '0', '--json']);
    const origin = await originOf(running);
    const answer = await ask(origin, { stream: true, max_tokens: 2000 });
    await (answer.body as ReadableStream<Uint8Array>).getReader().read();
    running.child.kill('SIGINT');
    await new Promise((resolve) => running.child.stderr?.once('data', resolve));
    setTimeout(() => running.child.kill('SIGINT'), 400);
    // Null: the answers were done just before, and the signal met a process that was ending.
    expect([0, 130, null]).toContain((await running.ended).code);
  });

  test('says where it can be reached, and how', async () => {
    const running = startTersor(['serve', folder, '--port', '0', '--context', '32']);
    await running.printed('Ctrl-C');
    running.child.kill('SIGINT');
    const { code, stdout, stderr } = await running.ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^tiny is served\.\n/);
    expect(stdout).toMatch(/API +http:\/\/127\.0\.0\.1:\d+\/v1/);
    expect(stdout).toContain('/v1/chat/completions');
    expect(stderr).toContain('no chat template');
  });

  test('says what to do where the port is taken, or there is no model', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as AddressInfo;
    const taken = await tersor('serve', folder, '--port', `${port}`);
    expect(taken.code).toBe(1);
    expect(taken.stderr).toMatch(/^error: port \d+ is taken.*--port 0\)\n$/);
    await new Promise((resolve) => other.close(resolve));
    const none = await tersor('serve', join(folder, 'none'), '--port', '0');
    expect(none.code).toBe(1);
    expect(none.stderr).toContain('is no folder; expected one with config.json');
  });
});
