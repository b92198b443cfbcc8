import { SeededRandom } from '../random.ts';
import { arithmeticSplit } from './arithmetic.ts';
import type { Exchange, Question } from './exchange.ts';
import { questionOf } from './exchange.ts';
import { factSplit } from './facts.ts';
import { oppositeSplit } from './opposites.ts';
import { type Story, tellEvent, tellPair } from './stories.ts';

/** How many questions of each kind are asked: 200 in all. */
const COUNTS = { fact: 60, arithmetic: 72, opposite: 8, story: 40, pair: 20 };

/** Fixes which held-out questions are asked, so that runs of different seeds can be compared. */
const SEED = 20;

/** The held-out questions, always the same ones in the same order. */
export function heldOutQuestions(): Question[] {
  const random = new SeededRandom(SEED);
  const some = (exchanges: readonly Exchange[], count: number): Question[] => {
    return random
      .shuffled(exchanges)
      .slice(0, count)
      .map((exchange) => questionOf(exchange));
  };
  const questions = [
    ...some(factSplit().heldOut, COUNTS.fact),
    ...some(arithmeticSplit().heldOut, COUNTS.arithmetic),
    ...some(oppositeSplit().heldOut, COUNTS.opposite),
  ];
  return [
    ...questions,
    ...different(COUNTS.story, () => questionAbout(tellEvent(random, true))),
    ...different(COUNTS.pair, () => questionAbout(tellPair(random, true))),
  ];
}

function questionAbout({ text, exchanges }: Story): Question {
  return questionOf(exchanges[0], text);
}

function different(count: number, make: () => Question): Question[] {
  const questions = new Map<string, Question>();
  while (questions.size < count) {
    const question = make();
    questions.set(question.prompt, question);
  }
  return [...questions.values()];
}
