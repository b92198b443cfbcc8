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
    tokens: tokens.map(nameOf),
    token_logprobs: tokens.map(({ logprob }) => finite(logprob)),
    top_logprobs: tokens.map(({ top }) => topLogprobs(top)),
    text_offset: offsets,
  };
}

/** By name. Where several tokens have the same one, the most probable of them is told. */
function topLogprobs(top: TokenLogprob['top']): Record<string, number> {
  const named = new Map<string, number>();
  for (const one of top) {
    const name = nameOf(one);
    if (!named.has(name)) named.set(name, finite(one.logprob));
  }
  return Object.fromEntries(named);
}

/** Bytes that are no whole character have no text of their own: OpenAI writes them `bytes:\xe2\x80`. */
function nameOf({ text, bytes }: Pick<TokenLogprob, 'text' | 'bytes'>): string {
  if (!text.includes('\ufffd')) return text;
  const own = new TextEncoder().encode(text);
  if (own.length === bytes.length && own.every((byte, i) => byte === bytes[i])) return text;
  return `bytes:${bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
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
