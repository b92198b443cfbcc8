import type { Measured } from '../../compress/index.ts';
import { megabytes } from '../../compress/index.ts';
import type { MatchReport, Question, Score } from '../../data/index.ts';
import { table } from '../table.ts';

/** A model of the demonstration: what it is worth, and what it answered. */
export interface Examined extends Measured {
  readonly answers: MatchReport;
}

/** The held-out questions, and how well each answered them. */
export interface DemoResult {
  readonly questions: readonly Question[];
  readonly f32: Examined;
  readonly int4: Examined;
  readonly ngram: MatchReport;
  readonly majority: MatchReport;
}

/** Size, speed and the share of right answers, in all and by kind of question. */
export function demoTable({ f32, int4, ngram, majority }: DemoResult): string {
  const reports = [f32.answers, int4.answers, ngram, majority];
  const models = [f32, int4];
  const { all, byKind } = f32.answers;
  const rate = ({ speed }: Examined) => (speed ? `${Math.round(speed.decode)} tok/s` : '');
  return table([
    ['', 'f32', 'int4', 'n-gram', 'majority'],
    ['size', ...models.map(({ size }) => megabytes(size.bytes))],
    ['bits per weight', ...models.map(({ size }) => size.bitsPerWeight.toFixed(2))],
    ['writes at', ...models.map(rate)],
    [`right answers (${all.asked})`, ...reports.map((report) => percent(report.all))],
    ...[...byKind].map(([kind, { asked }]) => [
      `  ${kind} (${asked})`,
      ...reports.map((report) => percent(report.byKind.get(kind))),
    ]),
  ]);
}

function percent(score: Score | undefined): string {
  return score ? `${(100 * score.share).toFixed(score.share === 1 ? 0 : 1)} %` : '';
}

/** The same for machines. */
export function demoSummary({ f32, int4, ngram, majority }: DemoResult) {
  const model = ({ answers, size, speed }: Examined) => ({
    exactMatch: answers.all.share,
    byKind: Object.fromEntries([...answers.byKind].map(([kind, { share }]) => [kind, share])),
    size,
    speed,
  });
  return {
    f32: model(f32),
    int4: model(int4),
    ngram: { exactMatch: ngram.all.share },
    majority: { exactMatch: majority.all.share },
  };
}

/** Examples shown of each kind of question. */
const PER_KIND = 2;

/** A few questions with the expected answer and that of the packed model. */
export function examplesText({ questions, int4 }: DemoResult): string {
  const kinds = [...new Set(questions.map(({ kind }) => kind))];
  const shown = kinds.flatMap((kind) => {
    const all = [...questions.keys()].filter((i) => questions[i]?.kind === kind);
    const stride = Math.max(1, Math.floor(all.length / PER_KIND));
    return all.filter((_, i) => i % stride === 0).slice(0, PER_KIND);
  });
  return shown
    .map((i) => {
      const { message, answer } = questions[i] as Question;
      const said = int4.answers.answers[i] ?? '';
      const verdict = said === answer ? 'right' : `expected: ${answer}`;
      return `  ${message}\n  → ${said === '' ? '(nothing)' : said}   (${verdict})`;
    })
    .join('\n\n');
}
