import { afterAll, describe, expect, test } from 'vitest';
import { SeededRandom } from '../../src/data/index.ts';
import {
  createEngine,
  type GenerationChunk,
  type GenerationRequest,
  QueueFullError,
  type TextEngine,
} from '../../src/generate/index.ts';
import { matricesOf, replaceWeight } from '../../src/models/index.ts';
import { PackedWeight } from '../../src/nn/index.ts';
import { device, jit, type Tensor, tensor } from '../../src/tensor/index.ts';
import { EOS } from '../support/byte-tokenizer.ts';
import {
  type Answer,
  answer,
  byteTokenizer,
  CONTEXT,
  closeEngines,
  engineOf,
  greedy,
  pretrained,
  randomModel,
} from '../support/engine.ts';

const { model } = pretrained;
afterAll(closeEngines);

const whole = jit((tokens: Tensor) => model.forward(tokens).narrow(2, 0, byteTokenizer.size));

/** What the model says without caches, by a forward pass over everything for each token. */
async function greedyReference(prompt: readonly number[], count: number): Promise<number[]> {
  const tokens = [...prompt];
  while (tokens.length < prompt.length + count) {
    const padded = Int32Array.from({ length: CONTEXT }, (_, i) => tokens[i] ?? 0);
    const ids = tensor(padded, { shape: [1, CONTEXT] });
    const logits = await whole(ids);
    const end = tokens.length * byteTokenizer.size;
    const last = (await logits.data()).slice(end - byteTokenizer.size, end) as Float32Array;
    tokens.push(last.indexOf(Math.max(...last)));
    ids.dispose();
    logits.dispose();
  }
  return tokens.slice(prompt.length);
}

const prompts = [
  'a',
  'Once upon a time there was a list of prompts, of which this is the longest one of all.',
  'the cat sat on the mat',
  'fourteen bytes',
  'x = y',
  'ten more!!',
  'what is the answer to the question of life?',
  '...',
];

describe('a text', () => {
  test('is what passes over the whole sequence say', async () => {
    const engine = engineOf({ slots: 1 });
    for (const prompt of prompts.slice(0, 4)) {
      const ids = [...byteTokenizer.encode(prompt, { addSpecial: true })];
      const count = Math.min(6, CONTEXT - ids.length);
      const {
        ids: got,
        reason,
        chunks,
      } = await answer(engine, {
        prompt,
        ...greedy,
        maxTokens: count,
      });
      expect(got).toEqual(await greedyReference(ids, count));
      expect(reason).toBe('length');
      expect(chunks.at(-1)?.finish).toEqual({
        reason: 'length',
        promptTokens: ids.length,
        completionTokens: count,
      });
    }
  });

  test('has the same bits alone and among others, in any order of arrival', async () => {
    const requests = prompts.flatMap((prompt, i): GenerationRequest[] => [
      { prompt, ...greedy, maxTokens: 10, logprobs: 2 },
      { prompt, temperature: 1.5, topP: 0.9, topK: 60, seed: i, ignoreEos: true, maxTokens: 12 },
    ]);
    const alone = engineOf({ slots: 1 });
    const wanted: Answer[] = [];
    for (const request of requests) wanted.push(await answer(alone, request));
    const together = engineOf({ slots: 8 });
    const order = requests.map((_, i) => (i * 7 + 3) % requests.length);
    const got = await Promise.all(order.map((i) => answer(together, requests[i])));
    order.forEach((i, place) => {
      expect(got[place]).toEqual(wanted[i]);
    });
    expect(wanted[0].chunks.flatMap((c) => c.logprobs ?? [])).toHaveLength(10);
  });

  test('has the same bits alone and among others with packed weights, too', async () => {
    const packed = randomModel(11);
    for (const [name, { matrix }] of matricesOf(packed)) {
      const values = matrix();
      replaceWeight(packed, name, PackedWeight.round(values, 'int4-g32'));
      values.dispose();
    }
    const by = { ...pretrained, model: packed };
    const requests = prompts
      .slice(0, 5)
      .map((prompt): GenerationRequest => ({ prompt, ...greedy, maxTokens: 4, logprobs: 1 }));
    const alone = engineOf({ slots: 1 }, by);
    const wanted: Answer[] = [];
    for (const request of requests) wanted.push(await answer(alone, request));
    const together = engineOf({ slots: 5 }, by);
    expect(await Promise.all(requests.map((request) => answer(together, request)))).toEqual(wanted);
  });

  test('ends at an end token, which is no part of it, unless told not to', async () => {
    const engine = engineOf();
    const endless = await answer(engine, { prompt: 'a', ...greedy, maxTokens: 20 });
    // A bias makes the model say the end token; how it does is the sampler's matter.
    const logitBias = new Map([[EOS, 100]]);
    const ended = await answer(engine, { prompt: 'a', temperature: 0, logitBias });
    expect(ended).toMatchObject({ ids: [], text: '', reason: 'stop' });
    const ignored = await answer(engine, { prompt: 'a', ...greedy, logitBias, maxTokens: 3 });
    expect(ignored).toMatchObject({ ids: [EOS, EOS, EOS], text: '', reason: 'length' });
    const other = endless.ids.find((id, i) => endless.ids.indexOf(id) === i && i > 2) as number;
    const at = endless.ids.indexOf(other);
    const mine = engineOf({}, { ...pretrained, generation: { eosIds: [other] } });
    const { ids, reason } = await answer(mine, { prompt: 'a', temperature: 0 });
    expect(ids).toEqual(endless.ids.slice(0, at));
    expect(reason).toBe('stop');
  });

  test('ends before a stop text, also one that spans tokens', async () => {
    const engine = engineOf();
    // Bias writes "abcabc..." whatever the model thinks.
    const write = (text: string, options: Partial<GenerationRequest> = {}) =>
      answer(spelling(engine, text), { prompt: 'p', temperature: 0, ...options });
    expect(await write('hello world', { stop: 'o w', maxTokens: 11 })).toMatchObject({
      text: 'hell',
      reason: 'stop',
    });
    expect(await write('hello world', { stop: ['xyz', 'orx'], maxTokens: 11 })).toMatchObject({
      text: 'hello world',
      reason: 'length',
    });
  });

  test('never splits a character, and drops one that is not complete', async () => {
    const engine = engineOf();
    const text = 'né 💡 日本';
    const count = byteTokenizer.encode(text).length;
    const whole = await answer(spelling(engine, text), {
      prompt: 'p',
      temperature: 0,
      maxTokens: count,
    });
    expect(whole.text).toBe(text);
    for (const { text: piece } of whole.chunks) {
      expect(piece.isWellFormed()).toBe(true);
      expect(piece).not.toContain('\uFFFD');
    }
    const cut = await answer(spelling(engine, text), {
      prompt: 'p',
      temperature: 0,
      maxTokens: count - 1,
    });
    expect(cut.text).toBe('né 💡 日');
    expect(cut.ids).toHaveLength(count - 1);
  });

  test('ends with the context, and one that leaves no room is refused', async () => {
    const engine = engineOf();
    const long = 'x'.repeat(CONTEXT - 4);
    const { ids, reason } = await answer(engine, { prompt: long, ...greedy });
    expect(ids).toHaveLength(3);
    expect(reason).toBe('length');
    expect(() => engine.generate({ prompt: 'x'.repeat(CONTEXT) })).toThrow(
      'prompt is 97 tokens; expected fewer than the context of 96',
    );
    const short = engineOf({ context: 20 });
    expect((await answer(short, { prompt: 'abc', ...greedy })).ids).toHaveLength(16);
  });

  test('tells log-probabilities before temperature, penalties and filters', async () => {
    const engine = engineOf();
    const request = { prompt: 'a', ...greedy, maxTokens: 3, logprobs: 5 };
    const { chunks, ids } = await answer(engine, request);
    const told = chunks.flatMap((chunk) => chunk.logprobs ?? []);
    expect(told.map(({ id }) => id)).toEqual(ids);
    for (const { id, logprob, top } of told) {
      expect(top).toHaveLength(5);
      expect(top[0]).toMatchObject({ id, logprob });
      const sum = top.reduce((s, { logprob: l }) => s + Math.exp(l), 0);
      expect(sum).toBeGreaterThan(0);
      expect(sum).toBeLessThanOrEqual(1);
    }
    const biased = await answer(engine, { ...request, logitBias: new Map([[65, 1000]]) });
    const [first] = biased.chunks.flatMap((chunk) => chunk.logprobs ?? []);
    expect(first).toMatchObject({ id: 65, text: 'A', bytes: [65], top: told[0].top });
    expect(first.logprob).toBeLessThan(0);
    expect(
      (await answer(engine, { ...request, logprobs: undefined })).chunks[0],
    ).not.toHaveProperty('logprobs');
  });
});

/** An engine whose requests write a text, by a bias that moves on with each token. */
function spelling(engine: TextEngine, text: string): TextEngine {
  const ids = byteTokenizer.encode(text);
  let at = 0;
  class Spelling extends Map<number, number> {
    override *[Symbol.iterator](): MapIterator<[number, number]> {
      yield [ids[at++ % ids.length], 1e6];
    }
  }
  const logitBias = new Spelling();
  return {
    context: engine.context,
    capacity: engine.capacity,
    generate: (request) => {
      const stream = engine.generate({ ...request, logitBias });
      // The options were looked at once, before the first token.
      at = 0;
      return stream;
    },
    stats: () => engine.stats(),
    close: () => engine.close(),
  };
}

test('an answer after white space is what was written', async () => {
  const wish = { ...greedy, maxTokens: 4 };
  const write = async (prompt: string, own: object) =>
    (await answer(spelling(engineOf(), ' ann'), { ...wish, ...own, prompt })).text;
  expect(await write('A:', { answer: true })).toBe('ann');
  expect(await write('A: ', { answer: true })).toBe(' ann');
  expect(await write('A:', {})).toBe(' ann');
});

describe('many requests', () => {
  test('wait in line, first come, first served; a full queue refuses', async () => {
    const engine = engineOf({ slots: 2, maxWaiting: 3 });
    const ended: number[] = [];
    const ask = (i: number) =>
      answer(engine, { prompt: 'a', ...greedy, maxTokens: 4 + (i % 2) }).then(() => ended.push(i));
    const asked = [0, 1, 2, 3, 4].map(ask);
    expect(() => engine.generate({ prompt: 'a' })).toThrow(QueueFullError);
    expect(engine.stats()).toEqual({ running: 0, waiting: 5 });
    await Promise.all(asked);
    expect(ended).toEqual([0, 1, 2, 3, 4]);
    expect(engine.stats()).toEqual({ running: 0, waiting: 0 });
  });

  test('a cancelled one frees its slot, running or waiting', async () => {
    const engine = engineOf({ slots: 1 });
    const controller = new AbortController();
    const { signal } = controller;
    const running = engine.generate({ prompt: 'a', ...greedy, signal })[Symbol.asyncIterator]();
    const queued = answer(engine, { prompt: 'b', ...greedy, signal });
    const left = engine.generate({ prompt: 'c', ...greedy })[Symbol.asyncIterator]();
    const last = answer(engine, { prompt: 'd', ...greedy, maxTokens: 2 });
    await running.next();
    await left.return?.();
    expect(engine.stats()).toEqual({ running: 1, waiting: 2 });
    controller.abort();
    expect(await queued).toMatchObject({ ids: [], text: '', reason: 'abort' });
    let end: GenerationChunk | undefined;
    for (;;) {
      const { value, done } = await running.next();
      if (done) break;
      end = value;
    }
    expect(end?.finish?.reason).toBe('abort');
    expect((await last).ids).toHaveLength(2);
    const early = await answer(engine, { prompt: 'a', signal: AbortSignal.abort() });
    expect(early).toMatchObject({ text: '', reason: 'abort' });
    for await (const _ of engine.generate({ prompt: 'a', ...greedy })) break;
    expect((await answer(engine, { prompt: 'e', ...greedy, maxTokens: 1 })).ids).toHaveLength(1);
  });

  test('that come, are cancelled and leave at random change nothing for the others', async () => {
    const alone = engineOf({ slots: 1 });
    const kinds = prompts.slice(0, 6).map(
      (prompt, seed): GenerationRequest => ({
        prompt,
        seed,
        ignoreEos: true,
        maxTokens: 5 + seed,
      }),
    );
    const wanted = await Promise.all(kinds.map((request) => answer(alone, request)));
    const engine = engineOf({ slots: 3, maxWaiting: 100 });
    const dice = new SeededRandom(11);
    const asked: Promise<void>[] = [];
    for (let i = 0; i < 40; i++) {
      const kind = dice.integer(kinds.length);
      const controller = new AbortController();
      const { signal } = controller;
      const fate = dice.integer(4);
      const stop = dice.integer(6);
      const read = async () => {
        const ids: number[] = [];
        for await (const chunk of engine.generate({ ...kinds[kind], signal })) {
          ids.push(...chunk.ids);
          if (fate === 0 && ids.length >= stop) controller.abort();
          if (fate === 1 && ids.length >= stop) break;
        }
        const whole = wanted[kind].ids;
        expect(ids).toEqual(fate < 2 ? whole.slice(0, ids.length) : whole);
      };
      asked.push(read());
      if (fate === 2 && stop === 0) await asked[dice.integer(asked.length)];
    }
    await Promise.all(asked);
    expect(engine.stats()).toEqual({ running: 0, waiting: 0 });
  });

  test('close waits for what runs and refuses what comes', async () => {
    const engine = engineOf({ slots: 1 });
    const asked = ['a', 'b', 'c'].map((prompt) =>
      answer(engine, { prompt, ...greedy, maxTokens: 3 }),
    );
    const closed = engine.close();
    expect(() => engine.generate({ prompt: 'a' })).toThrow('the engine is closed');
    await closed;
    for (const { ids } of await Promise.all(asked)) expect(ids).toHaveLength(3);
  });

  test('wait while the engine prepares, and find it prepared', async () => {
    const engine = engineOf({ slots: 3 });
    const prepared = engine.prepare?.();
    const asked = answer(engine, { prompt: prompts[1], ...greedy, maxTokens: 3, logprobs: 1 });
    await prepared;
    expect(await asked).toEqual(
      await answer(engineOf(), { prompt: prompts[1], ...greedy, maxTokens: 3, logprobs: 1 }),
    );
    await engine.close();
    await expect(engine.prepare?.()).rejects.toThrow('the engine is closed');
  });

  test('an engine frees what it has made', async () => {
    const before = device().liveBytes;
    const engine = createEngine(pretrained, { slots: 3 });
    await Promise.all(
      ['a', 'b'].map((prompt) => answer(engine, { prompt, ...greedy, maxTokens: 3 })),
    );
    expect(device().liveBytes).toBeGreaterThan(before);
    await engine.close();
    expect(device().liveBytes).toBe(before);
  });
});

describe('what a slot remembers', () => {
  test('is not computed again, and changes no bit', async () => {
    const shared = 'You are a helpful assistant. ';
    const chat: GenerationRequest = {
      prompt: `${shared}Hello!`,
      ...greedy,
      maxTokens: 8,
      logprobs: 1,
    };
    const engine = engineOf({ slots: 2 });
    const first = await answer(engine, chat);
    const next: GenerationRequest = {
      ...chat,
      prompt: [...byteTokenizer.encode(`${shared}Hello!`, { addSpecial: true }), ...first.ids, 10],
    };
    const other: GenerationRequest = { ...chat, prompt: `${shared}Bye.` };
    const continued = await answer(engine, next);
    const forked = await answer(engine, other);
    const again = await answer(engine, chat);
    const fresh = engineOf({ slots: 1 });
    expect(await answer(engineOf({ slots: 1 }), next)).toEqual(continued);
    expect(await answer(fresh, other)).toEqual(forked);
    expect(again).toEqual(first);
  });

  test('is forgotten when the weights change', async () => {
    const own = randomModel(5);
    const engine = engineOf({ slots: 1 }, { ...pretrained, model: own });
    const request: GenerationRequest = {
      prompt: 'the same prompt',
      ...greedy,
      maxTokens: 6,
      logprobs: 1,
    };
    const before = await answer(engine, request);
    for (const parameter of own.parameters().values()) {
      const changed = parameter.value.mul(0.5);
      parameter.set(changed);
      changed.dispose();
    }
    const after = await answer(engine, request);
    expect(after).not.toEqual(before);
    expect(await answer(engineOf({ slots: 1 }, { ...pretrained, model: own }), request)).toEqual(
      after,
    );
  });
});
