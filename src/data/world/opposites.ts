import { hashText } from '../random.ts';
import type { Exchange } from './exchange.ts';
import type { Split } from './facts.ts';

const PAIRS: readonly (readonly [string, string])[] = [
  ['hot', 'cold'],
  ['big', 'little'],
  ['up', 'down'],
  ['wet', 'dry'],
  ['fast', 'slow'],
  ['old', 'new'],
  ['loud', 'quiet'],
];

const ASKINGS: readonly string[] = [
  'what is the opposite of WORD?',
  'WORD is the opposite of what?',
  'name the opposite of WORD.',
];

/** Every opposite, both ways; of each word one phrasing, chosen by hash, is held out. */
export function oppositeSplit(): Split {
  const training: Exchange[] = [];
  const heldOut: Exchange[] = [];
  for (const [left, right] of PAIRS) {
    for (const [word, value] of [
      [left, right],
      [right, left],
    ] as const) {
      const out = hashText(`opposite ${word}`) % ASKINGS.length;
      ASKINGS.forEach((asking, index) => {
        (index === out ? heldOut : training).push({
          kind: 'opposite',
          skill: 'opposite',
          question: asking.replace('WORD', word),
          answer: `${word} is not ${value}.`,
          value,
        });
      });
    }
  }
  return { training, heldOut };
}
