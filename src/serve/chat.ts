import type { FinishReason, TokenLogprob } from '../generate/engine-types.ts';
import { type Answer, type EventWriter, reasonOf, type UsageCounter } from './answer.ts';
import type { Piece } from './run.ts';
import { ToolCallParser, type Written } from './tool-calls.ts';

/** What all objects of one response have in common. */
export interface Head {
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

interface ChatShape {
  readonly logprobs: boolean;
  readonly tools: boolean;
}

/** The response to a chat that is not streamed. */
export function chatCompletion(
  head: Head,
  answers: readonly Answer[],
  usage: UsageCounter,
  { logprobs, tools }: ChatShape,
) {
  const choices = answers.map((answer, index) => {
    const written = tools ? parse(answer.text) : [{ type: 'text', text: answer.text } as const];
    const calls = written.filter((one) => one.type === 'call').map(toolCall);
    const text = written.map((one) => (one.type === 'text' ? one.text : '')).join('');
    return {
      index,
      message: {
        role: 'assistant',
        content: calls.length > 0 && text === '' ? null : text,
        refusal: null,
        ...(calls.length > 0 && { tool_calls: calls }),
      },
      logprobs: logprobs ? chatLogprobs(answer.logprobs) : null,
      finish_reason: finishReason(answer.reason, calls.length > 0),
    };
  });
  return { ...objectOf(head, 'chat.completion'), choices, usage: usage.total() };
}

function parse(text: string): Written[] {
  const parser = new ToolCallParser();
  return [...parser.push(text), ...parser.end()];
}

function toolCall(call: Written & { type: 'call' }) {
  const { name, arguments: given } = call;
  return {
    id: `call_${crypto.randomUUID().replaceAll('-', '')}`,
    type: 'function',
    function: { name, arguments: given },
  };
}

function finishReason(reason: FinishReason, called: boolean): 'stop' | 'length' | 'tool_calls' {
  const known = reasonOf(reason);
  return called && known === 'stop' ? 'tool_calls' : known;
}

function chatLogprobs(tokens: readonly TokenLogprob[]) {
  const content = tokens.map((token) => ({
    ...entry(token),
    top_logprobs: token.top.map(entry),
  }));
  return { content, refusal: null };
}

function entry({ text, logprob, bytes }: Omit<TokenLogprob, 'top'>) {
  return { token: text, logprob: finite(logprob), bytes };
}

/** JSON has no infinity; what OpenAI writes for "as good as impossible". */
export function finite(logprob: number): number {
  return Math.max(logprob, -9999);
}

/** The events of a chat that is streamed. */
export function chatEvents(
  head: Head,
  choices: number,
  usage: UsageCounter,
  shape: ChatShape & { readonly includeUsage: boolean },
): EventWriter {
  const base = objectOf(head, 'chat.completion.chunk');
  const parsers = Array.from({ length: choices }, () =>
    shape.tools ? new ToolCallParser() : null,
  );
  const calls = new Array<number>(choices).fill(0);
  const event = (
    index: number,
    delta: object,
    reason: string | null = null,
    logprobs: object | null = null,
  ) => ({
    ...base,
    choices: [{ index, delta, logprobs, finish_reason: reason }],
    // Clients that ask for it find the field in every event.
    ...(shape.includeUsage && { usage: null }),
  });
  const delta = (choice: number, written: Written): object =>
    written.type === 'text'
      ? { content: written.text }
      : { tool_calls: [{ index: calls[choice]++, ...toolCall(written) }] };
  return {
    begin: () =>
      Array.from({ length: choices }, (_, i) => event(i, { role: 'assistant', content: '' })),
    piece: ({ choice, chunk }: Piece) => {
      const parser = parsers[choice];
      const tokens = shape.logprobs && chunk.logprobs?.length ? chatLogprobs(chunk.logprobs) : null;
      const events: object[] = [];
      if (parser === null) {
        const { text } = chunk;
        if (text !== '' || tokens) events.push(event(choice, { content: text }, null, tokens));
      } else {
        const written = parser.push(chunk.text);
        if (chunk.finish) written.push(...parser.end());
        // Log-probabilities are of the tokens, which tell of calls, too.
        if (tokens) events.push(event(choice, { content: '' }, null, tokens));
        for (const one of written) events.push(event(choice, delta(choice, one)));
      }
      if (chunk.finish) {
        usage.add(choice, chunk.finish);
        const reason = finishReason(chunk.finish.reason, parser?.called ?? false);
        events.push(event(choice, {}, reason));
      }
      return events;
    },
    end: () => (shape.includeUsage ? [{ ...base, choices: [], usage: usage.total() }] : []),
  };
}

export function objectOf({ id, created, model }: Head, object: string) {
  return { id, object, created, model };
}
