import { ChatError, type Message, type Sampling, streamAnswer } from './api.ts';
import type { Answer, Exchange } from './store.ts';

export interface Question {
  readonly system: string;
  /** What was said before. */
  readonly before: readonly Exchange[];
  readonly question: string;
  readonly sampling: Sampling;
  readonly key: string;
}

/**
 * Streams an answer into its object. Where the conversation does not fit into the model's context
 * its oldest messages are left out, and a note says so.
 *
 * @param onText is told of each piece
 * @throws ChatError; what came before it stays in the answer
 */
export async function writeAnswer(
  answer: Answer,
  question: Question,
  signal: AbortSignal,
  onText: () => void,
): Promise<void> {
  const { before } = question;
  for (let left = 0; ; left++) {
    try {
      await stream(answer, { ...question, before: before.slice(left) }, signal, onText);
      return;
    } catch (error) {
      if (signal.aborted) {
        answer.note = 'Stopped.';
        return;
      }
      const full = error instanceof ChatError && error.code === 'context_length_exceeded';
      if (!full || left >= before.length) throw error;
      const count = left + 1;
      const what = count === 1 ? 'the oldest message' : `the ${count} oldest messages`;
      answer.note = `The model's context is full: it did not see ${what} of this conversation.`;
    }
  }
}

async function stream(
  answer: Answer,
  { system, before, question, sampling, key }: Question,
  signal: AbortSignal,
  onText: () => void,
): Promise<void> {
  const messages: Message[] = [];
  if (system !== '') messages.push({ role: 'system', content: system });
  for (const { question: content, answers, shown } of before) {
    const said = answers[shown]?.text ?? '';
    // A message without an answer, after an error, would stand beside the next one.
    if (said === '') continue;
    messages.push({ role: 'user', content }, { role: 'assistant', content: said });
  }
  messages.push({ role: 'user', content: question });
  const start = performance.now();
  let [first, last, pieces] = [0, 0, 0];
  const count = (tokens: number) => {
    answer.tokens = tokens;
    const seconds = (last - first) / 1000;
    if (tokens > 1 && seconds > 0) answer.rate = (tokens - 1) / seconds;
  };
  try {
    for await (const part of streamAnswer(messages, sampling, key, signal)) {
      if (part.type === 'usage') count(part.tokens);
      else if (part.type === 'finish') {
        if (part.reason === 'length')
          answer.note = join(answer.note, 'It ends at the limit of its length.');
      } else {
        last = performance.now();
        if (pieces++ === 0) {
          first = last;
          answer.first = (first - start) / 1000;
        }
        answer.text += part.text;
        onText();
      }
    }
  } finally {
    // Who stops is not told how many tokens there were; pieces are about as many.
    if (answer.tokens === undefined && pieces > 0) count(pieces);
  }
}

function join(note: string | undefined, more: string): string {
  return note === undefined ? more : `${note} ${more}`;
}
