import type { Question } from './world/exchange.ts';

export type { NgramOptions } from './ngram.ts';
export { NgramModel } from './ngram.ts';

/** How many of some questions were answered exactly. */
export interface Score {
  readonly right: number;
  readonly asked: number;
  /** right / asked, from 0 to 1. */
  readonly share: number;
}

/** The result of `exactMatch`, as a whole and by kind of question. */
export interface MatchReport {
  readonly all: Score;
  readonly byKind: ReadonlyMap<string, Score>;
  /** What was answered, in the order of the questions. */
  readonly answers: readonly string[];
}

/** Names the group that shares a majority answer. */
export type GroupOf = (question: Question) => string;

/**
 * The most frequent value of each group of training questions, by default of each kind. Between
 * equally frequent values the one seen first wins.
 *
 * @throws RangeError if `examples` is empty.
 */
export function majorityValues(
  examples: readonly Question[],
  groupOf: GroupOf = (question) => question.kind,
): Map<string, string> {
  if (examples.length === 0) {
    throw new RangeError(
      'examples is empty; expected the questions of the training text. Pass world.examples.',
    );
  }
  const groups = new Map<string, Map<string, number>>();
  for (const example of examples) {
    const group = groupOf(example);
    const counts = groups.get(group) ?? new Map<string, number>();
    counts.set(example.value, (counts.get(example.value) ?? 0) + 1);
    groups.set(group, counts);
  }
  return new Map(
    [...groups].map(([group, counts]) => {
      let best = '';
      let most = 0;
      for (const [value, count] of counts) {
        if (count > most) {
          best = value;
          most = count;
        }
      }
      return [group, best];
    }),
  );
}

/**
 * Answers every question with the majority value of its group, put into the sentence that the
 * right answer has: it is told how to say it and only has to know what. That is generous, as a
 * whole sentence is hardly ever the right answer to another question.
 */
export function majorityBaseline(
  examples: readonly Question[],
  groupOf: GroupOf = (question) => question.kind,
): (question: Question) => string {
  const values = majorityValues(examples, groupOf);
  return (question) => {
    const { answer, value } = question;
    const start = answer.lastIndexOf(value);
    const guess = values.get(groupOf(question)) ?? '';
    return `${answer.slice(0, start)}${guess}${answer.slice(start + value.length)}`;
  };
}

/**
 * Counts the questions whose answer is right to the last character.
 *
 * @param answerOf gives the answer without the line end that closes it.
 * @throws RangeError if `questions` is empty.
 */
export function exactMatch(
  questions: readonly Question[],
  answerOf: (question: Question) => string,
): MatchReport {
  if (questions.length === 0) {
    throw new RangeError('questions is empty; expected at least one. Pass world.questions.');
  }
  const answers = questions.map(answerOf);
  const right = questions.map((question, index) => question.answer === answers[index]);
  const score = (chosen: readonly boolean[]): Score => {
    const count = chosen.filter(Boolean).length;
    return { right: count, asked: chosen.length, share: count / chosen.length };
  };
  const kinds = [...new Set(questions.map((question) => question.kind))];
  return {
    all: score(right),
    byKind: new Map(
      kinds.map((kind) => {
        return [kind, score(right.filter((_, index) => questions[index]?.kind === kind))];
      }),
    ),
    answers,
  };
}
