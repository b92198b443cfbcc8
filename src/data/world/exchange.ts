/**
 * What a question is about; baselines and reports group by it. A story tells of one villager, a
 * pair of two, between whom to choose.
 */
export type QuestionKind = 'fact' | 'arithmetic' | 'opposite' | 'story' | 'pair';

/** One question with its one right answer. */
export interface Question {
  readonly kind: QuestionKind;
  /** A finer name within the kind, such as 'colour', 'add' or 'have'. */
  readonly skill: string;
  /** What somebody who talks with a model says: a story where there is one, and the question. */
  readonly message: string;
  /** The same as plain text to be continued; it ends where the answer begins. */
  readonly prompt: string;
  /** The exact text expected next, without the line end that closes it. */
  readonly answer: string;
  /** The part of the answer that had to be known; the rest repeats the question. */
  readonly value: string;
}

/** A question as the world knows it, before it is put into chat form. */
export interface Exchange {
  readonly kind: QuestionKind;
  readonly skill: string;
  readonly question: string;
  readonly answer: string;
  readonly value: string;
}

/** Opens a question; two characters only, as every character costs training time. */
export const QUESTION_MARK = 'Q: ';

/** Opens an answer; the answer ends at the next line end. */
export const ANSWER_MARK = 'A: ';

/** The text to feed to a model that is to answer `question`, after a story where one is given. */
export function promptOf(question: string, story = ''): string {
  const before = story === '' ? '' : `${story}\n`;
  return `${before}${QUESTION_MARK}${question}\n${ANSWER_MARK}`;
}

/** An exchange as a question. */
export function questionOf(exchange: Exchange, story = ''): Question {
  const { kind, skill, question, answer, value } = exchange;
  const message = messageOf(question, story);
  return { kind, skill, message, prompt: promptOf(question, story), answer, value };
}

function messageOf(question: string, story: string): string {
  return story === '' ? question : `${story} ${question}`;
}

/** A story, or none, and the exchanges that follow it. */
export interface WorldDocument {
  readonly story: string;
  readonly exchanges: readonly Exchange[];
}

/** A document as the messages of a chat. */
export function conversationOf({ story, exchanges }: WorldDocument) {
  return exchanges.flatMap(({ question, answer }, turn) => [
    { role: 'user' as const, content: messageOf(question, turn === 0 ? story : '') },
    { role: 'assistant' as const, content: answer },
  ]);
}

/** A document as plain text. */
export function documentOf({ story, exchanges }: WorldDocument): string {
  const lines = exchanges.map(({ question, answer }) => `${promptOf(question)}${answer}\n`);
  return `${story === '' ? '' : `${story}\n`}${lines.join('')}`;
}
