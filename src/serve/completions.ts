import type { TokenLogprob } from '../generate/engine-types.ts';
import { type Answer, type EventWriter, reasonOf, type UsageCounter } from './answer.ts';
import { finite, type Head, objectOf } from './chat.ts';
import type { Piece } from './run.ts';

interface CompletionShape {
  readonly logprobs: boolean;
  /** What is put before each answer: its prompt where the request asks for an echo. */
  readonly before: readonly string[];
}

/** The response to a completion that is not streamed. */
export function textCompletion(
  head: Head,
  answers: readonly Answer[],
  usage: UsageCounter,
  { logprobs, before }: CompletionShape,
) {
  const choices = answers.map((answer, index) => ({
    index,
    text: before[index] + answer.text,
    logprobs: logprobs ? completionLogprobs(answer.logprobs, before[index].length) : null,
    finish_reason: answer.reason,
  }));
  return { ...objectOf(head, 'text_completion'), choices, usage: usage.total() };
}

function completionLogprobs(tokens: readonly TokenLogprob[], offset: number) {
  const offsets: number[] = [];
  for (const { text } of tokens) {
    offsets.push(offset);
    offset += text.length;
  }
  return {
    tokens: tokens.map(({ text }) => text),
    token_logprobs: tokens.map(({ logprob }) => finite(logprob)),
    top_logprobs: tokens.map(({ top }) =>
      Object.fromEntries(top.map(({ text, logprob }) => [text, finite(logprob)])),
    ),
    text_offset: offsets,
  };
}

/** The events of a completion that is streamed. */
export function completionEvents(
  head: Head,
  usage: UsageCounter,
  { logprobs, before, includeUsage }: CompletionShape & { readonly includeUsage: boolean },
): EventWriter {
  const base = objectOf(head, 'text_completion');
  const offsets = before.map((text) => text.length);
  const event = (
    index: number,
    text: string,
    reason: string | null = null,
    tokens: object | null = null,
  ) => ({
    ...base,
    choices: [{ index, text, logprobs: tokens, finish_reason: reason }],
    ...(includeUsage && { usage: null }),
  });
  return {
    begin: () => before.flatMap((text, i) => (text === '' ? [] : [event(i, text)])),
    piece: ({ choice, chunk: { text, logprobs: tokens, finish } }: Piece) => {
      const events: object[] = [];
      const told = logprobs && tokens?.length ? completionLogprobs(tokens, offsets[choice]) : null;
      for (const { text } of tokens ?? []) offsets[choice] += text.length;
      if (text !== '' || told) events.push(event(choice, text, null, told));
      if (finish) {
        usage.add(choice, finish);
        events.push(event(choice, '', reasonOf(finish.reason)));
      }
      return events;
    },
    end: () => (includeUsage ? [{ ...base, choices: [], usage: usage.total() }] : []),
  };
}
