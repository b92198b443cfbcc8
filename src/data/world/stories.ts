import type { SeededRandom } from '../random.ts';
import { hashText } from '../random.ts';
import type { Exchange } from './exchange.ts';

/** A story and questions that can be answered from it. */
export interface Story {
  readonly text: string;
  readonly exchanges: readonly [Exchange, ...Exchange[]];
}

const PEOPLE: readonly string[] = ['ann', 'ben', 'dan', 'eva', 'gus', 'ida', 'joe', 'kim'];

/** What the deeds are done with: things and animals of which facts are told too. */
const OBJECTS: readonly string[] = [
  'ant',
  'bee',
  'cat',
  'dog',
  'fox',
  'gem',
  'jug',
  'key',
  'mug',
  'net',
];

type Deed = readonly [past: string, infinitive: string];

const PLACES: readonly string[] = ['barn', 'castle', 'forge', 'inn', 'mill', 'school', 'tower'];

/** What villagers can do, as it is told and as it is asked for. */
const DEEDS: readonly Deed[] = [
  ['got', 'get'],
  ['saw', 'see'],
  ['won', 'win'],
];

/**
 * Whether a villager, a thing and a place never stand in the same training story: every eighth such
 * triple, chosen by hash.
 */
export function isHeldOutEvent(who: string, object: string, place: string): boolean {
  return hashText(`event ${who} ${object} ${place}`) % 8 === 0;
}

/**
 * Whether two sentences never stand in the same training story, in whatever order: every eighth
 * pair, chosen by hash.
 */
export function isHeldOutPair(left: string, right: string): boolean {
  return hashText(`story ${[left, right].sort().join(' ')}`) % 8 === 0;
}

/**
 * What one villager did where, and the three questions about it. To answer them is to read: each
 * story is new.
 */
export function tellEvent(random: SeededRandom, heldOut: boolean): Story {
  for (;;) {
    const [who, object, place] = [PEOPLE, OBJECTS, PLACES].map((list) => random.pick(list));
    if (isHeldOutEvent(who as string, object as string, place as string) !== heldOut) continue;
    const [past, infinitive] = random.pick(DEEDS);
    const deed = `${who} ${past} the ${object}`;
    const where = `in the ${place}`;
    const about = { kind: 'story', skill: infinitive } as const;
    const exchanges = random.shuffled<Exchange>([
      {
        ...about,
        question: `what did ${who} ${infinitive}?`,
        answer: `${deed}.`,
        value: object as string,
      },
      {
        ...about,
        question: `who ${past} the ${object}?`,
        answer: `${deed}.`,
        value: who as string,
      },
      {
        ...about,
        question: `where did ${who} ${infinitive} the ${object}?`,
        answer: `${where}.`,
        value: place as string,
      },
    ]);
    return { text: `${deed} ${where}.`, exchanges: exchanges as [Exchange, ...Exchange[]] };
  }
}

/**
 * How many villagers a training story of several has. With one there is only one answer: such
 * stories teach where to look, and the others then teach whom to look for.
 */
const LENGTHS: readonly number[] = [1, 2, 2, 3];

/**
 * What several villagers did, all the same, so that only their names tell their sentences apart,
 * and a question about each. Held out are two sentences that never share a training story.
 */
export function tellPair(random: SeededRandom, heldOut: boolean): Story {
  const count = heldOut ? 2 : random.pick(LENGTHS);
  for (;;) {
    const people = random.shuffled(PEOPLE).slice(0, count);
    const objects = random.shuffled(OBJECTS).slice(0, count);
    const [past, infinitive] = random.pick(DEEDS);
    const sentences = people.map((who, index) => `${who} ${past} the ${objects[index]}.`);
    const hasHeldOut = sentences.some((left, index) =>
      sentences.slice(index + 1).some((right) => isHeldOutPair(left, right)),
    );
    if (hasHeldOut !== heldOut) continue;
    const [first = 0, ...others] = random.shuffled([...people.keys()]);
    const ask = (index: number): Exchange => ({
      kind: 'pair',
      skill: infinitive,
      question: `what did ${people[index]} ${infinitive}?`,
      answer: sentences[index] as string,
      value: objects[index] as string,
    });
    return { text: sentences.join(' '), exchanges: [ask(first), ...others.map(ask)] };
  }
}
