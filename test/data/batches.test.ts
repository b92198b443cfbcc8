import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { answerWeights, BatchSampler, documentStarts, SeededRandom } from '../../src/data/index.ts';

const tokens = Int32Array.from({ length: 500 }, (_, index) => index);

describe('BatchSampler', () => {
  test('draws windows of the text, with targets one token later', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        (batch, sequence, seed) => {
          const { inputs, targets } = new BatchSampler({ tokens, batch, sequence, seed }).next();
          expect(inputs.length).toBe(batch * sequence);
          expect(targets).toEqual(inputs.map((token) => token + 1));
          for (let row = 0; row < batch; row += 1) {
            const first = inputs[row * sequence] as number;
            expect([...inputs.subarray(row * sequence, (row + 1) * sequence)]).toEqual(
              Array.from({ length: sequence }, (_, index) => first + index),
            );
          }
        },
      ),
    );
  });

  test('reaches the first and the last window, and all between', () => {
    const sampler = new BatchSampler({
      tokens: tokens.subarray(0, 12),
      batch: 200,
      sequence: 4,
      seed: 3,
    });
    const { inputs } = sampler.next();
    const starts = new Set(inputs.filter((_, index) => index % 4 === 0));
    expect([...starts].sort((left, right) => left - right)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test('accepts a text of exactly one window', () => {
    const sampler = new BatchSampler({ tokens: [5, 6, 7], batch: 1, sequence: 2, seed: 0 });
    expect(sampler.next()).toEqual({ inputs: Int32Array.of(5, 6), targets: Int32Array.of(6, 7) });
  });

  test('continues from a state that went through JSON', () => {
    const options = { tokens, batch: 3, sequence: 9, seed: 11 };
    const first = new BatchSampler(options);
    first.next();
    const state = JSON.parse(JSON.stringify(first.state()));
    const expected = [first.next(), first.next()];
    const second = new BatchSampler({ ...options, seed: 12 });
    second.restore(state);
    expect([second.next(), second.next()]).toEqual(expected);
    expect(second.drawn).toBe(3);
    expect(second.state()).toEqual(first.state());
  });

  test('draws from the starts that it was given, if a window fits there', () => {
    const starts = [0, 40, 77, 498];
    const sampler = new BatchSampler({ tokens, batch: 60, sequence: 4, seed: 1, starts });
    const drawn = new Set(sampler.next().inputs.filter((_, index) => index % 4 === 0));
    expect([...drawn].sort((left, right) => left - right)).toEqual([0, 40, 77]);
    expect(sampler.state().starts).toBe(3);
    const wrong = { tokens, batch: 1, sequence: 4, seed: 1 };
    expect(() => new BatchSampler({ ...wrong, starts: [498] })).toThrow('no position below 496');
    expect(() => new BatchSampler({ ...wrong, starts: [0, -1] })).toThrow('starts[1] is -1');
  });

  test('gives the weights of the targets', () => {
    const weights = Float32Array.from(tokens, (token) => token / 1000);
    const sampler = new BatchSampler({ tokens, batch: 3, sequence: 7, seed: 4, weights });
    const batch = sampler.next();
    expect(batch.weights).toEqual(Float32Array.from(batch.targets, (token) => token / 1000));
    expect(
      () => new BatchSampler({ tokens, batch: 1, sequence: 4, seed: 1, weights: [1, 2] }),
    ).toThrow('weights has length 2; expected 500');
  });

  test('weighs answers fully and all else little', () => {
    const text = 'a.\nQ: b?\nA: c.\nQ: d?\nA: e.\n\nA: f';
    const weights = answerWeights(text, 0.25);
    const full = [...text].filter((_, index) => weights[index] === 1).join('');
    expect(full).toBe('c.\ne.\nf');
    expect(weights.filter((weight) => weight === 0.25).length).toBe(text.length - full.length);
    expect(() => answerWeights(text, 2)).toThrow('elsewhere is 2');
  });

  test('finds the starts of documents', () => {
    expect([...documentStarts('a\nb\n\nc\n\nd\n')]).toEqual([0, 5, 8]);
    expect([...documentStarts('a\n\n')]).toEqual([0]);
  });

  test('names both numbers when the text is too short', () => {
    expect(() => new BatchSampler({ tokens: [1, 2, 3], batch: 1, sequence: 3, seed: 0 })).toThrow(
      'tokens has length 3; expected at least sequence + 1 = 4',
    );
  });

  test.each([
    [{ batch: 0 }, 'batch is 0'],
    [{ batch: 1.5 }, 'batch is 1.5'],
    [{ sequence: -2 }, 'sequence is -2'],
    [{ seed: -1 }, 'seed is -1'],
  ])('rejects %j', (wrong, message) => {
    expect(() => new BatchSampler({ tokens, batch: 1, sequence: 4, seed: 0, ...wrong })).toThrow(
      message,
    );
  });

  test('rejects the state of another sampler', () => {
    const sampler = new BatchSampler({ tokens, batch: 2, sequence: 4, seed: 0 });
    const state = sampler.state();
    expect(() => sampler.restore({ ...state, tokens: 9 })).toThrow(
      'state.tokens is 9; expected 500',
    );
    expect(() => sampler.restore({ ...state, batch: 1 })).toThrow('state.batch is 1; expected 2');
    expect(() => sampler.restore({ ...state, sequence: 5 })).toThrow('state.sequence is 5');
    expect(() => sampler.restore({ ...state, drawn: -1 })).toThrow('state.drawn is -1');
    expect(() => sampler.restore({ ...state, random: [0, 0, 0, 0] })).toThrow('not all zero');
  });
});

describe('SeededRandom', () => {
  test('keeps its sequence for good: other numbers would change every corpus', () => {
    const random = new SeededRandom(1);
    expect([random.next(), random.next(), random.next()]).toMatchInlineSnapshot(`
      [
        393288148,
        2174103013,
        3814759091,
      ]
    `);
  });

  test('draws integers evenly and below the bound', () => {
    const random = new SeededRandom(5);
    const counts = new Array<number>(10).fill(0);
    for (let draw = 0; draw < 20_000; draw += 1) {
      const value = random.integer(10);
      counts[value] = (counts[value] as number) + 1;
    }
    expect(counts.reduce((sum, count) => sum + count)).toBe(20_000);
    expect(Math.min(...counts)).toBeGreaterThan(1800);
    expect(Math.max(...counts)).toBeLessThan(2200);
  });

  test('shuffles a copy', () => {
    const items = [1, 2, 3, 4, 5];
    const shuffled = new SeededRandom(2).shuffled(items);
    expect(items).toEqual([1, 2, 3, 4, 5]);
    expect([...shuffled].sort()).toEqual(items);
  });

  test('rejects an empty choice', () => {
    expect(() => new SeededRandom(0).pick([])).toThrow('items is empty');
    expect(() => new SeededRandom(0).integer(0)).toThrow('bound is 0');
  });
});
