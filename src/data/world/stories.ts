import { hashText } from '../random.ts';
import type { SeededRandom } from '../random.ts';
import type { Exchange } from './exchange.ts';

/** A story and the questions that can be answered from it. */
export interface Story {
  readonly text: string;
  readonly exchanges: readonly Exchange[];
}

const PEOPLE: readonly string[] = [
  'ann', 'ben', 'dan', 'eva', 'gus', 'ida', 'joe', 'kim', 'lea', 'max',
];

/** One thing that a villager can do in a story; WHO does it and WHAT it is done with. */
interface Deed {
  readonly skill: string;
  readonly sentence: string;
  readonly asking: string;
  readonly objects: readonly string[];
}

const DEEDS: readonly Deed[] = [
  {
    skill: 'get',
    sentence: 'WHO got the WHAT.',
    asking: 'what did WHO get?',
    objects: ['bag', 'cup', 'fan', 'hat', 'jar', 'key', 'lid', 'mug', 'net', 'pot'],
  },
  {
    skill: 'see',
    sentence: 'WHO saw the WHAT.',
    asking: 'what did WHO see?',
    objects: ['ant', 'bee', 'cat', 'dog', 'fox', 'hen', 'owl', 'pig', 'rat', 'yak'],
  },
  {
    skill: 'eat',
    sentence: 'WHO ate the WHAT.',
    asking: 'what did WHO eat?',
    objects: ['bun', 'egg', 'fig', 'ham', 'jam', 'oat', 'nut', 'pie', 'rye', 'yam'],
  },
];

/** The longest story with its question and answer, so that a short context holds it all. */
export const LONGEST_STORY = 92;

/**
 * Whether a story is never told in training: every eighth, by a hash of what happens in it in
 * whatever order, so that the same deeds told the other way round are held out with it.
 */
export function isHeldOutStory(sentences: readonly string[]): boolean {
  return hashText(`story ${[...sentences].sort().join(' ')}`) % 8 === 0;
}

/** A story of the training kind, with two questions. */
export function trainingStory(random: SeededRandom): Story {
  return tell(random, false);
}

/** A story that is never told in training, with one question. */
export function heldOutStory(random: SeededRandom): Story {
  return tell(random, true);
}

function tell(random: SeededRandom, heldOut: boolean): Story {
  for (;;) {
    const story = attempt(random, heldOut);
    const first = story.exchanges[0] as Exchange;
    const length = story.text.length + first.question.length + first.answer.length + 9;
    const sentences = story.text.split(/(?<=\.) /);
    if (length <= LONGEST_STORY && isHeldOutStory(sentences) === heldOut) {
      return story;
    }
  }
}

function attempt(random: SeededRandom, heldOut: boolean): Story {
  const count = random.integer(4) === 0 ? 3 : 2;
  const people = random.shuffled(PEOPLE.map((_, index) => index)).slice(0, count);
  const shared = random.integer(3) === 0 ? random.pick(DEEDS) : undefined;
  const used = new Set<string>();
  const asked = random.integer(count);
  const facts = people.map((person) => {
    const deed = shared ?? random.pick(DEEDS);
    for (;;) {
      const what = random.pick(deed.objects);
      if (!used.has(what)) {
        used.add(what);
        return { deed, who: PEOPLE[person] as string, what };
      }
    }
  });
  const text = facts.map(({ deed, who, what }) => fill(deed.sentence, who, what)).join(' ');
  const { deed, who, what } = facts[asked] as (typeof facts)[number];
  const exchanges: Exchange[] = [{
    kind: 'story',
    skill: deed.skill,
    question: fill(deed.asking, who, what),
    answer: fill(deed.sentence, who, what),
    value: what,
  }];
  return { text, exchanges };
}

function fill(pattern: string, who: string, what: string): string {
  return pattern.replace('WHO', who).replace('WHAT', what);
}
