import { afterEach, describe, expect, test } from 'vitest';
import { BatchSampler, type TokenBatch } from '../../src/data/index.ts';
import type { Llama } from '../../src/models/index.ts';
import { AdamW } from '../../src/optim/index.ts';
import { Cell, device, type Tensor } from '../../src/tensor/index.ts';
import { Trainer, type TrainerOptimizer } from '../../src/train/index.ts';
import { TEXT, tinyModel, tokenizer } from '../support/tiny.ts';

const tokens = tokenizer.encode(TEXT);
const SEQUENCE = 16;
const made: { dispose(): void }[] = [];

afterEach(() => {
  for (const thing of made.splice(0)) thing.dispose();
});

/** Keeps the gradients that it is given, and changes nothing. */
class Probe implements TrainerOptimizer {
  readonly #cells = new Map<string, Cell>();

  constructor(model: Llama) {
    for (const [name, { value }] of model.parameters()) {
      this.#cells.set(name, new Cell(value.mul(0)));
    }
  }

  setLearningRate(): void {}

  update(grads: ReadonlyMap<string, Tensor>): void {
    for (const [name, cell] of this.#cells) cell.set(grads.get(name) as Tensor);
  }

  state() {
    return this.#cells;
  }

  dispose(): void {
    for (const cell of this.#cells.values()) cell.dispose();
  }
}

function fresh(): Llama {
  const model = tinyModel();
  made.push(model);
  return model;
}

/** A batch of four rows, and the same rows as four batches; masked unevenly. */
function batches(weighted: boolean): { whole: TokenBatch; rows: TokenBatch[] } {
  const weights = Float32Array.from(tokens, (_, i) => (i % 7 < (i % 64) / 10 ? 1 : 0));
  const source = { tokens, sequence: SEQUENCE, seed: 3, ...(weighted && { weights }) };
  const sampler = new BatchSampler({ ...source, batch: 1 });
  const rows = Array.from({ length: 4 }, () => sampler.next());
  return { whole: new BatchSampler({ ...source, batch: 4 }).next(), rows };
}

async function gradientsOf(rows: readonly TokenBatch[], batch: number, clipNorm?: number) {
  const model = fresh();
  const optimizer = new Probe(model);
  const options = { model, optimizer, batch, sequence: SEQUENCE, clipNorm };
  const trainer = new Trainer({ ...options, accumulate: rows.length });
  made.push(trainer);
  const measured = await trainer.step(rows, 0.1);
  const grads = new Map<string, Float32Array>();
  for (const [name, cell] of optimizer.state()) {
    grads.set(name, (await cell.value.data()) as Float32Array);
  }
  return { measured, grads, trainer };
}

function norm(values: ArrayLike<number>): number {
  return Math.sqrt(Array.from(values).reduce((sum, v) => sum + v * v, 0));
}

describe('Trainer', () => {
  test.each([
    ['without weights', false, undefined],
    ['with masked tokens', true, undefined],
    ['clipped', true, 0.5],
  ])('1 x 4 and 4 x 1 rows give the same gradients: %s', async (_name, weighted, clipNorm) => {
    const { whole, rows } = batches(weighted);
    const one = await gradientsOf([whole], 4, clipNorm);
    const four = await gradientsOf(rows, 1, clipNorm);
    expect(one.measured.loss).toBeGreaterThan(1);
    expect(Math.abs(four.measured.loss / one.measured.loss - 1)).toBeLessThan(1e-6);
    expect(Math.abs(four.measured.gradNorm / one.measured.gradNorm - 1)).toBeLessThan(1e-6);
    for (const [name, expected] of one.grads) {
      const found = four.grads.get(name) as Float32Array;
      const error = norm(expected.map((v, i) => v - (found[i] as number))) / norm(expected);
      expect(error, name).toBeLessThan(1e-6);
    }
    const total = norm([...one.grads.values()].map(norm));
    if (clipNorm === undefined) expect(total).toBeCloseTo(one.measured.gradNorm, 4);
    else expect(total).toBeCloseTo(clipNorm, 4);
  });

  test('micro-batches that count by their rows only would not', async () => {
    const { whole, rows } = batches(true);
    const one = await gradientsOf([whole], 4);
    const losses = await Promise.all(rows.map((row) => gradientsOf([row], 1)));
    const mean = losses.reduce((sum, { measured }) => sum + measured.loss, 0) / 4;
    expect(Math.abs(mean / one.measured.loss - 1)).toBeGreaterThan(1e-4);
  });

  test('sums begin anew with each step', async () => {
    const { rows } = batches(false);
    const { trainer, grads } = await gradientsOf(rows, 1);
    await trainer.step(rows, 0.1);
    const [name, cell] = [...trainer.optimizer.state()][0] as [string, Cell];
    expect(await cell.value.data()).toEqual(grads.get(name));
  });

  test('tells its memory before the first step, as it then is', async () => {
    const before = device().liveBytes;
    const model = fresh();
    const optimizer = new AdamW(model.parameters());
    const trainer = new Trainer({ model, optimizer, batch: 4, sequence: SEQUENCE, accumulate: 2 });
    made.push(trainer);
    // Parameters are still to be computed: only the keys of their random numbers are there.
    const base = device().liveBytes;
    expect(base - before).toBeLessThan(2048);
    const memory = trainer.memory(false);
    expect(device().liveBytes).toBe(base);
    const { parameters, gradients, optimizer: moments, activations, batch, total } = memory;
    expect(parameters).toBe(model.parameterCount() * 4);
    expect(gradients).toBe(parameters);
    expect(moments).toBe(2 * parameters + 4);
    expect(batch).toBe(4 * SEQUENCE * 8);
    expect(activations).toBeGreaterThan(4 * SEQUENCE * tokenizer.size * 4);
    expect(total).toBe(parameters + gradients + moments + activations + batch);
    const { rows } = batches(false);
    await expect(trainer.step(rows, 0.1)).rejects.toThrow('batches is 4; expected 2 of them');
    const { whole } = batches(false);
    await trainer.step([whole, whole], 0.1);
    // The learning rate is a cell beside the optimiser's state.
    expect(device().liveBytes - base).toBeLessThanOrEqual(parameters + gradients + moments + 1024);
  });

  test.each([
    ['batch', 0],
    ['accumulate', 1.5],
    ['clipNorm', 0],
  ])('refuses %s %s', (name, value) => {
    const model = fresh();
    const optimizer = new Probe(model);
    made.push(optimizer);
    const options = { model, optimizer, batch: 1, sequence: 1, [name]: value };
    expect(() => new Trainer(options)).toThrow(`${name} is ${value}; expected`);
  });
});
