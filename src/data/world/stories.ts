import type { SeededRandom } from '../random.ts';
import { hashText } from '../random.ts';
import type { Exchange } from './exchange.ts';

/** A story and the questions that can be answered from it. */
export interface Story {
  readonly text: string;
  readonly exchanges: readonly Exchange[];
}

const PEOPLE: readonly string[] = ['ann', 'ben', 'dan', 'eva', 'gus', 'ida', 'joe', 'kim'];

/** What the deeds are done with: things and animals of which facts are told too. */
const OBJECTS: readonly string[] = ['ant', 'bee', 'cat', 'dog', 'fox', 'gem', 'jug', 'key', 'mug', 'net'];

type Deed = readonly [past: string, infinitive: string];

/** What a villager can do in a story, as it is told and as it is asked for. */
const DEEDS: readonly Deed[] = [
  ['got', 'get'],
  ['saw', 'see'],
  ['won', 'win'],
];

/**
 * How many villagers a training story has. With one there is only one answer: such stories teach
 * where to look, and those of two then teach whom to look for.
 */
const LENGTHS: readonly number[] = [1, 1, 1, 2, 2, 2, 2, 3];

/**
 * Whether a story is never told in training: every eighth, by a hash of what happens in it in
 * whatever order, so that the same deeds told the other way round are held out with it.
 */
export function isHeldOutStory(sentences: readonly string[]): boolean {
  return hashText(`story ${[...sentences].sort().join(' ')}`) % 8 === 0;
}

/** A story of the training kind and a question about it. */
export function trainingStory(random: SeededRandom): Story {
  return tell(random, random.pick(LENGTHS), false);
}

/** A story that is never told in training, and a question about it. */
export function heldOutStory(random: SeededRandom): Story {
  return tell(random, 2, true);
}

function tell(random: SeededRandom, count: number, heldOut: boolean): Story {
  for (;;) {
    const { sentences, exchange } = attempt(random, count);
    if (isHeldOutStory(sentences) === heldOut) {
      return { text: sentences.join(' '), exchanges: [exchange] };
    }
  }
}

function attempt(random: SeededRandom, count: number): { sentences: string[]; exchange: Exchange } {
  const people = random.shuffled(PEOPLE).slice(0, count);
  const objects = random.shuffled(OBJECTS).slice(0, count);
  const shared = random.integer(2) === 0 ? random.pick(DEEDS) : undefined;
  const deeds = shared === undefined ? random.shuffled(DEEDS) : DEEDS.map(() => shared);
  const sentences = people.map((who, index) => {
    return `${who} ${(deeds[index] as Deed)[0]} the ${objects[index]}.`;
  });
  const asked = random.integer(count);
  const [, infinitive] = deeds[asked] as Deed;
  return {
    sentences,
    exchange: {
      kind: 'story',
      skill: infinitive,
      question: `what did ${people[asked]} ${infinitive}?`,
      answer: sentences[asked] as string,
      value: objects[asked] as string,
    },
  };
}
