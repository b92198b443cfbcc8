import { afterEach, describe, expect, test } from 'vitest';
import type { Llama } from '../../src/models/index.ts';
import type { Tensor } from '../../src/tensor/index.ts';
import {
  type TrainingOptions,
  type TrainingProgress,
  trainLanguageModel,
} from '../../src/train/index.ts';
import { TEXT, tinyModel, tokenizer } from '../support/tiny.ts';

const tokens = tokenizer.encode(TEXT);
const options = { steps: 12, batch: 4, sequence: 16, lr: 0.01 };
const made: Llama[] = [];

function fresh(seed = 1): Llama {
  const model = tinyModel(seed);
  made.push(model);
  return model;
}

afterEach(() => {
  for (const model of made.splice(0)) model.dispose();
});

async function run(model: Llama, more: Partial<TrainingOptions> = {}, signal?: AbortSignal) {
  const progress: TrainingProgress[] = [];
  const result = await trainLanguageModel({
    model,
    tokens,
    options: { ...options, ...more } as TrainingOptions,
    onProgress: (p) => progress.push(p),
    signal,
  });
  return { result, progress, losses: progress.map((p) => p.loss) };
}

describe('trainLanguageModel', () => {
  test('learns: the loss falls far below that of single characters', async () => {
    const { losses, result } = await run(fresh(), { steps: 100, lr: 0.02 });
    expect(losses[0]).toBeCloseTo(Math.log(tokenizer.size), 0);
    expect(losses.at(-1)).toBeLessThan(0.5);
    expect(result).toMatchObject({ steps: 100, tokens: 6400, aborted: false });
    expect(result.loss).toBe(losses.at(-1));
  });

  test('gives the same bits for the same seeds and others for others', async () => {
    const first = await run(fresh());
    const again = await run(fresh());
    expect(again.losses).toEqual(first.losses);
    expect((await run(fresh(), { seed: 2 })).losses).not.toEqual(first.losses);
    expect((await run(fresh(2))).losses).not.toEqual(first.losses);
  });

  test('reports each step: warm-up, decay, norms, speed, what is left', async () => {
    const { progress } = await run(fresh(), { steps: 20, warmup: 0.25 });
    expect(progress.map((p) => p.step)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
    const rates = progress.map((p) => p.lr);
    const top = rates.indexOf(Math.max(...rates));
    expect(top).toBe(5);
    expect(rates[top]).toBeCloseTo(0.01, 5);
    expect(rates.slice(0, 6)).toEqual([...rates.slice(0, 6)].sort((a, b) => a - b));
    expect(rates.slice(top)).toEqual([...rates.slice(top)].sort((a, b) => b - a));
    expect(rates.at(-1)).toBeLessThan(0.0005);
    for (const p of progress) {
      expect(p.steps).toBe(20);
      expect(p.gradNorm).toBeGreaterThan(0);
      expect(p.tokensPerSecond).toBeGreaterThan(0);
      expect(p.etaSeconds).toBeGreaterThanOrEqual(0);
    }
    expect(progress.at(-1)?.etaSeconds).toBe(0);
  });

  test('measures the validation loss at equal distances, the last time at the end', async () => {
    const { progress, result } = await run(fresh(), {
      validation: { tokens: tokens.subarray(0, 200) },
    });
    const measured = progress.filter((p) => p.validationLoss !== undefined);
    expect(measured.map((p) => p.step)).toEqual([3, 6, 9, 12]);
    expect(result.validationLoss).toBe(measured.at(-1)?.validationLoss);
    const short = { validation: { tokens: tokens.subarray(0, 5) } };
    await expect(run(fresh(), short)).rejects.toThrow('tokens has length 5');
  });

  test('learns what has weight and leaves alone what has none', async () => {
    const spaces = tokens.map((id) => (tokenizer.characters[id] === ' ' ? 1 : 0));
    const weights = Float32Array.from(spaces);
    const validation = { tokens, weights };
    const weighted = await run(fresh(), { steps: 40, lr: 0.02, weights, validation });
    expect(weighted.result.validationLoss).toBeLessThan(0.1);
    const whole = { tokens };
    const { result } = await run(fresh(), { steps: 40, lr: 0.02, weights, validation: whole });
    expect(result.validationLoss).toBeGreaterThan(3);
    await expect(run(fresh(), { weights: [1] })).rejects.toThrow('weights has length 1');
  });

  test('keeps to a time and lets the learning rate follow it', async () => {
    const { progress, result } = await run(fresh(), { steps: undefined, seconds: 1.5 } as object);
    expect(result.steps).toBeGreaterThan(3);
    expect(result.seconds).toBeGreaterThanOrEqual(1.5);
    expect(result.seconds).toBeLessThan(3);
    expect(progress.at(-1)?.lr).toBeLessThan(0.002);
    expect(progress.at(-1)?.steps).toBe(result.steps);
  });

  test('ends after the step in which it is aborted', async () => {
    const controller = new AbortController();
    const model = fresh();
    const result = await trainLanguageModel({
      model,
      tokens,
      options,
      onProgress: ({ step }) => {
        if (step === 3) controller.abort();
      },
      signal: controller.signal,
    });
    expect(result).toMatchObject({ steps: 3, aborted: true });
    const logits = await model.parameters().values().next().value?.held.data();
    expect(logits?.every(Number.isFinite)).toBe(true);
    const none = await run(fresh(), {}, AbortSignal.abort());
    expect(none.result).toMatchObject({ steps: 0, aborted: true, loss: Number.NaN });
  });

  test('stops at a loss that is no number and names the step', async () => {
    const model = fresh();
    const broken = {
      parameters: () => model.parameters(),
      loss: (inputs: Tensor, targets: Tensor) => model.loss(inputs, targets).mul(Number.NaN),
    };
    const bad = trainLanguageModel({ model: broken, tokens, options });
    await expect(bad).rejects.toThrow(
      'the loss of step 1 is NaN; expected a finite number. The training has diverged: lower the ' +
        'learning rate',
    );
  });

  test.each([
    ['steps', 0],
    ['steps', 1.5],
    ['batch', 0],
    ['sequence', 1e9],
    ['lr', -1],
    ['warmup', 2],
    ['clipNorm', 0],
    ['validations', -1],
    ['weightDecay', Number.NaN],
  ])('refuses %s %s', async (name, value) => {
    await expect(run(fresh(), { [name]: value })).rejects.toThrow(/expected|is -1/);
  });
});
