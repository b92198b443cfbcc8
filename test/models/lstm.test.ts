import { describe, expect, test } from 'vitest';
import { LSTMLanguageModel, lstmConfig } from '../../src/models/index.ts';
import { SGD } from '../../src/optim/index.ts';
import {
  type DeviceName,
  jit,
  random,
  type Tensor,
  tensor,
  valueAndGrad,
} from '../../src/tensor/index.ts';
import { difference } from '../support/stored.ts';
import { TEXT, tokenizer } from '../support/tiny.ts';

const sizes = { vocab_size: 9, hidden_size: 8, num_layers: 2 };
const ids = (rows: readonly (readonly number[])[], device: DeviceName = 'wasm') =>
  tensor(Int32Array.from(rows.flat()), { shape: [rows.length, rows[0].length], device });

function model(options: Parameters<typeof lstmConfig>[0] = sizes): LSTMLanguageModel {
  random.seed(3);
  return new LSTMLanguageModel(lstmConfig(options), { device: 'wasm', std: 0.5 });
}

describe('an LSTM language model', () => {
  test('reads a text in pieces as in one', async () => {
    const lm = model();
    const text = [
      [1, 4, 2, 8, 5, 7, 3],
      [0, 0, 6, 1, 2, 3, 4],
    ];
    const whole = await jit((x: Tensor) => lm.forward(x))(ids(text));
    const advance = jit((x: Tensor, h: Tensor, c: Tensor) => lm.advance(x, { h, c }));
    let { h, c } = lm.newState(2);
    const pieces: number[][][] = [[], []];
    for (const [from, to] of [
      [0, 3],
      [3, 4],
      [4, 7],
    ]) {
      const { logits, state } = await advance(ids(text.map((row) => row.slice(from, to))), h, c);
      ({ h, c } = state);
      for (const [b, rows] of ((await logits.toArray()) as number[][][]).entries()) {
        pieces[b].push(...rows);
      }
    }
    const near = { rtol: 1e-5, atol: 1e-6 };
    expect(difference(pieces.flat(2), await whole.data(), near)).toBeUndefined();
  });

  test('counts targets by their weights', async () => {
    const lm = model({ ...sizes, tie_word_embeddings: true });
    expect([...lm.parameters().keys()].slice(0, 2)).toEqual([
      'embedding.weight',
      'lstm.weight_ih_l0',
    ]);
    expect(lm.decoder).toBeUndefined();
    const [x, y] = [ids([[1, 2, 3]]), ids([[2, 3, 4]])];
    const only = lm.loss(x, y, tensor([[0, 2, 0]], { device: 'wasm' }));
    const logits = lm.forward(x).select(1, 1);
    const want = logits.logsumexp(-1).sub(logits.select(1, 3));
    expect(await only.item()).toBeCloseTo(await want.item(), 5);
    expect(lm.toConfig()).toMatchObject({ model_type: 'lstm', hidden_size: 8, dropout: 0 });
  });

  test('learns a text, with dropout in training alone', async () => {
    const lm = model({ vocab_size: tokenizer.size, hidden_size: 24, dropout: 0.1 });
    const tokens = tokenizer.encode(TEXT);
    const sgd = new SGD(lm.parameters(), { lr: 1, momentum: 0.9 });
    const step = jit((x: Tensor, y: Tensor) => {
      const { value, grads } = valueAndGrad((m: LSTMLanguageModel) => m.loss(x, y))(lm);
      sgd.update(grads);
      return value;
    });
    const loss = jit((x: Tensor, y: Tensor) => lm.loss(x, y));
    const rows = (shift: number, from: number) =>
      ids([0, 1, 2, 3].map((b) => [...tokens.slice(from + 12 * b + shift).slice(0, 12)]));
    const measure = async () => (await loss(rows(0, 5), rows(1, 5))).item();
    const before = (await lm.eval()) && (await measure());
    lm.train();
    for (let i = 0; i < 60; i++) await step(rows(0, i % 48), rows(1, i % 48));
    lm.eval();
    const after = await measure();
    expect(await measure()).toBe(after);
    expect(before).toBeGreaterThan(2.5);
    expect(after).toBeLessThan(1);
    expect(step.traces).toBe(1);
  });

  test('names what does not fit', () => {
    expect(() => lstmConfig({ ...sizes, embedding_size: 4, tie_word_embeddings: true })).toThrow(
      /embedding_size is 4; expected 8/,
    );
    const lm = model({ ...sizes, max_position_embeddings: 2 });
    expect(() => lm.forward(ids([[1, 2, 3]]))).toThrow(/tokens is \[1, 3\]; expected .* up to 2/);
  });
});
