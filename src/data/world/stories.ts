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

/**
 * What villagers can do, as it is told and as it is asked for. All do the same in one story, so
 * that only their names tell their sentences apart.
 */
const DEEDS: readonly Deed[] = [
  ['got', 'get'],
  ['saw', 'see'],
  ['won', 'win'],
];

/**
 * How many villagers a training story has. With one there is only one answer: such stories teach
 * where to look, and the others then teach whom to look for.
 */
const LENGTHS: readonly number[] = [1, 2, 2, 3];

/**
 * Whether two sentences never stand in the same training story, in whatever order: every eighth
 * pair, chosen by hash.
 */
export function isHeldOutPair(left: string, right: string): boolean {
  return hashText(`story ${[left, right].sort().join(' ')}`) % 8 === 0;
}

/** A story of the training kind, and a question about each villager in it. */
export function trainingStory(random: SeededRandom): Story {
  return tell(random, random.pick(LENGTHS), false);
}

/** Two sentences that never share a training story, and a question about one of them. */
export function heldOutStory(random: SeededRandom): Story {
  return tell(random, 2, true);
}

function tell(random: SeededRandom, count: number, heldOut: boolean): Story {
  for (;;) {
    const people = random.shuffled(PEOPLE).slice(0, count);
    const objects = random.shuffled(OBJECTS).slice(0, count);
    const [past, infinitive] = random.pick(DEEDS);
    const sentences = people.map((who, index) => `${who} ${past} the ${objects[index]}.`);
    const hasHeldOut = sentences.some((left, index) =>
      sentences.slice(index + 1).some((right) => isHeldOutPair(left, right)),
    );
    if (hasHeldOut === heldOut) {
      const [first = 0, ...others] = random.shuffled([...people.keys()]);
      const ask = (index: number): Exchange => ({
        kind: 'story',
        skill: infinitive,
        question: `what did ${people[index]} ${infinitive}?`,
        answer: sentences[index] as string,
        value: objects[index] as string,
      });
      return { text: sentences.join(' '), exchanges: [ask(first), ...others.map(ask)] };
    }
  }
}
