import { describe, expect, test } from 'vitest';
import type { Question, World } from '../../src/data/index.ts';
import { generateWorld } from '../../src/data/index.ts';
import { isHeldOutEvent, isHeldOutPair } from '../../src/data/world/stories.ts';

const SEEDS = [0, 1, 2, 7, 42, 2 ** 32 - 1];
const worlds: readonly World[] = SEEDS.map((seed) => generateWorld({ seed, characters: 120_000 }));
const world = generateWorld({ seed: 1 });
const PEOPLE = 'ann|ben|dan|eva|gus|ida|joe|kim';
const THING = "the [a-z]+\\b(?= (?:has|eat|say|live|made)|[?']|$)";
/** What a question is about: a number, a thing or animal, or a villager. */
const SUBJECT = new RegExp(`\\d+|\\b${THING}|\\b(?:${PEOPLE})\\b`, 'g');
const QUESTION_LINE = /Q: (.*)\n/;

function questionLine(question: Question): string {
  return QUESTION_LINE.exec(question.prompt)?.[1] ?? '';
}

describe('generateWorld', () => {
  test('gives the same world for the same seed and another one for another seed', () => {
    const again = generateWorld({ seed: 1, characters: 120_000 });
    expect(again).toEqual(worlds[1]);
    expect(worlds[0]?.train).not.toBe(worlds[1]?.train);
  });

  test('writes the length that was asked for, and a document more at most', () => {
    expect(world.train.length).toBeGreaterThanOrEqual(399_999);
    expect(world.train.length).toBeLessThan(400_300);
    expect(world.validation.length).toBeGreaterThan(19_900);
  });

  test('uses at most fifty printable ASCII characters and the line end', () => {
    for (const { train, validation, questions } of [world, ...worlds]) {
      const known = new Set(train);
      expect(known.size).toBeLessThanOrEqual(50);
      expect([...known].every((each) => each === '\n' || (each >= ' ' && each <= '~'))).toBe(true);
      const asked = questions.map(({ prompt, answer }) => prompt + answer).join('');
      expect([...new Set(validation + asked)].filter((each) => !known.has(each))).toEqual([]);
    }
  });

  test('divides documents by single blank lines', () => {
    expect(world.train).toMatch(/[^\n]\n$/);
    expect(world.train).not.toContain('\n\n\n');
    for (const document of world.train.split('\n\n')) {
      expect(document.trim()).toBe(document.replace(/\n$/, ''));
      expect(document.length).toBeGreaterThan(10);
    }
  });

  test.each([
    [{ seed: -1 }, /seed is -1.*expected an integer/],
    [{ seed: 0.5 }, /seed is 0\.5/],
    [{ seed: 1, characters: 100 }, /characters is 100; expected an integer of at least 2000/],
    [{ seed: 1, characters: Number.NaN }, /characters is NaN/],
  ])('rejects %j', (options, message) => {
    expect(() => generateWorld(options)).toThrow(message);
  });
});

describe('conversations', () => {
  test('are the documents that ask, turn by turn', () => {
    const asked = world.conversations.flat();
    expect(asked.filter(({ role }) => role === 'assistant')).toHaveLength(world.examples.length);
    for (const conversation of world.conversations) {
      conversation.forEach(({ role }, turn) => {
        expect(role).toBe(turn % 2 === 0 ? 'user' : 'assistant');
      });
    }
    const answers = asked.filter(({ role }) => role === 'assistant').map(({ content }) => content);
    expect(answers).toEqual(world.examples.map(({ answer }) => answer));
  });

  test('never hold what a held-out question says', () => {
    const said = new Set(
      [...world.conversations, ...world.validationConversations].flat().map((m) => m.content),
    );
    for (const { message } of world.questions) expect(said.has(message), message).toBe(false);
  });

  test('ask for each villager of a story about several', () => {
    let stories = 0;
    for (const conversation of world.conversations) {
      conversation.forEach(({ content }, turn) => {
        const told = content.match(/^((?:\w+ \w+ the \w+\. )+)what did/)?.[1]?.trim();
        if (told === undefined) return;
        stories++;
        const sentences = told.split(/(?<=\.) /);
        const after = conversation.slice(turn, turn + 2 * sentences.length);
        const answers = after.filter(({ role }) => role === 'assistant').map((m) => m.content);
        expect([...answers].sort()).toEqual([...sentences].sort());
      });
    }
    expect(stories).toBeGreaterThan(300);
  });

  test('change their subject, within three exchanges', () => {
    expect(Math.max(...world.conversations.map(({ length }) => length))).toBe(6);
    const isMixed = (text: string) => / plus /.test(text) && / the /.test(text);
    const mixed = world.conversations.filter((each) =>
      isMixed(each.map(({ content }) => content).join(' ')),
    );
    expect(mixed.length).toBeGreaterThan(50);
  });
});

describe('held-out questions', () => {
  test('are the same 200 for every seed, each asked once', () => {
    expect(world.questions).toHaveLength(200);
    expect(new Set(world.questions.map(({ prompt }) => prompt)).size).toBe(200);
    for (const { questions } of worlds) {
      expect(questions).toEqual(world.questions);
    }
  });

  test('never occur in the training or validation text of any seed', () => {
    for (const { train, validation } of [world, ...worlds]) {
      for (const question of world.questions) {
        const text =
          question.kind === 'story' || question.kind === 'pair'
            ? question.prompt.slice(0, question.prompt.indexOf('\nA:'))
            : `${questionLine(question)}\n`;
        expect(train.includes(text), text).toBe(false);
        expect(validation.includes(text), text).toBe(false);
      }
    }
  });

  test('end where the answer begins, and the value is part of the answer', () => {
    for (const { prompt, answer, value } of [...world.questions, ...world.examples]) {
      expect(prompt.endsWith('\nA: ')).toBe(true);
      expect(answer).not.toContain('\n');
      expect(answer).toContain(value);
      expect(answer.length).toBeLessThanOrEqual(32);
    }
  });

  test('are short, with their answers', () => {
    for (const { prompt, answer } of world.questions) {
      expect(prompt.length + answer.length + 1).toBeLessThanOrEqual(100);
    }
  });

  test('have one answer: no prompt is ever followed by another one', () => {
    const answers = new Map<string, string>();
    for (const { prompt, answer } of [...world.questions, ...world.examples]) {
      expect(answers.get(prompt) ?? answer).toBe(answer);
      answers.set(prompt, answer);
    }
  });

  test('ask for facts and opposites whose answer is given to other phrasings', () => {
    const trained = new Map<string, Set<string>>();
    for (const example of world.examples) {
      const asked = trained.get(example.answer) ?? new Set();
      trained.set(example.answer, asked.add(questionLine(example)));
    }
    for (const question of world.questions.filter(({ kind }) => /fact|opposite/.test(kind))) {
      const phrasings = 2;
      expect(trained.get(question.answer)?.size, question.prompt).toBe(phrasings);
    }
  });

  test('use phrasings that are trained with other entities or numbers', () => {
    const shape = (question: Question): string => {
      const subject =
        question.kind === 'opposite'
          ? new RegExp(question.answer.split(' ')[0] ?? '', 'g')
          : SUBJECT;
      return questionLine(question)
        .replace(subject, '_')
        .replace(/what is the _/, 'what is the _');
    };
    const trained = new Set(world.examples.map(shape));
    for (const question of world.questions.filter(
      ({ kind }) => kind !== 'story' && kind !== 'pair',
    )) {
      expect(trained.has(shape(question)), shape(question)).toBe(true);
    }
  });
});

/** The answer to an arithmetic question, worked out from its text alone. */
function solve(question: string): string {
  const [a = 0, b = 0] = (question.match(/\d+/g) ?? []).map(Number);
  if (/plus|add|\+/.test(question)) {
    return `${a + b}.`;
  }
  if (/minus| - /.test(question)) {
    return `${a - b}.`;
  }
  if (/take/.test(question)) {
    return `${a - b}.`;
  }
  if (/more|less/.test(question)) {
    return /more/.test(question) ? `${Math.max(a, b)}.` : `${Math.min(a, b)}.`;
  }
  if (/comes after|follows|number after/.test(question)) {
    return `${a + 1}.`;
  }
  if (/before|leads to/.test(question)) {
    return `${a - 1}.`;
  }
  const numbers = [];
  for (let number = a; number <= b; number += 1) {
    numbers.push(number);
  }
  return `${numbers.join(' ')}.`;
}

describe('answers', () => {
  const both = [...world.questions, ...world.examples];

  test('of arithmetic agree with a calculation from the question', () => {
    const arithmetic = both.filter(({ kind }) => kind === 'arithmetic');
    expect(arithmetic.length).toBeGreaterThan(1000);
    for (const question of arithmetic) {
      expect(question.answer, question.prompt).toBe(solve(questionLine(question)));
    }
  });

  test('of stories say what the story says', () => {
    const stories = both.filter(({ kind }) => kind === 'story');
    expect(stories.length).toBeGreaterThan(1000);
    for (const { prompt, answer } of stories) {
      const [story = '', question = ''] = prompt.split('\nQ: ');
      const [, deed, where] = /^(\w+ \w+ the \w+) (in the \w+)\.$/.exec(story) ?? [];
      expect(answer, prompt).toBe(question.startsWith('where') ? `${where}.` : `${deed}.`);
    }
  });

  test('of held-out stories tell of a villager, a thing and a place that never share a story', () => {
    const event = /^(\w+) \w+ the (\w+) in the (\w+)\./gm;
    const events = (text: string) => [...text.matchAll(event)].map(([, ...parts]) => parts);
    const told = world.questions
      .filter(({ kind }) => kind === 'story')
      .flatMap(({ prompt }) => events(prompt));
    expect(told).toHaveLength(40);
    const isHeldOut = ([who = '', object = '', place = '']: readonly string[]) =>
      isHeldOutEvent(who, object, place);
    expect(told.every(isHeldOut)).toBe(true);
    for (const { train, validation } of [world, ...worlds]) {
      const trained = events(train + validation);
      expect(trained.length).toBeGreaterThan(100);
      expect(trained.some(isHeldOut)).toBe(false);
    }
  });

  test('of pairs are sentences of the story about a single villager', () => {
    const stories = both.filter(({ kind }) => kind === 'pair');
    expect(stories.length).toBeGreaterThan(500);
    for (const { prompt, answer } of stories) {
      const sentences = prompt.slice(0, prompt.indexOf('\n')).split(/(?<=\.) /);
      const who = answer.split(' ')[0];
      expect(sentences.filter((sentence) => sentence.startsWith(`${who} `))).toEqual([answer]);
    }
  });

  test('of held-out pairs belong to sentences that never share a story', () => {
    const sentencesOf = (text: string): string[] => text.split(/(?<=\.) /);
    const hasHeldOutPair = (story: string): boolean =>
      sentencesOf(story).some((left, index, all) =>
        all.slice(index + 1).some((right) => isHeldOutPair(left, right)),
      );
    for (const { prompt } of world.questions.filter(({ kind }) => kind === 'pair')) {
      const [left = '', right = ''] = sentencesOf(prompt.slice(0, prompt.indexOf('\n')));
      expect(isHeldOutPair(left, right)).toBe(true);
      expect(isHeldOutPair(right, left)).toBe(true);
    }
    for (const { train, validation } of [world, ...worlds]) {
      const stories = (train + validation).match(/^\w+ (got|saw|won) .*(?=\nQ)/gm) ?? [];
      expect(stories.length).toBeGreaterThan(100);
      expect(stories.filter(hasHeldOutPair)).toEqual([]);
    }
  });
});
