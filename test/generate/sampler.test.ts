import { describe, expect, test } from 'vitest';
import { Sampler } from '../../src/generate/index.ts';
import { StopFilter } from '../../src/generate/stop.ts';

/** How often each id is drawn. */
function counts(sampler: Sampler, logits: readonly number[], draws = 4000): number[] {
  const found = logits.map(() => 0);
  for (let i = 0; i < draws; i++) {
    const id = sampler.next(logits);
    found[id] = (found[id] ?? 0) + 1;
  }
  return found;
}

describe('Sampler', () => {
  const logits = [Math.log(0.1), Math.log(0.6), Math.log(0.3), Number.NEGATIVE_INFINITY];

  test('takes the most probable at temperature 0, the first of equals', () => {
    const sampler = new Sampler({ temperature: 0 });
    expect(sampler.next(logits)).toBe(1);
    expect(sampler.next([2, 5, 5])).toBe(1);
  });

  test('draws in proportion to the probabilities, never what is impossible', () => {
    const shares = counts(new Sampler({ seed: 5 }), logits).map((n) => n / 4000);
    [0.1, 0.6, 0.3, 0].forEach((p, id) => {
      expect(Math.abs((shares[id] ?? 0) - p)).toBeLessThan(0.03);
    });
    expect(shares[3]).toBe(0);
  });

  test('draws more evenly at a high temperature, less at a low one', () => {
    const top = (temperature: number) => counts(new Sampler({ temperature }), logits)[1] ?? 0;
    expect(top(0.5)).toBeGreaterThan(top(1));
    expect(top(1)).toBeGreaterThan(top(4));
  });

  test('with top-k draws from the k most probable only, the lower id among equals', () => {
    const two = counts(new Sampler({ topK: 2 }), logits);
    expect(two[0]).toBe(0);
    expect((two[1] ?? 0) / 4000).toBeCloseTo(2 / 3, 1);
    expect(counts(new Sampler({ topK: 1 }), logits)[1]).toBe(4000);
    expect(counts(new Sampler({ topK: 2 }), [1, 1, 1])[2]).toBe(0);
    expect(counts(new Sampler({ topK: 99 }), logits)[0]).toBeGreaterThan(0);
  });

  test('repeats itself for the same seed', () => {
    const draw = (seed: number) => {
      const sampler = new Sampler({ seed });
      return Array.from({ length: 20 }, () => sampler.next([0, 0, 0, 0]));
    };
    expect(draw(3)).toEqual(draw(3));
    expect(draw(3)).not.toEqual(draw(4));
  });

  test.each([
    [{ temperature: -1 }, 'temperature is -1; expected a number >= 0'],
    [{ temperature: Number.NaN }, 'temperature is NaN'],
    [{ topK: 0 }, 'topK is 0; expected an integer >= 1'],
    [{ topK: 1.5 }, 'topK is 1.5'],
    [{ seed: -1 }, 'seed is -1'],
  ])('refuses %o', (options, message) => {
    expect(() => new Sampler(options)).toThrow(message);
  });

  test('refuses logits that are no numbers', () => {
    expect(() => new Sampler().next([0, Number.NaN])).toThrow('the logit of token 1 is NaN');
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
