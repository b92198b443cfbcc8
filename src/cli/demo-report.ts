import type { MatchReport, Question, Score } from '../data/index.ts';
import { table } from './table.ts';

/** The held-out questions, and how well each answered them. */
export interface Answers {
  readonly questions: readonly Question[];
  readonly model: MatchReport;
  readonly ngram: MatchReport;
  readonly majority: MatchReport;
}

/** Share of right answers, in all and by kind of question. */
export function scoreTable({ model, ngram, majority }: Answers): string {
  const share = (score: Score | undefined) =>
    score ? `${(100 * score.share).toFixed(score.share === 1 ? 0 : 1)} %` : '';
  const reports = [model, ngram, majority];
  const rows = [...model.byKind].map(([kind, { asked }]) => [
    `${kind} (${asked})`,
    ...reports.map(({ byKind }) => share(byKind.get(kind))),
  ]);
  const total = [`all (${model.all.asked})`, ...reports.map(({ all }) => share(all))];
  return table([['', 'model', 'n-gram', 'majority'], total, ...rows]);
}

/** Examples shown of each kind of question. */
const PER_KIND = 2;

/** A few questions with the expected answer and the model's. */
export function examplesText({ questions, model }: Answers): string {
  const kinds = [...new Set(questions.map(({ kind }) => kind))];
  const shown = kinds.flatMap((kind) => {
    const all = [...questions.keys()].filter((i) => questions[i]?.kind === kind);
    const stride = Math.max(1, Math.floor(all.length / PER_KIND));
    return all.filter((_, i) => i % stride === 0).slice(0, PER_KIND);
  });
  return shown
    .map((i) => {
      const { prompt, answer } = questions[i] as Question;
      const said = model.answers[i] ?? '';
      const question = prompt.replace(/\nA: $/, '');
      const verdict = said === answer ? 'right' : `expected: ${answer}`;
      return `  ${question.replaceAll('\n', '\n  ')}\n  A: ${visible(said)}   (${verdict})`;
    })
    .join('\n\n');
}

function visible(text: string): string {
  return text === '' ? '(nothing)' : text.replaceAll('\n', ' ');
}
