import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../../src/data/index.ts';
import { Sampler, SamplerScratch, type SamplingOptions } from '../../src/generate/index.ts';
import { explainChoice, largestIds, logSumExp } from '../../src/generate/logprobs.ts';
import { StopFilter } from '../../src/generate/stop.ts';

/** Probabilities of all ids, straight from the definitions: sorted, cut, normalised. */
function probabilities(
  logits: readonly number[],
  options: SamplingOptions,
  prompt: readonly number[] = [],
  text: readonly number[] = [],
): number[] {
  const { temperature = 1, topK = logits.length, topP = 1, minP = 0 } = options;
  const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 } = options;
  const changed = logits.map((logit, id) => {
    let value = Math.fround(logit);
    if (prompt.includes(id) || text.includes(id)) {
      value = Math.fround(value > 0 ? value / repetitionPenalty : value * repetitionPenalty);
    }
    const count = text.filter((t) => t === id).length;
    if (count > 0) value = Math.fround(value - presencePenalty - count * frequencyPenalty);
    return Math.fround(value + (options.logitBias?.get(id) ?? 0));
  });
  const order = changed.map((_, id) => id).sort((a, b) => changed[b] - changed[a] || a - b);
  if (temperature === 0) return changed.map((_, id) => (id === order[0] ? 1 : 0));
  const best = changed[order[0]];
  const kept = order.slice(0, topK);
  const weight = (id: number) => Math.exp((changed[id] - best) / temperature);
  const total = kept.reduce((sum, id) => sum + weight(id), 0);
  let mass = 0;
  let count = 0;
  do mass += weight(kept[count++]);
  while (topP < 1 && mass < topP * total && count < kept.length);
  const last = kept.slice(0, topP < 1 ? count : kept.length).filter((id) => weight(id) >= minP);
  const sum = last.reduce((s, id) => s + weight(id), 0);
  return changed.map((_, id) => (last.includes(id) ? weight(id) / sum : 0));
}

/** The id that a seed's first draw takes where ids are laid side by side by their probabilities. */
function drawn(p: readonly number[], seed: number): { id: number; close: boolean } {
  const random = new SeededRandom(seed);
  const high = random.next() >>> 5;
  const place = (high * 2 ** 26 + (random.next() >>> 6)) / 2 ** 53;
  let sum = 0;
  for (const [id, share] of p.entries()) {
    sum += share;
    if (place < sum) return { id, close: sum - place < 1e-9 };
  }
  return { id: p.length - 1, close: true };
}

const someLogits = fc.array(
  // Few different values, so that many are equal.
  fc.oneof(fc.integer({ min: -4, max: 4 }), fc.double({ min: -30, max: 30, noNaN: true })),
  { minLength: 1, maxLength: 60 },
);

describe('Sampler', () => {
  test('draws what the definitions say', () => {
    fc.assert(
      fc.property(
        someLogits,
        fc.record({
          temperature: fc.constantFrom(undefined, 0, 0.3, 1, 1.7),
          topK: fc.constantFrom(undefined, 1, 2, 5, 40),
          topP: fc.constantFrom(undefined, 0, 0.2, 0.5, 0.93),
          minP: fc.constantFrom(undefined, 0.01, 0.2, 1),
          repetitionPenalty: fc.constantFrom(undefined, 0.5, 1.3),
          presencePenalty: fc.constantFrom(undefined, 0.75),
          frequencyPenalty: fc.constantFrom(undefined, -0.5, 0.25),
          logitBias: fc.constantFrom(undefined, new Map([[0, 3]]), new Map([[1, -100]])),
          seed: fc.nat(),
        }),
        fc.array(fc.nat(), { maxLength: 4 }),
        (logits, options, seen) => {
          const prompt = seen.map((n) => n % logits.length);
          const sampler = new Sampler(options, new SamplerScratch(logits.length));
          sampler.see(prompt);
          const first = sampler.next(Float32Array.from(logits));
          const p = probabilities(logits, options, prompt);
          const wanted = drawn(p, options.seed);
          if (options.temperature === 0) expect(p[first]).toBe(1);
          else if (!wanted.close) expect(first).toBe(wanted.id);
          // The second token: the first is part of the text by now.
          const after = probabilities(logits, options, prompt, [first]);
          expect(after[sampler.next(Float32Array.from(logits))]).toBeGreaterThan(0);
        },
      ),
      { numRuns: 3000, seed: 5 },
    );
  });

  test('draws as often as probable (chi-squared)', () => {
    const logits = Array.from({ length: 40 }, (_, i) => Math.sin(i * 12.9898) * 3);
    for (const options of [{}, { temperature: 0.7, topP: 0.95 }, { temperature: 2, topK: 12 }]) {
      const p = probabilities(logits, options);
      const sampler = new Sampler({ ...options, seed: 42 });
      const counts = new Float64Array(p.length);
      const draws = 40_000;
      for (let i = 0; i < draws; i++) counts[sampler.next(Float32Array.from(logits))]++;
      let chi = 0;
      let freedom = -1;
      p.forEach((share, id) => {
        if (share === 0) expect(counts[id]).toBe(0);
        else {
          chi += (counts[id] - share * draws) ** 2 / (share * draws);
          freedom++;
        }
      });
      // Mean and deviation of chi-squared; four of them are one draw in tens of thousands.
      expect(chi).toBeLessThan(freedom + 4 * Math.sqrt(2 * freedom));
    }
  });

  test('takes the most probable at temperature 0, the first of equals', () => {
    expect(new Sampler({ temperature: 0 }).next(Float32Array.of(2, 5, 5))).toBe(1);
    expect(new Sampler({ temperature: 1e-300 }).next(Float32Array.of(2, 5, 5))).toBe(1);
    expect(new Sampler({ topK: 1, temperature: 9 }).next(Float32Array.of(2, 5, 5))).toBe(1);
  });

  test('never draws what is impossible', () => {
    const sampler = new Sampler({ temperature: 1e6, topP: 0.999999 });
    for (let i = 0; i < 500; i++) {
      expect(sampler.next(Float32Array.of(0, Number.NEGATIVE_INFINITY, 1))).not.toBe(1);
    }
  });

  test('repeats itself for the same seed, of any size, and not for none', () => {
    const draw = (seed?: number) => {
      const sampler = new Sampler({ seed });
      return Array.from({ length: 40 }, () => sampler.next(new Float32Array(9)));
    };
    for (const seed of [0, 3, 2 ** 32, 2 ** 53 - 1, -7]) {
      expect(draw(seed)).toEqual(draw(seed));
      expect(draw(seed)).not.toEqual(draw(seed === 3 ? 4 : 3));
    }
    expect(draw()).not.toEqual(draw());
  });

  test.each([
    [{ temperature: -1 }, 'temperature is -1; expected a number from 0'],
    [{ temperature: Number.NaN }, 'temperature is NaN'],
    [{ topK: 1.5 }, 'topK is 1.5; expected an integer >= 1'],
    [{ seed: 1.5 }, 'seed is 1.5'],
    [{ logitBias: new Map([[3, Number.NaN]]) }, 'logitBias of 3 is NaN'],
  ])('refuses %o', (options, message) => {
    expect(() => new Sampler(options)).toThrow(message);
  });

  test('refuses logits that are no numbers', () => {
    const next = (...logits: number[]) => new Sampler().next(Float32Array.from(logits));
    expect(() => next(0, Number.NaN, 1)).toThrow('the logit of token 1 is NaN');
    expect(() => next(Number.NEGATIVE_INFINITY)).toThrow('every logit is -infinity');
    expect(() => next(0, Number.POSITIVE_INFINITY)).toThrow('the logit of token 1 is infinite');
  });
});

describe('log-probabilities', () => {
  test('are those of the definition, best first', () => {
    fc.assert(
      fc.property(someLogits, fc.integer({ min: 0, max: 20 }), (logits, count) => {
        const order = logits.map((_, id) => id).sort((a, b) => logits[b] - logits[a] || a - b);
        expect(largestIds(logits, count)).toEqual(order.slice(0, count));
        const total = Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));
        expect(logSumExp(logits)).toBeCloseTo(total, 9);
        const named = (id: number) => ({ text: `${id}`, bytes: [id] });
        const told = explainChoice(logits, logits.length - 1, count, named);
        expect(told.logprob).toBeCloseTo(logits[logits.length - 1] - total, 9);
        expect(told.top.map(({ text }) => text)).toEqual(order.slice(0, count).map(String));
      }),
    );
  });
});

describe('StopFilter', () => {
  const run = (stop: string | string[], pieces: string) => {
    const filter = new StopFilter(stop);
    const given = [...pieces].map((piece) => filter.push(piece));
    return [...given, filter.end()].join('');
  };

  test('cuts at the first stop text', () => {
    expect(run('\n\n', 'a\nb\n\nc')).toBe('a\nb');
    expect(run(['xy', 'b'], 'axbxy')).toBe('ax');
    expect(run([], 'abc')).toBe('abc');
    expect(run('aab', 'aaab')).toBe('a');
  });

  test('gives what was held back in vain', () => {
    expect(run('xyz', 'axyxy')).toBe('axyxy');
    const filter = new StopFilter('xy');
    expect(['a', 'x', 'b'].map((piece) => filter.push(piece))).toEqual(['a', '', 'xb']);
    expect(filter.push('xy')).toBe('');
    expect(filter.stopped).toBe(true);
    expect(filter.push('more') + filter.end()).toBe('');
  });

  test('refuses an empty stop text', () => {
    expect(() => new StopFilter('')).toThrow('expected texts of at least one character');
  });
});
