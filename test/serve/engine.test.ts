import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEngine, type TextEngine } from '../../src/generate/index.ts';
import { Llama, llamaConfig } from '../../src/models/index.ts';
import { type RunningServer, startServer } from '../../src/serve/index.ts';
import { random } from '../../src/tensor/index.ts';
import { byteTokenizer } from '../support/byte-tokenizer.ts';
import { until } from '../support/until.ts';

/** A model whose prefill takes long enough to be in the way of something. */
function makeModel(): Llama {
  random.seed(3);
  return new Llama(
    llamaConfig({
      vocab_size: 257,
      hidden_size: 256,
      intermediate_size: 688,
      num_hidden_layers: 4,
      num_attention_heads: 4,
      max_position_embeddings: 640,
    }),
  );
}

interface Completion {
  readonly choices: readonly { readonly text: string; readonly finish_reason: string }[];
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number };
}

describe('the server over the engine', () => {
  let model: Llama;
  let engine: TextEngine;
  let server: RunningServer;

  beforeAll(async () => {
    model = makeModel();
    const tokenizer = byteTokenizer({ bos: true });
    engine = createEngine({ model, tokenizer, generation: {} }, { slots: 4 });
    server = await startServer({ engine, tokenizer, model: 'random', port: 0, page: undefined });
  });

  afterAll(async () => {
    await server.stop();
    await engine.close();
    model.dispose();
  });

  const post = (body: object, signal?: AbortSignal) =>
    fetch(`${server.origin}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      ...(signal && { signal }),
    });
  const complete = async (body: object) => (await (await post(body)).json()) as Completion;

  test('answers the same alone and among others, whole and streamed', async () => {
    const wish = (seed: number) => ({ prompt: `Text ${seed}`, seed, max_tokens: 12 });
    const alone: string[] = [];
    for (const seed of [1, 2, 3]) alone.push((await complete(wish(seed))).choices[0].text);
    expect(new Set(alone).size).toBe(3);
    const together = await Promise.all([1, 2, 3].map((seed) => complete(wish(seed))));
    expect(together.map(({ choices }) => choices[0].text)).toEqual(alone);
    expect(together[0].usage).toMatchObject({ prompt_tokens: 7, completion_tokens: 12 });
    const events = (await (await post({ ...wish(2), stream: true })).text()).split('\n\n');
    const pieces = events
      .slice(0, -2)
      .map((line) => (JSON.parse(line.slice(6)) as Completion).choices[0].text);
    expect(pieces.join('')).toBe(alone[1]);
  });

  test('keeps timers, health and the list of models alive during a long prefill', async () => {
    // Once for the compiler, which is what a server does before it listens.
    await complete({ prompt: 'a'.repeat(512), max_tokens: 2 });
    const gaps: number[] = [];
    let last = performance.now();
    const timer = setInterval(() => {
      gaps.push(performance.now() - last);
      last = performance.now();
    }, 5);
    let done = false;
    const answer = complete({ prompt: 'b'.repeat(512), max_tokens: 2 }).finally(() => {
      done = true;
    });
    await until(() => engine.stats().running === 1);
    let asked = 0;
    while (!done) {
      expect((await fetch(`${server.origin}/v1/models`)).status).toBe(200);
      expect((await fetch(`${server.origin}/health`)).status).toBe(200);
      asked++;
    }
    clearInterval(timer);
    expect((await answer).usage).toMatchObject({ prompt_tokens: 513, completion_tokens: 2 });
    expect(asked).toBeGreaterThan(1);
    expect(Math.max(...gaps)).toBeLessThan(250);
  });

  test('is left by a client that leaves, also in the middle of its prompt', async () => {
    const body = JSON.stringify({ prompt: 'c'.repeat(600), max_tokens: 30, stream: true });
    const headers = { 'content-type': 'application/json' };
    const call = request(`${server.origin}/v1/completions`, { method: 'POST', headers });
    call.on('error', () => {}).end(body);
    await until(() => engine.stats().running === 1);
    call.destroy();
    await until(() => engine.stats().running === 0);
    expect((await complete({ prompt: 'Next', max_tokens: 2 })).usage.completion_tokens).toBe(2);
  });

  test('ends a text at the end of the context', async () => {
    const { choices, usage } = await complete({ prompt: 'd'.repeat(630), max_tokens: 100 });
    expect(choices[0].finish_reason).toBe('length');
    expect(usage.prompt_tokens + usage.completion_tokens).toBe(640);
  });
});
