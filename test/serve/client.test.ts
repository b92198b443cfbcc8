import OpenAI, {
  AuthenticationError,
  BadRequestError,
  NotFoundError,
  RateLimitError,
} from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import { type RunningServer, type ServerOptions, startServer } from '../../src/serve/index.ts';
import {
  ByteTokenizer,
  GREETING,
  type Script,
  ScriptedEngine,
} from '../support/scripted-engine.ts';
import { until } from '../support/until.ts';

const HELLO = GREETING.join('');
const messages = [{ role: 'user' as const, content: 'Hi' }];

let server: RunningServer | undefined;
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

async function serve(script: Script = {}, options: Partial<ServerOptions> = {}) {
  const engine = new ScriptedEngine(script);
  const tokenizer = new ByteTokenizer();
  server = await startServer({
    engine,
    tokenizer,
    model: 'tiny',
    port: 0,
    page: undefined,
    ...options,
  });
  const baseURL = `${server.origin}/v1`;
  const client = new OpenAI({ baseURL, apiKey: 'secret', maxRetries: 0 });
  return { engine, tokenizer, client, model: 'tiny' };
}

describe("OpenAI's client", () => {
  test('lists the model', async () => {
    const { client } = await serve();
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['tiny']);
    expect((await client.models.retrieve('tiny')).owned_by).toBe('tersor');
    await expect(client.models.retrieve('large')).rejects.toThrow(NotFoundError);
  });

  test('chats', async () => {
    const { client, model } = await serve();
    const answer = await client.chat.completions.create({ model, messages });
    expect(answer).toMatchObject({ object: 'chat.completion', model });
    expect(answer.choices).toEqual([
      {
        index: 0,
        message: { role: 'assistant', content: HELLO, refusal: null },
        logprobs: null,
        finish_reason: 'stop',
      },
    ]);
    expect(answer.usage).toEqual({ prompt_tokens: 21, completion_tokens: 6, total_tokens: 27 });
  });

  test('streams a chat, with its usage at the end', async () => {
    const { client, model } = await serve();
    const stream = await client.chat.completions.create({
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await Array.fromAsync(stream);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    expect(chunks[0].choices[0].delta).toEqual({ role: 'assistant', content: '' });
    const pieces = chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta.content ?? ''));
    expect(pieces.filter((text) => text !== '')).toEqual(GREETING);
    expect(chunks.at(-2)?.choices[0]).toMatchObject({ delta: {}, finish_reason: 'stop' });
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 21, completion_tokens: 6 },
    });
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
  });

  test('hands every wish to the engine', async () => {
    const { client, engine, model } = await serve();
    await client.chat.completions.create({
      model,
      messages,
      temperature: 0.5,
      top_p: 0.9,
      presence_penalty: 1,
      frequency_penalty: -1,
      logit_bias: { '65': 5 },
      stop: ['END', '\n'],
      seed: 7,
      max_completion_tokens: 3,
      logprobs: true,
      top_logprobs: 2,
      // @ts-expect-error not of OpenAI, but of everybody who serves models
      top_k: 10,
      min_p: 0.1,
      repetition_penalty: 1.1,
    });
    expect(engine.requests[0]).toMatchObject({
      temperature: 0.5,
      topP: 0.9,
      topK: 10,
      minP: 0.1,
      presencePenalty: 1,
      frequencyPenalty: -1,
      repetitionPenalty: 1.1,
      logitBias: new Map([[65, 5]]),
      stop: ['END', '\n'],
      seed: 7,
      maxTokens: 3,
      logprobs: 2,
    });
  });

  test('stops at a length, and gives several answers with seeds of their own', async () => {
    const { client, engine, model } = await serve();
    const request = { model, messages, n: 3, seed: 2 ** 32 + 4, max_tokens: 2 };
    const answer = await client.chat.completions.create(request);
    expect(answer.choices.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(answer.choices.map((one) => one.finish_reason)).toEqual(['length', 'length', 'length']);
    expect(answer.usage).toEqual({ prompt_tokens: 21, completion_tokens: 6, total_tokens: 27 });
    expect(engine.requests.map(({ seed }) => seed)).toEqual([5, 6, 7]);
  });

  test('streams several answers at once', async () => {
    const { client, engine, model } = await serve();
    const request = { model, messages, n: 2, seed: 1, stream: true as const };
    const texts = ['', ''];
    for await (const { choices } of await client.chat.completions.create(request)) {
      for (const { index, delta } of choices) texts[index] += delta.content ?? '';
    }
    expect(engine.requests.map(({ answer }) => answer)).toEqual([true, true]);
    expect(texts).toEqual([`${HELLO} 1`, `${HELLO} 2`]);
  });

  test('gives log-probabilities', async () => {
    const { client, model } = await serve();
    const wish = { model, messages, logprobs: true, top_logprobs: 2, max_tokens: 1 };
    const entry = { token: 'Hel', logprob: -0.5, bytes: [72, 101, 108] };
    const expected = {
      content: [
        { ...entry, top_logprobs: [entry, { token: 't1', logprob: -9999, bytes: [116, 49] }] },
      ],
      refusal: null,
    };
    const { choices } = await client.chat.completions.create(wish);
    expect(choices[0].logprobs).toEqual(expected);
    const stream = await client.chat.completions.create({ ...wish, stream: true });
    const told = (await Array.fromAsync(stream)).flatMap((chunk) => chunk.choices);
    expect(told.filter(({ logprobs }) => logprobs).map(({ logprobs }) => logprobs)).toEqual([
      expected,
    ]);
  });

  test('completes texts and ids', async () => {
    const { client, model, engine } = await serve();
    const plain = await client.completions.create({ model, prompt: 'Say: ', echo: true });
    expect(plain.choices).toEqual([
      { index: 0, text: `Say: ${HELLO}`, logprobs: null, finish_reason: 'stop' },
    ]);
    expect(engine.requests[0].maxTokens).toBe(16);
    const list = await client.completions.create({ model, prompt: ['a', 'bc'], n: 2, logprobs: 1 });
    expect(list.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    expect(list.usage).toEqual({ prompt_tokens: 3, completion_tokens: 24, total_tokens: 27 });
    expect(list.choices[3].logprobs).toMatchObject({
      tokens: GREETING,
      token_logprobs: GREETING.map(() => -0.5),
      text_offset: [0, 3, 5, 7, 10, 12],
    });
    expect(engine.requests[0].answer).toBe(false);
    await client.completions.create({ model, prompt: [72, 105] });
    expect(engine.requests.at(-1)?.prompt).toEqual(Int32Array.of(72, 105));
    const ids = await client.completions.create({ model, prompt: [[72], [105]], echo: true });
    expect(ids.choices.map(({ text }) => text)).toEqual([`H${HELLO}`, `i${HELLO}`]);
  });

  test('streams a completion', async () => {
    const { client, model } = await serve();
    const request = { model, prompt: 'Say: ', echo: true, stream: true as const };
    const chunks = await Array.fromAsync(await client.completions.create(request));
    const texts = chunks.map(({ choices }) => choices[0].text);
    expect(texts).toEqual(['Say: ', ...GREETING, '']);
    expect(chunks.at(-1)?.choices[0].finish_reason).toBe('stop');
  });

  test('hears which field is wrong', async () => {
    const { client, model } = await serve();
    const wrong = client.chat.completions.create({ model, messages, temperature: 3 });
    const error = await wrong.catch((error: unknown) => error);
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({
      status: 400,
      param: 'temperature',
      type: 'invalid_request_error',
    });
    expect((error as Error).message).toContain('temperature is 3; expected a number from 0 to 2');
  });

  test('hears that the model is another', async () => {
    const { client } = await serve();
    const error = await client.chat.completions
      .create({ model: 'gpt-4', messages })
      .catch((error: unknown) => error);
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ code: 'model_not_found', param: 'model' });
  });

  test('hears that the queue is full', async () => {
    const { client, model } = await serve({ slots: 1, maxWaiting: 1, delay: 20 });
    const ask = () => client.chat.completions.create({ model, messages });
    const results = await Promise.allSettled([ask(), ask(), ask()]);
    const [refused] = results.filter((result) => result.status === 'rejected');
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(2);
    expect(refused.reason).toBeInstanceOf(RateLimitError);
    expect(refused.reason.headers.get('retry-after')).toBe('1');
  });

  test('needs the key', async () => {
    const { client, model } = await serve({}, { apiKeys: ['other', 'secret'] });
    await client.chat.completions.create({ model, messages });
    const stranger = client.withOptions({ apiKey: 'guess' });
    await expect(stranger.models.list()).rejects.toThrow(AuthenticationError);
  });

  test('hears of a failure in the middle of a stream', async () => {
    const tokens = function* () {
      yield 'Hel';
      throw new Error('the weights are melting');
    };
    const errors: unknown[] = [];
    const { client, model } = await serve({ tokens }, { onError: (error) => errors.push(error) });
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    await expect(Array.fromAsync(stream)).rejects.toThrow('the server failed to answer');
    expect(errors.map(String)).toEqual(['Error: the weights are melting']);
    const whole = client.chat.completions.create({ model, messages });
    await expect(whole).rejects.toMatchObject({ status: 500, code: 'internal_error' });
  });
});

describe('a client that leaves', () => {
  test('ends its stream in the engine', async () => {
    const { client, engine, model } = await serve({ tokens: forever, delay: 2 });
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    for await (const { choices } of stream) if (choices[0].delta.content) break;
    await until(() => engine.ended.running === 1);
    expect(engine.stats()).toEqual({ running: 0, waiting: 0 });
  });

  test('ends its answer in the engine when nothing is streamed', async () => {
    const { client, engine, model } = await serve({ tokens: forever, delay: 2 });
    const controller = new AbortController();
    const asked = client.chat.completions.create(
      { model, messages, n: 2 },
      { signal: controller.signal },
    );
    await until(() => engine.stats().running === 2);
    controller.abort();
    await expect(asked).rejects.toThrow('aborted');
    await until(() => engine.ended.running === 2);
    expect(engine.stats()).toEqual({ running: 0, waiting: 0 });
  });

  test.each([true, false])('leaves the queue, too (stream: %s)', async (stream) => {
    const { client, engine, model } = await serve({ tokens: forever, delay: 2, slots: 1 });
    const [first, second] = [new AbortController(), new AbortController()];
    const ask = (signal: AbortSignal) =>
      client.chat.completions.create({ model, messages, stream }, { signal });
    const running = ask(first.signal).catch(() => {});
    await until(() => engine.stats().running === 1);
    const waiting = ask(second.signal).catch(() => {});
    await until(() => engine.stats().waiting === 1);
    second.abort();
    await until(() => engine.ended.waiting === 1);
    expect(engine.stats()).toEqual({ running: 1, waiting: 0 });
    first.abort();
    await until(() => engine.stats().running === 0);
    await Promise.all([running, waiting]);
  });
});

function* forever(): Generator<string> {
  for (;;) yield 'la';
}
