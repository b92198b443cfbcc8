import { hashText } from '../random.ts';
import type { Exchange } from './exchange.ts';
import type { Split } from './facts.ts';

/** The ways to ask each skill and its answer; A and B are the numbers and C is the result. */
const SKILLS = {
  add: {
    askings: ['what is A plus B?', 'add A and B.', 'A + B = ?'],
    answer: 'C.',
  },
  subtract: {
    askings: ['what is A minus B?', 'what is A take away B?', 'A - B = ?'],
    answer: 'C.',
  },
  more: {
    askings: ['which is more, A or B?', 'A or B: which is more?'],
    answer: 'C.',
  },
  less: {
    askings: ['which is less, A or B?', 'A or B: which is less?'],
    answer: 'C.',
  },
  next: {
    askings: ['what comes after A?', 'which number follows A?', 'name the number after A.'],
    answer: 'C.',
  },
  previous: {
    askings: ['what comes before A?', 'which number leads to A?', 'name the number before A.'],
    answer: 'C.',
  },
  count: {
    askings: ['count from A to B.', 'name the numbers A to B.'],
    answer: 'C.',
  },
} as const;

type Skill = keyof typeof SKILLS;

/**
 * Every small sum, comparison and count in every phrasing.
 *
 * Of the variants that share an answer (phrasings, and the order of the numbers where it does not
 * matter) exactly one, chosen by hash, is held out; the others are trained.
 */
export function arithmeticSplit(): Split {
  const training: Exchange[] = [];
  const heldOut: Exchange[] = [];
  const share = (
    skill: Skill,
    variants: readonly (readonly [number, number])[],
    value: string,
  ): void => {
    const { askings, answer } = SKILLS[skill];
    const exchanges = variants.flatMap(([a, b]) =>
      askings.map(
        (asking): Exchange => ({
          kind: 'arithmetic',
          skill,
          question: asking.replace('A', `${a}`).replace('B', `${b}`),
          answer: answer.replace('A', `${a}`).replace('B', `${b}`).replace('C', value),
          value,
        }),
      ),
    );
    const out = hashText(`${skill} ${variants.join(' ')}`) % exchanges.length;
    exchanges.forEach((exchange, index) => {
      (index === out ? heldOut : training).push(exchange);
    });
  };
  for (let a = 0; a <= 9; a += 1) {
    for (let b = 0; b <= a; b += 1) {
      const orders = a === b ? [[a, b] as const] : [[a, b] as const, [b, a] as const];
      if (a + b <= 9) {
        share('add', orders, `${a + b}`);
      }
      if (a <= 6) {
        share('subtract', [[a, b]], `${a - b}`);
      }
      if (a !== b && a <= 6) {
        share('more', orders, `${a}`);
        share('less', orders, `${b}`);
      }
    }
  }
  for (let a = 0; a <= 9; a += 1) {
    share('next', [[a, 0]], `${a + 1}`);
    share('previous', [[a + 1, 0]], `${a}`);
  }
  for (let a = 0; a <= 7; a += 1) {
    share('count', [[a, a + 2]], `${a} ${a + 1} ${a + 2}`);
  }
  return { training, heldOut };
}
