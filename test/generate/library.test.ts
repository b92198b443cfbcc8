import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  answerAll,
  complete,
  createEngine,
  type GenerateOptions,
  generate,
  type TextEngine,
} from '../../src/generate/index.ts';
import { characterTokenizer } from '../../src/io/tokenizer/characters.ts';
import type { Pretrained } from '../../src/models/index.ts';
import { device } from '../../src/tensor/index.ts';
import { trainLanguageModel } from '../../src/train/index.ts';
import { TEXT, tinyModel, tokenizer as trained } from '../support/tiny.ts';

const CONTEXT = 48;
let pretrained: Pretrained;
let engine: TextEngine;

beforeAll(async () => {
  const model = tinyModel(1, CONTEXT);
  const options = { steps: 150, batch: 4, sequence: CONTEXT, lr: 0.02 };
  await trainLanguageModel({ model, tokens: trained.encode(TEXT), options });
  pretrained = {
    model,
    tokenizer: characterTokenizer(TEXT),
    generation: {},
  };
  engine = createEngine(pretrained);
});

afterAll(async () => {
  await engine.close();
  pretrained.model.dispose();
});

async function text(prompt: string, options: GenerateOptions = {}): Promise<string> {
  let all = '';
  for await (const chunk of engine.generate({ ...options, prompt })) all += chunk.text;
  return all;
}

describe('generate', () => {
  test('says what it has learnt, up to the end of its context', async () => {
    const prompt = 'the cat sat on ';
    const written = await complete(pretrained, prompt, { temperature: 0 });
    expect(`${prompt}${written}`).toBe('the cat sat on the mat. the dog sat on the log.\n');
  });

  test('gives the text piece by piece', async () => {
    const pieces: string[] = [];
    const options = { maxTokens: 5, seed: 2 };
    for await (const piece of generate(pretrained, 'the ', options)) pieces.push(piece);
    expect(pieces).toHaveLength(5);
    expect(await complete(pretrained, 'the ', options)).toBe(pieces.join(''));
  });

  test('gives the same text for the same seed, others for others', async () => {
    const draw = (seed: number) => text('.', { temperature: 2, seed, maxTokens: 30 });
    const [one, two, other] = await Promise.all([draw(1), draw(1), draw(2)]);
    expect(two).toBe(one);
    expect(other).not.toBe(one);
  });

  test('takes what the request leaves open from the defaults of the model', async () => {
    const options = { maxTokens: 12, seed: 4 };
    const cold = { ...pretrained, generation: { temperature: 0 } };
    const hot = { ...pretrained, generation: { temperature: 50, maxTokens: 12 } };
    const greedy = await text('the ', { ...options, temperature: 0 });
    expect(await complete(cold, 'the ', options)).toBe(greedy);
    expect(await complete(hot, 'the ', { seed: 4 })).toBe(
      await text('the ', { ...options, temperature: 50 }),
    );
  });

  test('ends at a stop text, at an abort, and at once if nothing is wanted', async () => {
    const greedy = { temperature: 0, maxTokens: 40 };
    expect(await text('the cat', { ...greedy, stop: '. ' })).toBe(' sat on the mat');
    expect(await text('the cat', { ...greedy, maxTokens: 0 })).toBe('');
    expect(await text('a', { ...greedy, signal: AbortSignal.abort() })).toBe('');
    const controller = new AbortController();
    const pieces: string[] = [];
    const options = { ...greedy, signal: controller.signal };
    for await (const piece of generate(pretrained, 'the cat', options)) {
      if (pieces.push(piece) === 3) controller.abort();
    }
    expect(pieces.join('')).toMatch(/^ sa/);
    expect(pieces.join('').length).toBeLessThan(40);
  });

  test('refuses what it cannot do', async () => {
    await expect(complete(pretrained, 'Zoo')).rejects.toThrow('"Z"');
    await expect(complete(pretrained, '')).rejects.toThrow(
      'prompt is ""; expected a text: the tokenizer has no token that begins one',
    );
  });
});

describe('answerAll', () => {
  const prompts = ['the cat', 'the dog sat', 't', 'mat. the ', 'on the log', '.', 'cat sat on the'];

  test('answers as one at a time, whatever the batch', async () => {
    const alone: string[] = [];
    for (const prompt of prompts) {
      alone.push(await text(prompt, { temperature: 0, stop: '\n', maxTokens: 6 }));
    }
    for (const batch of [1, 3, 100]) {
      expect(await answerAll(engine, prompts, { maxTokens: 6, batch })).toEqual(alone);
    }
  });

  test('ends answers at the stop text and leaves it out', async () => {
    expect(await answerAll(engine, ['the cat sat'], { stop: '.' })).toEqual([' on the mat']);
    expect(await answerAll(engine, [])).toEqual([]);
  });

  test('ends with the first error, and with the signal', async () => {
    await expect(answerAll(engine, ['a', TEXT.slice(0, 200)])).rejects.toThrow('200 tokens');
    await expect(answerAll(engine, ['a'], { batch: 0 })).rejects.toThrow('batch is 0');
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(answerAll(engine, ['a'], { signal })).rejects.toThrow('enough');
    const controller = new AbortController();
    const answers = answerAll(engine, prompts, { signal: controller.signal });
    controller.abort(new Error('enough now'));
    await expect(answers).rejects.toThrow('enough now');
    expect(await text('the cat', { temperature: 0, maxTokens: 3 })).toBe(' sa');
  });
});

test('generation frees all it has made', async () => {
  const base = device().liveBytes;
  await complete(pretrained, 'the ', { maxTokens: 5 });
  for await (const _ of generate(pretrained, 'the ')) break;
  expect(device().liveBytes).toBe(base);
});
