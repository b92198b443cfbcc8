import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { complete, generate, TextGenerator } from '../../src/generate/index.ts';
import type { Llama } from '../../src/models/index.ts';
import { device, type Tensor } from '../../src/tensor/index.ts';
import { trainLanguageModel } from '../../src/train/index.ts';
import { TEXT, tinyModel, tokenizer } from '../support/tiny.ts';

const CONTEXT = 24;
let model: Llama;
let generator: TextGenerator;

beforeAll(async () => {
  model = tinyModel(1, CONTEXT);
  const options = { steps: 150, batch: 4, sequence: CONTEXT, lr: 0.02 };
  await trainLanguageModel({ model, tokens: tokenizer.encode(TEXT), options });
  generator = new TextGenerator(model, tokenizer);
});

afterAll(() => {
  generator.dispose();
  model.dispose();
});

describe('generate', () => {
  test('says what it has learnt, also beyond its context', async () => {
    const prompt = 'the cat sat on ';
    const greedy = { temperature: 0, maxTokens: 60 };
    const text = await generator.complete(prompt, greedy);
    expect(text).toHaveLength(60);
    expect(`${prompt}${text}`).toContain('the cat sat on the mat. the dog sat on the ');
    const long = TEXT.slice(0, 200);
    expect(await generator.complete(long, greedy)).toBe(
      await generator.complete(long.slice(-CONTEXT), greedy),
    );
  });

  test('writes with caches what passes over the whole window write', async () => {
    const { config } = model;
    const plain = {
      config,
      parameters: () => model.parameters(),
      forward: (t: Tensor) => model.forward(t),
    };
    const windows = new TextGenerator(plain, tokenizer);
    const prompts = ['t', 'the cat', 'the dog sat on the lo', TEXT.slice(3, 60)];
    for (const [i, prompt] of prompts.entries()) {
      for (const options of [{ temperature: 0 }, { temperature: 0.8, seed: i }]) {
        const wanted = await windows.complete(prompt, { ...options, maxTokens: 40 });
        expect(await generator.complete(prompt, { ...options, maxTokens: 40 })).toBe(wanted);
      }
    }
    windows.dispose();
  });

  test('writes several texts at the same time', async () => {
    const prompts = ['the cat', 'on the', 'dog sat'];
    const options = { temperature: 0, maxTokens: 12 };
    const alone: string[] = [];
    for (const prompt of prompts) alone.push(await generator.complete(prompt, options));
    expect(await Promise.all(prompts.map((p) => generator.complete(p, options)))).toEqual(alone);
  });

  test('gives the text piece by piece', async () => {
    const pieces: string[] = [];
    for await (const piece of generate(model, tokenizer, 'the ', { maxTokens: 5, seed: 2 })) {
      pieces.push(piece);
    }
    expect(pieces).toHaveLength(5);
    expect(await complete(model, tokenizer, 'the ', { maxTokens: 5, seed: 2 })).toBe(
      pieces.join(''),
    );
  });

  test('gives the same text for the same seed, others for others', async () => {
    const draw = (seed: number) => generator.complete('', { temperature: 2, seed, maxTokens: 30 });
    const [one, two, other] = [await draw(1), await draw(1), await draw(2)];
    expect(two).toBe(one);
    expect(other).not.toBe(one);
  });

  test('with top-k 1 is greedy at any temperature', async () => {
    expect(await generator.complete('the ', { temperature: 5, topK: 1, maxTokens: 20 })).toBe(
      await generator.complete('the ', { temperature: 0, maxTokens: 20 }),
    );
  });

  test('ends at a stop text, at an abort, and at once if nothing is wanted', async () => {
    const greedy = { temperature: 0, maxTokens: 60 };
    expect(await generator.complete('the cat', { ...greedy, stop: '. ' })).toBe(' sat on the mat');
    expect(await generator.complete('the cat', { ...greedy, maxTokens: 0 })).toBe('');
    expect(await generator.complete('a', { ...greedy, signal: AbortSignal.abort() })).toBe('');
  });

  test('ends quietly at an abort, between tokens and in the middle of one', async () => {
    const controller = new AbortController();
    const pieces: string[] = [];
    const options = { temperature: 0, maxTokens: 60, signal: controller.signal };
    for await (const piece of generator.generate('the cat', options)) {
      if (pieces.push(piece) === 3) controller.abort();
    }
    expect(pieces.join('')).toBe(' sa');
    const early = new AbortController();
    const text = generator.complete('the cat', { ...options, signal: early.signal });
    early.abort();
    expect(await text).toBe('');
    expect(await generator.complete('the cat', { temperature: 0, maxTokens: 3 })).toBe(' sa');
  });

  test('refuses what it cannot do', async () => {
    await expect(generator.complete('Zoo')).rejects.toThrow(
      'text holds "Z" (U+005A) at position 0',
    );
    await expect(generator.complete('a', { maxTokens: -1 })).rejects.toThrow('maxTokens is -1');
    const wide = { ...tokenizer, size: 999, encode: tokenizer.encode, decode: tokenizer.decode };
    expect(() => new TextGenerator(model, wide)).toThrow('999 ids');
  });
});

describe('answerAll', () => {
  const prompts = [
    'the cat',
    'the dog sat',
    't',
    'mat. the ',
    'on the log',
    '.',
    'the cat sat on the',
  ];

  test('answers as one at a time, whatever the batch and the drafts', async () => {
    const alone: string[] = [];
    for (const prompt of prompts) {
      alone.push(await generator.complete(prompt, { temperature: 0, stop: '\n', maxTokens: 6 }));
    }
    const options = { maxTokens: 6 };
    expect(await generator.answerAll(prompts, { ...options, batch: 3 })).toEqual(alone);
    expect(await generator.answerAll(prompts, { ...options, batch: 100 })).toEqual(alone);
    expect(await generator.answerAll(prompts, { ...options, drafts: alone })).toEqual(alone);
    const wrong = prompts.map(() => 'dog. cat. the the the the');
    expect(await generator.answerAll(prompts, { ...options, drafts: wrong })).toEqual(alone);
  });

  test('ends answers at the stop character and leaves it out', async () => {
    const [answer] = await generator.answerAll(['the cat sat'], { stop: '.' });
    expect(answer).toBe(' on the mat');
    expect(await generator.answerAll([])).toEqual([]);
  });

  test('refuses prompts that leave no room, and other nonsense', async () => {
    const long = TEXT.slice(0, CONTEXT);
    await expect(generator.answerAll(['a', long])).rejects.toThrow('prompts[1] is "24 tokens"');
    await expect(generator.answerAll([''])).rejects.toThrow('prompts[0]');
    await expect(generator.answerAll(['a'], { stop: 'at' })).rejects.toThrow('stop is "at"');
    await expect(generator.answerAll(['a'], { batch: 0 })).rejects.toThrow('batch is 0');
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(generator.answerAll(['a'], { signal })).rejects.toThrow('enough');
  });
});

test('generation frees all it has made', async () => {
  const base = device().liveBytes;
  const own = new TextGenerator(model, tokenizer);
  await own.complete('the ', { maxTokens: 5 });
  await own.answerAll(['the ', 'a'], { maxTokens: 5 });
  own.dispose();
  for await (const _ of generate(model, tokenizer, 'the ')) break;
  await new Promise((resolve) => setTimeout(resolve));
  expect(device().liveBytes).toBe(base);
});
