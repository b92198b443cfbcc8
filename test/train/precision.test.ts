import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  BatchSampler,
  CharacterTokenizer,
  generateWorld,
  type TokenBatch,
} from '../../src/data/index.ts';
import { readSafetensors } from '../../src/io/index.ts';
import type { CausalLM } from '../../src/models/index.ts';
import {
  addLora,
  Conv2d,
  GRU,
  LSTM,
  MixtureOfExperts,
  type Module,
  RNN,
} from '../../src/nn/index.ts';
import { AdamW } from '../../src/optim/index.ts';
import { packedLinear, quantize, toPanels } from '../../src/tensor/functions/index.ts';
import {
  autocast,
  grad,
  type Precision,
  random,
  realize,
  type Tensor,
  tensor,
  valueAndGrad,
} from '../../src/tensor/index.ts';
import {
  Checkpoints,
  cosineByShare,
  Evaluation,
  makeModel,
  Trainer,
  type TrainerOptions,
  type TrainingProgress,
  trainingLoop,
} from '../../src/train/index.ts';
import { MODEL_SAMPLES } from '../support/model-samples.ts';
import { TEXT, tinyModel, tokenizer } from '../support/tiny.ts';

const made: { dispose(): void }[] = [];
afterEach(() => {
  for (const thing of made.splice(0)) thing.dispose();
});

function norm(values: readonly number[]): number {
  return Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
}

/** Loss and gradients, these one after the other. */
async function gradientsOf<M extends { parameters(): ReadonlyMap<string, unknown> }>(
  model: M,
  loss: (model: M) => Tensor,
  precision: Precision,
) {
  const { value, grads } = valueAndGrad((m: M) => autocast(precision, () => loss(m)))(model);
  const list = [...(grads as unknown as ReadonlyMap<string, Tensor>).values()];
  expect(new Set(list.map(({ dtype }) => dtype))).toEqual(new Set(['f32']));
  await realize(value, ...list);
  const values = await Promise.all(list.map(async (g) => [...(await g.data())]));
  return { loss: await value.cast('f32').item(), grads: values.flat() };
}

/** Rounding shows, and is no more than that: 2^-9 at each product, some of which lie behind each other. */
async function expectRounded<M extends { parameters(): ReadonlyMap<string, unknown> }>(
  model: M,
  loss: (model: M) => Tensor,
) {
  const exact = await gradientsOf(model, loss, 'f32');
  const bf16 = await gradientsOf(model, loss, 'bf16');
  const f16 = await gradientsOf(model, loss, 'f16');
  const size = norm(exact.grads);
  const apart = (found: typeof exact) => norm(found.grads.map((v, i) => v - exact.grads[i])) / size;
  expect(Math.abs(bf16.loss / exact.loss - 1)).toBeLessThan(0.03);
  expect(apart(bf16)).toBeLessThan(0.06);
  expect(apart(bf16)).toBeGreaterThan(2 ** -12);
  expect(apart(f16)).toBeLessThan(0.01);
  expect(apart(f16)).toBeGreaterThan(2 ** -15);
}

describe('models need no change for mixed precision', () => {
  test.each(MODEL_SAMPLES)('%s', async (_name, make) => {
    const model = make();
    made.push(model);
    const ids = Int32Array.from({ length: 24 }, (_, i) => (i * 7 + 3) % 40);
    const inputs = tensor(ids, { shape: [2, 12] });
    const targets = tensor(
      ids.map((id) => (id * 3) % 40),
      { shape: [2, 12] },
    );
    await expectRounded(model, (m: CausalLM) => m.loss(inputs, targets));
  });

  const sequence = () => random.normal([5, 3, 8]);
  const layers: readonly [string, () => { model: Module; run: () => Tensor }][] = [
    ['rnn', () => recurrent(new RNN(8, 6))],
    ['gru', () => recurrent(new GRU(8, 6, { layers: 2 }))],
    ['lstm', () => recurrent(new LSTM(8, 6, { bidirectional: true }))],
    [
      'mixture of experts',
      () => {
        const model = new MixtureOfExperts(8, 12, { experts: 4, topK: 2 });
        const x = sequence();
        return { model, run: () => model.forward(x) };
      },
    ],
    [
      'convolution',
      () => {
        const model = new Conv2d(3, 4, 3, { padding: 1 });
        const x = random.normal([2, 3, 7, 6]);
        return { model, run: () => model.forward(x) };
      },
    ],
  ];
  function recurrent(model: RNN | GRU | LSTM) {
    const x = sequence();
    return { model, run: () => model.forward(x).output };
  }
  test.each(layers)('%s', async (_name, make) => {
    random.seed(8);
    const { model, run } = make();
    made.push(model);
    await expectRounded(model, () => run().sub(0.5).square().mean());
  });

  test('adapters, and layers computed again', async () => {
    const model = tinyModel();
    made.push(model);
    addLora(model, { r: 4 });
    random.seed(3);
    for (const [name, p] of model.parameters()) {
      if (name.includes('lora_B')) p.set(random.normal(p.shape, { std: 0.1 }));
    }
    const ids = tensor(Int32Array.from(tokenizer.encode(TEXT.slice(0, 24))), { shape: [2, 12] });
    const loss = (m: CausalLM) => m.loss(ids, ids);
    await expectRounded(model, loss);
    const kept = await gradientsOf(model, loss, 'bf16');
    model.gradientCheckpointing = true;
    expect(await gradientsOf(model, loss, 'bf16')).toEqual(kept);
  });

  test('packed weights keep their own rounding', async () => {
    random.seed(6);
    const weight = random.normal([8, 64]);
    const { packed: codes, scales, scheme } = quantize(weight, 'int8-g32');
    const matrix = toPanels({ codes, scales }, [8, 64], scheme);
    const x = await random.normal([3, 64]).realize();
    const both = async (precision: Precision) => {
      const f = (y: Tensor) => autocast(precision, () => packedLinear(y, matrix));
      const g = grad((y: Tensor) => f(y).square().sum())(x) as Tensor;
      return [[...(await f(x).data())], [...(await g.data())]];
    };
    expect(await both('bf16')).toEqual(await both('f32'));
  });
});

const tokens = tokenizer.encode(TEXT);
const SHAPE = { batch: 4, sequence: 16 };

function trainerOf(precision: Precision, more: Partial<TrainerOptions> = {}) {
  const model = tinyModel();
  const optimizer = new AdamW(model.parameters());
  const trainer = new Trainer({ model, optimizer, ...SHAPE, clipNorm: 1, precision, ...more });
  made.push(model, trainer);
  const sampler = new BatchSampler({ tokens, ...SHAPE, seed: 3 });
  return { model, trainer, next: (): TokenBatch => sampler.next() };
}

async function bitsOf(cells: Iterable<{ readonly held: Tensor }>) {
  return Promise.all([...cells].map(async ({ held }) => [...(await held.data())]));
}

describe('a trainer in mixed precision', () => {
  test('keeps weights, moments and losses in f32, and measures as it trains', async () => {
    for (const precision of ['bf16', 'f16'] as const) {
      const { model, trainer, next } = trainerOf(precision);
      const batch = next();
      const before = await trainer.evaluate(batch);
      const { loss, scaling } = await trainer.step([batch], 0.01);
      expect(loss).toBe(before);
      const exact = await trainerOf('f32').trainer.evaluate(batch);
      expect(loss).not.toBe(exact);
      expect(Math.abs(loss / exact - 1)).toBeLessThan(1e-3);
      const types = [...model.parameters().values(), ...trainer.optimizer.state().values()].map(
        ({ dtype }) => dtype,
      );
      expect(types.filter((type) => type !== 'f32' && type !== 'i32')).toEqual([]);
      expect(scaling?.scale).toBe(precision === 'f16' ? 2 ** 16 : undefined);
      expect(trainer.scaler !== undefined).toBe(precision === 'f16');
    }
  });

  test('takes less memory for activations', () => {
    const f32 = trainerOf('f32').trainer.memory(false);
    const bf16 = trainerOf('bf16').trainer.memory(false);
    expect(bf16.parameters).toBe(f32.parameters);
    expect(bf16.optimizer).toBe(f32.optimizer);
    expect(bf16.activations).toBeLessThan(0.9 * f32.activations);
  });

  test('in f16 a step of infinite gradients changes nothing but the scale', async () => {
    for (const accumulate of [1, 2]) {
      const lossScale = { initScale: 2 ** 40, growthInterval: 3 };
      const { model, trainer, next } = trainerOf('f16', { accumulate, lossScale });
      const cells = () => [...model.parameters().values(), ...trainer.optimizer.state().values()];
      const before = await bitsOf(cells());
      const batches = Array.from({ length: accumulate }, next);
      const scales: number[] = [];
      let skipped = 0;
      for (let i = 0; i < 60; i++) {
        const { loss, gradNorm, scaling } = await trainer.step(batches, 0.001);
        expect(Number.isFinite(loss)).toBe(true);
        expect(scaling?.skipped).toBe(!Number.isFinite(gradNorm));
        scales.push(scaling?.scale as number);
        if (scaling?.skipped) skipped++;
        expect(scaling?.skippedSteps).toBe(skipped);
        if (skipped === i + 1) expect(await bitsOf(cells())).toEqual(before);
        else expect(await bitsOf(cells())).not.toEqual(before);
        if (i >= skipped + 6) break;
      }
      expect(skipped).toBeGreaterThan(3);
      const first = scales.findIndex((s, i) => i > 0 && s === scales[i - 1]);
      // Halved until it fits; doubled after three good steps, whatever came of that.
      expect(scales.slice(0, first)).toEqual(
        Array.from({ length: first }, (_, i) => 2 ** (40 - i)),
      );
      expect(scales[first + 2]).toBe(2 * scales[first + 1]);
    }
  });

  test('the scale is not seen in the update', async () => {
    const found = [];
    for (const initScale of [2 ** 8, 2 ** 12]) {
      const { model, trainer, next } = trainerOf('f16', { lossScale: { initScale } });
      const measured = await trainer.step([next()], 0.01);
      expect(measured.scaling?.skipped).toBe(false);
      found.push({ norm: measured.gradNorm, weights: await bitsOf(model.parameters().values()) });
    }
    const [low, high] = found;
    expect(Math.abs(low.norm / high.norm - 1)).toBeLessThan(1e-3);
    const apart = low.weights.map((w, i) => norm(w.map((v, j) => v - high.weights[i][j])));
    expect(Math.max(...apart)).toBeLessThan(0.02);
  });

  test('refuses what it does not know', () => {
    expect(() => trainerOf('f8' as Precision)).toThrow(
      'Trainer: precision is "f8"; expected f32, bf16, f16',
    );
    expect(() => trainerOf('bf16', { lossScale: {} })).toThrow('expected precision f16 beside it');
  });
});

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tersor-precision-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A run to a step of 40, from the checkpoint where there is one. */
async function run(precision: Precision, until: number, path: string, from?: string) {
  const lossScale = precision === 'f16' ? { initScale: 2 ** 30, growthInterval: 6 } : undefined;
  const { model, trainer } = trainerOf(precision, { lossScale });
  const source = new BatchSampler({ tokens, ...SHAPE, seed: 7 });
  const cells = model.state();
  const state = { trainer, source, schedule: cosineByShare(0.01, 0.1), cells };
  const keeper = new Checkpoints(state, { folder: path, warn: (m) => expect.fail(m) });
  const start = from === undefined ? undefined : await keeper.restore(from);
  const controller = new AbortController();
  const progress: TrainingProgress[] = [];
  const result = await trainingLoop({
    ...state,
    length: { steps: 40 },
    ...(start && { from: start }),
    onProgress: (p) => {
      progress.push(p);
      if (p.step === until) controller.abort();
    },
    signal: controller.signal,
  });
  const saved = await keeper.save(result);
  return { progress, saved, weights: await bitsOf(cells.values()), trainer };
}

describe('a run in mixed precision', () => {
  test.each(['bf16', 'f16'] as const)('%s: 40 steps are 18 and 22 more', async (precision) => {
    const whole = await run(precision, 40, join(folder, `${precision}-whole`));
    const path = join(folder, `${precision}-halves`);
    const first = await run(precision, 18, path);
    const second = await run(precision, 40, path, first.saved);
    const told = ({ loss, gradNorm, lossScale, skippedSteps }: TrainingProgress) => [
      loss,
      gradNorm,
      lossScale,
      skippedSteps,
    ];
    expect([...first.progress, ...second.progress].map(told)).toEqual(whole.progress.map(told));
    expect(second.weights).toEqual(whole.weights);
    const { tensors } = await readSafetensors(join(first.saved, 'model.safetensors'));
    expect(new Set([...tensors.values()].map(({ dtype }) => dtype))).toEqual(new Set(['f32']));
    const last = whole.progress.at(-1);
    if (precision === 'bf16') expect(last).not.toHaveProperty('lossScale');
    else expect(last?.skippedSteps).toBeGreaterThan(3);
    // Steps that were skipped in the first part count in the second.
    expect(second.progress[0].skippedSteps).toBe(
      precision === 'bf16' ? undefined : first.progress.at(-1)?.skippedSteps,
    );
  });

  test('may go on in another precision', async () => {
    const path = join(folder, 'turned');
    const { saved } = await run('bf16', 3, path);
    const f16 = await run('f16', 20, path, saved);
    expect(f16.progress[0].lossScale).toBe(2 ** 30);
    const f32 = await run('f32', 22, path, f16.saved);
    expect(f32.progress.map(({ step }) => step)).toEqual([21, 22]);
  });

  test('ends where no scale helps, and where f16 overflows on the way forward', async () => {
    const endless = (factor: number) => {
      const { model, trainer: old } = trainerOf('f32');
      const optimizer = new AdamW(model.parameters());
      const broken = {
        parameters: () => model.parameters(),
        loss: (x: Tensor, y: Tensor) => {
          const loss = model.loss(x, y);
          // The root of 0 has an infinite slope.
          return factor === 0 ? loss.add(loss.mul(0).sqrt()) : loss.mul(factor);
        },
      };
      const trainer = new Trainer({ ...SHAPE, model: broken, optimizer, precision: 'f16' });
      made.push(trainer);
      expect(old.precision).toBe('f32');
      const source = new BatchSampler({ tokens, ...SHAPE, seed: 7 });
      const schedule = cosineByShare(0.01, 0.1);
      return trainingLoop({ trainer, source, schedule, length: { steps: 99 } });
    };
    await expect(endless(0)).rejects.toThrow(
      /^the norm of the gradients of step 34 is NaN; .* f16 ends at 65504; bf16 has the range/,
    );
    await expect(endless(Number.NaN)).rejects.toThrow(
      /^the loss of step 1 is NaN; expected a finite/,
    );
  });

  test('learns as in f32', { timeout: 60_000 }, async () => {
    const { train, validation } = generateWorld({ seed: 1, characters: 60_000 });
    const characters = CharacterTokenizer.fromText(train + validation);
    const [learned, held] = [train, validation].map((text) => characters.encode(text));
    const losses = new Map<Precision, number>();
    for (const precision of ['f32', 'bf16', 'f16'] as const) {
      random.seed(1);
      const sizes = { dim: 32, layers: 2, heads: 2, context: 48 };
      const model = makeModel(characters.size, sizes);
      const optimizer = new AdamW(model.parameters(), { weightDecay: 0.1, decays: 'matrices' });
      const shape = { batch: 4, sequence: 48 };
      const trainer = new Trainer({ model, optimizer, ...shape, clipNorm: 1, precision });
      made.push(model, trainer);
      const source = new BatchSampler({ tokens: learned, ...shape, seed: 2 });
      const evaluation = new Evaluation(trainer, {
        source: () => new BatchSampler({ tokens: held, ...shape, seed: 0 }),
        batches: 16,
        when: { times: 1 },
      });
      const result = await trainingLoop({
        trainer,
        source,
        schedule: cosineByShare(0.01, 0.05),
        length: { steps: 250 },
        evaluation,
      });
      losses.set(precision, result.validationLoss as number);
    }
    const f32 = losses.get('f32') as number;
    expect(f32).toBeLessThan(1.5);
    // Over six seeds bf16 ends 0.6 % above f32 on average; a single one is up to 1.4 % off, as it also
    // depends on the instructions that multiply. Seeds themselves lie 10 % apart.
    for (const precision of ['bf16', 'f16'] as const) {
      const loss = losses.get(precision) as number;
      expect(loss).not.toBe(f32);
      expect(Math.abs(loss / f32 - 1), `${precision}: ${loss}, f32: ${f32}`).toBeLessThan(0.02);
    }
  });
});
