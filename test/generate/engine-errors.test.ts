import { afterAll, describe, expect, test, vi } from 'vitest';
import { createEngine, type GenerationRequest } from '../../src/generate/index.ts';
import { ModelRunner } from '../../src/generate/runner.ts';
import { tensor } from '../../src/tensor/index.ts';
import { BOS } from '../support/byte-tokenizer.ts';
import {
  answer,
  byteTokenizer,
  closeEngines,
  engineOf,
  greedy,
  pretrained,
  randomModel,
} from '../support/engine.ts';

afterAll(closeEngines);

describe('errors', () => {
  test('of one request end only that, and leave nothing behind', async () => {
    const own = randomModel(7);
    const engine = engineOf({ slots: 2 }, { ...pretrained, model: own });
    const good: GenerationRequest = { prompt: 'fine', ...greedy, maxTokens: 12, logprobs: 1 };
    const wanted = await answer(engine, good);
    const [table] = own.parameters().values();
    const values = (await table.held.data()) as Float32Array;
    const broken = values.slice();
    broken.fill(Number.NaN, 90 * 32, 91 * 32); // what "Z" looks like
    const put = (data: Float32Array) => {
      const value = tensor(data, { shape: table.shape as number[] });
      table.set(value);
      value.dispose();
    };
    put(broken);
    // The tied head says NaN for "Z", so even good texts fail until the weights are mended.
    await expect(answer(engine, { ...good, prompt: 'bad Z' })).rejects.toThrow('NaN');
    put(values);
    expect(await answer(engine, good)).toEqual(wanted);
    const banned = new Map(Array.from({ length: byteTokenizer.size }, (_, id) => [id, -Infinity]));
    const [failed, passed] = await Promise.allSettled([
      answer(engine, { ...good, logitBias: banned }),
      answer(engine, good),
    ]);
    expect(failed.status).toBe('rejected');
    expect(passed).toMatchObject({ status: 'fulfilled', value: wanted });
  });

  test('of the device end what runs and waits, and later requests are answered', async () => {
    const engine = engineOf({ slots: 1 });
    const wish = { prompt: 'fine', ...greedy, maxTokens: 3 };
    const wanted = await answer(engine, wish);
    const broken = () => Promise.reject(new Error('the device is out of memory'));
    const spies = (['decode', 'clear'] as const).map((name) =>
      vi.spyOn(ModelRunner.prototype, name).mockImplementation(broken),
    );
    try {
      const [running, waiting] = await Promise.allSettled([1, 2].map(() => answer(engine, wish)));
      expect([running.status, waiting.status]).toEqual(['rejected', 'rejected']);
    } finally {
      for (const spy of spies) spy.mockRestore();
    }
    expect(await answer(engine, wish)).toEqual(wanted);
  });

  test('that nobody asks for are no unhandled rejections', async () => {
    const engine = engineOf({ slots: 1 });
    const banned = new Map(Array.from({ length: byteTokenizer.size }, (_, id) => [id, -Infinity]));
    engine.generate({ prompt: 'a', logitBias: banned });
    expect((await answer(engine, { prompt: 'b', ...greedy, maxTokens: 1 })).ids).toHaveLength(1);
  });

  test.each<[Partial<GenerationRequest>, string]>([
    [{ temperature: -1 }, 'temperature is -1'],
    [{ topK: 0 }, 'topK is 0'],
    [{ topP: 1.1 }, 'topP is 1.1'],
    [{ minP: -0.1 }, 'minP is -0.1'],
    [{ repetitionPenalty: 0 }, 'repetitionPenalty is 0'],
    [{ presencePenalty: Number.NaN }, 'presencePenalty is NaN'],
    [{ maxTokens: 1.5 }, 'maxTokens is 1.5'],
    [{ stop: [''] }, 'stop is [""]'],
    [{ seed: 0.5 }, 'seed is 0.5'],
    [{ logprobs: 21 }, 'logprobs is 21'],
    [{ logitBias: new Map([[-1, 0]]) }, 'logitBias is -1'],
    [{ logitBias: new Map([[258, 0]]) }, 'logitBias is 258; expected ids up to 257'],
    [{ prompt: [] }, 'prompt is []'],
    [{ prompt: [BOS, 300] }, 'prompt[1] is 300'],
  ])('by the field: %o', (options, message) => {
    expect(() => engineOf().generate({ prompt: 'a', ...options })).toThrow(message);
  });

  test('of an engine that cannot be, by name', () => {
    expect(() => createEngine({ ...pretrained, tokenizer: undefined })).toThrow('tokenizer');
    const wide = { ...byteTokenizer, size: 999 };
    expect(() => createEngine({ ...pretrained, tokenizer: wide })).toThrow('999 ids');
    expect(() => createEngine(pretrained, { slots: 0 })).toThrow('slots is 0');
    expect(() => createEngine(pretrained, { context: 97 })).toThrow('context is 97');
    expect(() => createEngine(pretrained, { maxWaiting: -1 })).toThrow('maxWaiting is -1');
  });
});
