import type { FinishReason, GenerationChunk, TokenLogprob } from '../generate/engine-types.ts';
import { ApiError, toApiError } from './errors.ts';
import type { Piece, Run } from './run.ts';

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

/** Counts what the answers of a request used; a prompt with several answers counts once. */
export class UsageCounter {
  readonly #choicesOfPrompt: number;
  readonly #prompts = new Map<number, number>();
  #completion = 0;

  constructor(choicesOfPrompt: number) {
    this.#choicesOfPrompt = choicesOfPrompt;
  }

  add(choice: number, finish: NonNullable<GenerationChunk['finish']>): void {
    this.#prompts.set(Math.floor(choice / this.#choicesOfPrompt), finish.promptTokens);
    this.#completion += finish.completionTokens;
  }

  total(): Usage {
    const prompt = [...this.#prompts.values()].reduce((a, b) => a + b, 0);
    return {
      prompt_tokens: prompt,
      completion_tokens: this.#completion,
      total_tokens: prompt + this.#completion,
    };
  }
}

/** A whole answer. */
export interface Answer {
  readonly text: string;
  readonly logprobs: readonly TokenLogprob[];
  readonly reason: 'stop' | 'length';
}

/** Reads all answers to their ends. */
export async function collect(run: Run, choices: number, usage: UsageCounter): Promise<Answer[]> {
  const texts: string[][] = Array.from({ length: choices }, () => []);
  const logprobs: TokenLogprob[][] = Array.from({ length: choices }, () => []);
  const reasons: ('stop' | 'length')[] = [];
  for await (const { choice, chunk } of run.pieces) {
    texts[choice].push(chunk.text);
    if (chunk.logprobs) logprobs[choice].push(...chunk.logprobs);
    if (chunk.finish) {
      usage.add(choice, chunk.finish);
      reasons[choice] = reasonOf(chunk.finish.reason);
    }
  }
  return texts.map((pieces, i) => ({
    text: pieces.join(''),
    logprobs: logprobs[i],
    reason: reasons[i],
  }));
}

/** Where the client has gone nobody reads this; else it was the server that ended the text. */
export function reasonOf(reason: FinishReason): 'stop' | 'length' {
  if (reason !== 'abort') return reason;
  throw new ApiError(503, 'the answer was cut off: the server is shutting down', {
    code: 'shutting_down',
  });
}

/** Turns pieces of text into what a stream tells of them: JSON values, one for each event. */
export interface EventWriter {
  begin(): Iterable<object>;
  piece(piece: Piece): Iterable<object>;
  end(): Iterable<object>;
}

/**
 * A response of server-sent events, `data: JSON` each, which ends with `data: [DONE]`. An error on
 * the way becomes an event as OpenAI's clients expect it. Nothing is read from the engine ahead of
 * the client beyond a buffer of one.
 */
export function eventStream(
  run: Run,
  writer: EventWriter,
  report: (error: unknown) => void,
  headers: Readonly<Record<string, string>>,
): Response {
  const events = write(run, writer, report);
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { done, value } = await events.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    cancel: async () => {
      run.cancel();
      await events.return();
    },
  });
  return new Response(body, {
    headers: {
      ...headers,
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      // Proxies that gather a response before they pass it on would undo the stream.
      'x-accel-buffering': 'no',
    },
  });
}

async function* write(
  run: Run,
  writer: EventWriter,
  report: (error: unknown) => void,
): AsyncGenerator<string, void> {
  try {
    const first = lines(writer.begin());
    if (first !== '') yield first;
    for await (const piece of run.pieces) {
      const text = lines(writer.piece(piece));
      if (text !== '') yield text;
    }
    yield `${lines(writer.end())}data: [DONE]\n\n`;
  } catch (error) {
    const refusal = toApiError(error);
    if (refusal.status === 500) report(error);
    yield lines([refusal.body()]);
  }
}

function lines(events: Iterable<object>): string {
  let text = '';
  for (const event of events) text += `data: ${JSON.stringify(event)}\n\n`;
  return text;
}
