import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Question } from '../../src/data/index.ts';
import {
  exactMatch,
  generateWorld,
  majorityBaseline,
  majorityValues,
  NgramModel,
} from '../../src/data/index.ts';

function question(skill: string, answer: string, value: string): Question {
  return { kind: 'fact', skill, message: answer, prompt: `Q: ${answer}\nA: `, answer, value };
}

describe('majority baseline', () => {
  const examples = [
    question('food', 'ann eats pie.', 'pie'),
    question('home', 'ann lives in the mill.', 'the mill'),
    question('food', 'ben eats soup.', 'soup'),
    question('food', 'dan eats soup.', 'soup'),
    question('home', 'ben lives in the inn.', 'the inn'),
  ];

  test('puts the most frequent value of the group into the sentence', () => {
    const asked = question('home', 'dan lives in the barn.', 'the barn');
    expect(majorityBaseline(examples)(asked)).toBe('dan lives in soup.');
    expect(majorityBaseline(examples, ({ skill }) => skill)(asked)).toBe('dan lives in the mill.');
  });

  test('counts values by group, the first of equals winning', () => {
    expect(majorityValues(examples, ({ skill }) => skill)).toEqual(
      new Map([
        ['food', 'soup'],
        ['home', 'the mill'],
      ]),
    );
    expect(() => majorityValues([])).toThrow('examples is empty');
  });
});

describe('exactMatch', () => {
  test('counts by kind and keeps the answers', () => {
    const questions: Question[] = [
      question('food', 'a', 'a'),
      question('food', 'b', 'b'),
      { ...question('add', 'c', 'c'), kind: 'story' },
    ];
    const report = exactMatch(questions, ({ answer }) => (answer === 'b' ? 'b ' : answer));
    expect(report.all).toEqual({ right: 2, asked: 3, share: 2 / 3 });
    expect(report.byKind.get('fact')).toEqual({ right: 1, asked: 2, share: 0.5 });
    expect(report.byKind.get('story')).toEqual({ right: 1, asked: 1, share: 1 });
    expect(report.answers).toEqual(['a', 'b ', 'c']);
    expect(() => exactMatch([], () => '')).toThrow('questions is empty');
  });
});

/** Witten-Bell interpolation by counting every occurrence anew. */
function slowNext(text: string, order: number, context: string): Map<string, number> {
  const characters = [...new Set(text)].sort();
  let result = new Map(characters.map((each) => [each, 1 / characters.length]));
  for (let length = 0; length <= Math.min(order, context.length); length += 1) {
    const ending = context.slice(context.length - length);
    const counts = new Map<string, number>();
    let total = 0;
    for (let end = length; end < text.length; end += 1) {
      if (text.slice(end - length, end) === ending) {
        const after = text[end] as string;
        counts.set(after, (counts.get(after) ?? 0) + 1);
        total += 1;
      }
    }
    if (total === 0) {
      break;
    }
    const shorter = result;
    result = new Map(
      characters.map((each) => [
        each,
        ((counts.get(each) ?? 0) + counts.size * (shorter.get(each) ?? 0)) / (total + counts.size),
      ]),
    );
  }
  return result;
}

describe('NgramModel', () => {
  test('agrees with counting every occurrence anew', () => {
    const texts = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 60 });
    const contexts = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'z'), maxLength: 8 });
    fc.assert(
      fc.property(texts, contexts, fc.integer({ min: 1, max: 6 }), (text, context, order) => {
        const fast = new NgramModel(text, { order }).next(context);
        const slow = slowNext(text, order, context);
        expect([...fast.keys()].sort()).toEqual([...slow.keys()].sort());
        for (const [character, probability] of slow) {
          expect(fast.get(character)).toBeCloseTo(probability, 12);
        }
        expect([...fast.values()].reduce((sum, each) => sum + each)).toBeCloseTo(1, 10);
      }),
      { numRuns: 300 },
    );
  });

  test('gives the same distribution when it is asked again', () => {
    const model = new NgramModel('abcabd'.repeat(400));
    expect(model.next('ab')).toEqual(model.next('ab'));
  });

  test('completes what it has seen, up to the line end or the limit', () => {
    const model = new NgramModel('one two\nthree four\n'.repeat(5));
    expect(model.complete('three ')).toBe('four');
    expect(model.complete('one ', 2)).toBe('tw');
  });

  test('cannot answer most held-out questions of the world', () => {
    const { train, questions } = generateWorld({ seed: 1, characters: 100_000 });
    const model = new NgramModel(train);
    const { all } = exactMatch(questions, ({ prompt }) => model.complete(prompt));
    expect(all.share).toBeLessThan(0.3);
  });

  test('rejects an empty text and a bad order', () => {
    expect(() => new NgramModel('')).toThrow('text is empty');
    expect(() => new NgramModel('a', { order: 0 })).toThrow('order is 0');
    expect(() => new NgramModel('a', { order: 99 })).toThrow('order is 99');
  });
});
