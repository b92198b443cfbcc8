import { eventsOf } from './sse.ts';

export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** What is sent beside the messages; fields that are missing are the model's own choice. */
export type Sampling = Readonly<Record<string, number>>;

/** What went wrong, in words for the reader. */
export class ChatError extends Error {
  override readonly name = 'ChatError';
  readonly status: number;
  readonly code: string;

  constructor(message: string, status = 0, code = '') {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export type Part =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'finish'; readonly reason: string }
  | { readonly type: 'usage'; readonly tokens: number };

/** The API lies beside the page, wherever a proxy may have put both. */
function address(path: string): URL {
  return new URL(`../v1/${path}`, document.baseURI);
}

function headers(key: string): Record<string, string> {
  return key === '' ? {} : { authorization: `Bearer ${key}` };
}

/** The name of the model that is served. @throws ChatError */
export async function modelName(key: string): Promise<string> {
  const response = await reach(address('models'), { headers: headers(key) });
  const { data } = (await response.json()) as { data: { id: string }[] };
  return data[0].id;
}

/** Streams an answer. @throws ChatError, and the signal's reason when it is aborted */
export async function* streamAnswer(
  messages: readonly Message[],
  sampling: Sampling,
  key: string,
  signal: AbortSignal,
): AsyncGenerator<Part, void> {
  const response = await reach(address('chat/completions'), {
    method: 'POST',
    headers: { ...headers(key), 'content-type': 'application/json' },
    body: JSON.stringify({
      ...sampling,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    }),
    signal,
  });
  let ended = false;
  try {
    for await (const data of eventsOf(response.body as ReadableStream<Uint8Array>)) {
      if (data === '[DONE]') ended = true;
      else yield* partsOf(JSON.parse(data) as Event);
    }
  } catch (error) {
    if (signal.aborted || error instanceof ChatError) throw error;
    throw new ChatError('The connection broke off in the middle of the answer.');
  }
  if (!ended) throw new ChatError('The connection broke off in the middle of the answer.');
}

interface Event {
  readonly error?: { readonly message: string; readonly code: string | null };
  readonly usage?: { readonly completion_tokens: number } | null;
  readonly choices?: readonly {
    readonly delta: { readonly content?: string | null };
    readonly finish_reason: string | null;
  }[];
}

function* partsOf({ error, choices = [], usage }: Event): Generator<Part, void> {
  if (error) throw new ChatError(error.message, 500, error.code ?? '');
  for (const { delta, finish_reason: reason } of choices) {
    if (delta.content) yield { type: 'text', text: delta.content };
    if (reason) yield { type: 'finish', reason };
  }
  if (usage) yield { type: 'usage', tokens: usage.completion_tokens };
}

async function reach(url: URL, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ChatError('The server cannot be reached. Is it still running?');
  }
  if (response.ok) return response;
  throw await refusal(response);
}

async function refusal(response: Response): Promise<ChatError> {
  const { status } = response;
  const body: unknown = await response.json().catch(() => undefined);
  const { error } = (body ?? {}) as { error?: { message?: string; code?: string | null } };
  const said = error?.message ?? `The server answered with status ${status}.`;
  return new ChatError(said.charAt(0).toUpperCase() + said.slice(1), status, error?.code ?? '');
}
